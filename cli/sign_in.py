"""Access to the API: adds users of the page, and fetches tokens for programs."""

import base64
import json
import secrets
import string
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import Any

from cli.target import Target
from functions.api import routes
from functions.api.directory import Directory
from functions.api.roles import GROUPS, Role

SCOPES = {
    "read": routes.READ,
    "write": routes.WRITE,
    "schedule": routes.SCHEDULE,
    "admin": routes.ADMIN,
}
TOKEN_SECONDS = 20
# The user pool requires one character of each kind. Random letters follow.
_ALWAYS = "Aa1-"
_RANDOM_LETTERS = 20


class SignInError(RuntimeError):
    """The sign-in refused. The message has the reason."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a program needs to get tokens by the grant `client_credentials`, and to use them."""

    api_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


def add_user(target: Target, email: str, role: Role) -> tuple[bool, str | None]:
    """Add a user with a role, or change the role of an existing one.

    A new user chooses a password at the first sign-in. Return whether the user is new, and the
    temporary password on this machine, which sends no mail, or None on AWS.
    """
    pool, cognito = target.output("UserPoolId"), target.client("cognito-idp")
    password = random_password() if target.endpoint else None
    delivery: dict[str, Any] = {"DesiredDeliveryMediums": ["EMAIL"]}
    if password:
        delivery = {"TemporaryPassword": password, "MessageAction": "SUPPRESS"}
    attributes = [
        {"Name": "email", "Value": email},
        {"Name": "email_verified", "Value": "true"},
    ]
    try:
        cognito.admin_create_user(
            UserPoolId=pool, Username=email, UserAttributes=attributes, **delivery
        )
    except cognito.exceptions.UsernameExistsException:
        _set_role(cognito, pool, email, role)
        return False, None
    except cognito.exceptions.InvalidParameterException as error:
        why = error.response["Error"]["Message"]
        raise SignInError(f"{email} cannot be a user: {why}") from error
    _set_role(cognito, pool, email, role)
    return True, password


def find_subject(target: Target, email: str) -> str | None:
    """Return a user's subject, or None if the pool has no such user."""
    return Directory(target.client("cognito-idp"), pool=target.output("UserPoolId")).subject_of(
        email
    )


def program_credentials(target: Target) -> Credentials:
    """Return the credentials of programs, which the stack has with `program_sign_in`."""
    pool, client = target.output("UserPoolId"), target.output("ProgramClientId")
    description = target.client("cognito-idp").describe_user_pool_client(
        UserPoolId=pool, ClientId=client
    )
    # On this machine the emulator serves the sign-in.
    sign_in = target.endpoint or target.output("SignInUrl")
    return Credentials(
        api_url=target.output("ApiUrl"),
        token_url=f"{sign_in}/oauth2/token",
        client_id=client,
        client_secret=description["UserPoolClient"]["ClientSecret"],
    )


def fetch_token(target: Target, scope: str | None) -> str:
    """Return an access token for a program, valid for an hour.

    If `scope` is one of SCOPES, the token has only that scope, otherwise all. Raises
    SignInError.
    """
    credentials = program_credentials(target)
    both = f"{credentials.client_id}:{credentials.client_secret}"
    basic = base64.b64encode(both.encode()).decode()
    form = {"grant_type": "client_credentials"} | ({"scope": SCOPES[scope]} if scope else {})
    sign_in = credentials.token_url
    request = urllib.request.Request(  # noqa: S310 - the stack's own address
        sign_in,
        method=HTTPMethod.POST,
        data=urllib.parse.urlencode(form).encode(),
        headers={
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=TOKEN_SECONDS) as answer:  # noqa: S310
            token: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise SignInError(f"the sign-in at {sign_in} returned no token: {error}") from error
    except OSError as error:
        raise SignInError(f"the sign-in at {sign_in} cannot be reached: {error}") from error
    return str(token["access_token"])


def _set_role(cognito: Any, pool: str, email: str, role: Role) -> None:
    """Put a user into the group of a role, and into no other group of Easel."""
    with suppress(cognito.exceptions.GroupExistsException):  # a pool of its owner's has no groups
        cognito.create_group(UserPoolId=pool, GroupName=GROUPS[role])
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=GROUPS[role])
    groups = cognito.admin_list_groups_for_user(UserPoolId=pool, Username=email)["Groups"]
    for group in {each["GroupName"] for each in groups} & set(GROUPS.values()) - {GROUPS[role]}:
        cognito.admin_remove_user_from_group(UserPoolId=pool, Username=email, GroupName=group)


def random_password() -> str:
    """Return a random password that the user pool accepts."""
    letters = string.ascii_letters + string.digits
    return _ALWAYS + "".join(secrets.choice(letters) for _ in range(_RANDOM_LETTERS))
