"""Roles: what a signed-in person may do. They are groups of the user pool.

The gateway checks the scope of a token. All people sign in with the same client, so their tokens
have the same scopes, and the groups in the token decide. A program has no groups: its scopes decide
alone.
"""

from typing import Any, Literal

from easel.page.config import ADMIN, READ, SCHEDULE, WRITE
from functions.api.problems import NOT_ALLOWED, Refusal
from functions.api.routes import DATA

Role = Literal["look", "make", "administer"]
# From the least to the most. Each role includes the rights of the roles before it.
ROLES: tuple[Role, ...] = ("look", "make", "administer")
NEEDED: dict[str, Role] = {READ: "look", WRITE: "make", SCHEDULE: "make", ADMIN: "administer"}
# Somebody in no group, such as a user of an older version.
DEFAULT: Role = "make"
GROUPS: dict[Role, str] = {role: f"easel-{role}" for role in ROLES}
SCOPES = {f"{method} {path}": scope for method, path, scope in DATA}


def is_program(claims: dict[str, Any]) -> bool:
    """Return whether a token belongs to a program. Its subject is its client."""
    return "client_id" in claims and claims.get("sub") == claims["client_id"]


def role_of(claims: dict[str, Any]) -> Role:
    """Return the role of a token's owner."""
    scopes = str(claims.get("scope", "")).split()
    if is_program(claims):
        allowed = [NEEDED[scope] for scope in scopes if scope in NEEDED]
        return max(allowed, key=ROLES.index, default="look")
    # The gateway writes a list as text: "[easel-look easel-make]".
    groups = str(claims.get("cognito:groups", "")).strip("[]").split()
    return max((role for role in ROLES if GROUPS[role] in groups), key=ROLES.index, default=DEFAULT)


def check_role(claims: dict[str, Any], route: str) -> None:
    """Raise a Refusal with status 403 if a person's role does not allow a route."""
    scope = SCOPES.get(route)
    if scope is None or is_program(claims):
        return
    role, needed = role_of(claims), NEEDED[scope]
    if ROLES.index(role) < ROLES.index(needed):
        detail = f"your role is {role!r}; this needs the role {needed!r}"
        raise Refusal(403, NOT_ALLOWED, detail)
