"""The settings that the page reads before anybody signs in."""

from dataclasses import dataclass
from typing import Any

from easel.request.named_sizes import NAMED_SIZES
from easel.request.output_sizes import MAX_OUTPUTS
from easel.request.request import TABLE

# The scopes of an access token. A schedule spends again and again, so schedules have their own one.
READ, WRITE, SCHEDULE, ADMIN = "easel/read", "easel/write", "easel/schedule", "easel/admin"
# The keywords of JSON Schema for a field's limits, with the page's name for each.
LIMITS = {
    "maxLength": "max_length",
    "minimum": "minimum",
    "maximum": "maximum",
    "maxItems": "most",
    "enum": "choices",
    "default": "default",
}


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """The addresses that the page needs. Only `page_url` ends in a slash."""

    page_url: str
    sign_in_url: str
    images_origin: str
    region: str
    user_pool: str
    page_client: str | None
    shares: bool


def page_config(settings: PageSettings) -> dict[str, Any]:
    """Return the sign-in's addresses, the images' origin, and the limits of a request's fields.

    The sign-in's addresses are listed here because its discovery document names AWS's own ones.
    """
    issuer = f"https://cognito-idp.{settings.region}.amazonaws.com/{settings.user_pool}"
    sign_in = settings.sign_in_url
    return {
        "sign_in": {
            "authority": issuer,
            "client_id": settings.page_client,
            "scope": f"openid {READ} {WRITE} {SCHEDULE} {ADMIN}",
            "metadata": {
                "issuer": issuer,
                "authorization_endpoint": f"{sign_in}/oauth2/authorize",
                "token_endpoint": f"{sign_in}/oauth2/token",
                "end_session_endpoint": f"{sign_in}/logout",
                "revocation_endpoint": f"{sign_in}/oauth2/revoke",
                "jwks_uri": f"{issuer}/.well-known/jwks.json",
            },
        },
        "page_url": settings.page_url,
        "images_origin": settings.images_origin,
        "sign_in_origin": sign_in,
        "region": settings.region,
        "shares": settings.shares,
        "request": {
            **{name: _limits(column.schema()) for name, column in TABLE.items()},
            "output_sizes": {"named": NAMED_SIZES, "most": MAX_OUTPUTS},
        },
    }


def _limits(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the limits of a field, and of `each` of its items if it is a list."""
    limits = {name: schema[key] for key, name in LIMITS.items() if key in schema}
    each = _limits(schema["items"]) if schema.get("type") == "array" else {}
    return limits | ({"each": each} if each else {})
