"""Everything that a browser loads: the page, its settings, and the API's description.

It is public and contains no secrets.
"""

import gzip
import hashlib
import json
import mimetypes
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import NotFoundError
from easel.request.request import TABLE
from functions.api import openapi
from functions.api.routes import READ, WRITE
from functions.api.runs import BODY_FIELDS
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
# Files are not part of the API's description.
PLAIN: dict[str, Any] = {"include_in_schema": False, "enable_validation": False}
WEB = Path(__file__).resolve().parents[2] / "web"
VIEWER = WEB / "vendor" / "swagger-ui-dist-5.35.0"
DOCS = {
    file.name: file
    for file in (
        WEB / "docs" / "start.js",
        VIEWER / "swagger-ui-bundle.js",
        VIEWER / "swagger-ui.css",
    )
}
TEXT = ("text/", "application/json", "image/svg+xml")
YEAR = 365 * 24 * 3600
# The keywords of JSON Schema for a field's limits, with the page's name for each.
LIMITS = {
    "maxLength": "max_length",
    "minimum": "minimum",
    "maximum": "maximum",
    "enum": "choices",
    "default": "default",
}
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Strict-Transport-Security": f"max-age={YEAR}",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("image/svg+xml", ".svg")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as it is sent, with a compressed copy if its type is text."""

    content_type: str
    plain: bytes
    packed: bytes | None
    etag: str


@router.get("/", **PLAIN)
def index() -> Response[str]:
    """Return the page."""
    services = services_of(router)
    bucket = services.image_links.origin
    policy = _policy(
        script="'self'",
        style="'self'",
        # The page shows a file of the user before it is uploaded. Only the page can make such a
        # blob: address.
        img=f"'self' blob: {bucket}",
        # Uploads go straight to the bucket.
        connect=f"'self' {services.api.sign_in_url} {bucket}",
    )
    return _send(_file(WEB / "index.html"), policy=policy)


@router.get("/web/.+", **PLAIN)
def web_file() -> Response[str]:
    """Return one of the page's scripts, styles or images."""
    file = router.current_event.path.removeprefix("/web/")
    if file not in _names():
        raise NotFoundError(f"there is no file web/{file!a}")
    # The path of a vendored file contains its version, so it can be cached for a year.
    return _send(_file(WEB / file), seconds=YEAR if file.startswith("vendor/") else 0)


@router.get("/config.json", **PLAIN)
def config() -> Response[str]:
    """Return the settings that the page needs before sign-in."""
    body = json.dumps(page_config(services_of(router))).encode()
    return _send(_pack(body, "application/json"))


@router.get("/openapi.json", **PLAIN)
def description() -> Response[str]:
    """Return the API's description."""
    return _send(_description(router.api_resolver))


@router.get("/docs", **PLAIN)
def docs() -> Response[str]:
    """Return the page that shows the API's description."""
    # The viewer's scripts set inline styles, and its stylesheet contains icons as data: URLs.
    style = "'self' 'unsafe-inline'"
    policy = _policy(script="'self'", style=style, img="'self' data:", connect="'self'")
    return _send(_file(WEB / "docs" / "index.html"), policy=policy)


@router.get("/docs/<file>", **PLAIN)
def docs_file(file: str) -> Response[str]:
    """Return one of the viewer's files."""
    if file not in DOCS:
        raise NotFoundError(f"there is no file docs/{file!a}")
    return _send(_file(DOCS[file]), seconds=3600)


def page_config(services: ApiServices) -> dict[str, Any]:
    """Return the sign-in's addresses, the images' origin, and the limits of a request's fields.

    The sign-in's addresses are listed here because its discovery document names AWS's own ones.
    """
    region, sign_in = services.storage.region, services.api.sign_in_url
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{services.api.user_pool}"
    return {
        "sign_in": {
            "authority": issuer,
            "client_id": services.api.page_client,
            "scope": f"openid {READ} {WRITE}",
            "metadata": {
                "issuer": issuer,
                "authorization_endpoint": f"{sign_in}/oauth2/authorize",
                "token_endpoint": f"{sign_in}/oauth2/token",
                "end_session_endpoint": f"{sign_in}/logout",
                "revocation_endpoint": f"{sign_in}/oauth2/revoke",
                "jwks_uri": f"{issuer}/.well-known/jwks.json",
            },
        },
        "page_url": services.api.page_url,
        "images_origin": services.image_links.origin,
        "sign_in_origin": sign_in,
        "region": region,
        "request": {name: _limits(TABLE[name].schema()) for name in BODY_FIELDS},
    }


def _limits(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: schema[key] for key, name in LIMITS.items() if key in schema}


def _policy(**sources: str) -> str:
    allowed = "; ".join(f"{kind}-src {where}" for kind, where in sources.items())
    rest = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"default-src 'none'; {allowed}; {rest}"


def _send(file: File, *, seconds: int = 0, policy: str | None = None) -> Response[str]:
    """Return a file, or status 304 if the browser has it already."""
    headers: dict[str, str | list[str]] = {
        **SAFE,
        "ETag": file.etag,
        "Cache-Control": f"public, max-age={seconds}, immutable" if seconds else "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": policy or "default-src 'none'; frame-ancestors 'none'",
    }
    request_headers = router.current_event.headers
    if file.etag in request_headers.get("if-none-match", ""):
        return Response(status_code=304, body="", headers=headers)
    packed = file.packed if "gzip" in request_headers.get("accept-encoding", "") else None
    headers |= {"Content-Encoding": "gzip"} if packed else {}
    # Without this flag, Powertools would encode bytes of type JSON as JSON again.
    body = b64encode(packed or file.plain).decode()
    answer = Response(status_code=200, content_type=file.content_type, body=body, headers=headers)
    answer.base64_encoded = True
    return answer


@cache
def _names() -> frozenset[str]:
    files = (path for path in WEB.rglob("*") if path.is_file())
    return frozenset(path.relative_to(WEB).as_posix() for path in files)


@cache
def _file(path: Path) -> File:
    content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _pack(path.read_bytes(), content_type)


@cache
def _description(resolver: Any) -> File:
    return _pack(json.dumps(openapi.describe(resolver)).encode(), "application/json")


def _pack(plain: bytes, content_type: str) -> File:
    packs = content_type.startswith(TEXT)
    return File(
        content_type=f"{content_type}; charset=utf-8" if packs else content_type,
        plain=plain,
        packed=gzip.compress(plain, mtime=0) if packs else None,
        etag=f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
    )
