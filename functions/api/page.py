"""What is read in a browser: the page, its settings, and the API's description. Public, and nothing in it is secret."""

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
from aws_lambda_powertools.event_handler.openapi import swagger_ui
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.api import document
from functions.api.outside import Outside, given
from functions.api.routes import READ, WRITE
from functions.errors import NotFoundError

router = APIGatewayHttpRouter()
# Files are no part of the description.
PLAIN: dict[str, Any] = {"include_in_schema": False, "enable_validation": False}
WEB = Path(__file__).parent / "web"
VIEWER = Path(swagger_ui.__file__).parent
DOCS = {file.name: file for file in (WEB / "docs" / "start.js", VIEWER / "swagger-ui-bundle.min.js", VIEWER / "swagger-ui.min.css")}
TEXT = ("text/", "application/json", "image/svg+xml")
YEAR = 365 * 24 * 3600
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
    """A file as it goes over the wire: compressed where that helps."""

    content_type: str
    plain: bytes
    packed: bytes | None
    etag: str


@router.get("/", **PLAIN)
def index() -> Response[str]:
    """The page."""
    return _sent(_file(WEB / "index.html"), policy=_page_policy(given(router)))


@router.get("/web/.+", **PLAIN)
def web_file() -> Response[str]:
    """The page's scripts, styles and pictures."""
    file = router.current_event.path.removeprefix("/web/")
    if file not in _names():
        raise NotFoundError(f"there is no file web/{file!a}")
    # A vendored file has its version in its path.
    return _sent(_file(WEB / file), seconds=YEAR if file.startswith("vendor/") else 0)


@router.get("/config.json", **PLAIN)
def config() -> Response[str]:
    """What the page has to know before anybody has signed in."""
    return _sent(_packed(json.dumps(page_config(given(router))).encode(), "application/json"))


@router.get("/openapi.json", **PLAIN)
def openapi() -> Response[str]:
    """The API's description."""
    return _sent(_description(router.api_resolver))


@router.get("/docs", **PLAIN)
def docs() -> Response[str]:
    """The description for people."""
    # The viewer sets styles from its scripts, and has its icons in its stylesheet.
    policy = _policy(script="'self'", style="'self' 'unsafe-inline'", img="'self' data:", connect="'self'")
    return _sent(_file(WEB / "docs" / "index.html"), policy=policy)


@router.get("/docs/<file>", **PLAIN)
def docs_file(file: str) -> Response[str]:
    """The viewer's own files, which Powertools brings."""
    if file not in DOCS:
        raise NotFoundError(f"there is no file docs/{file!a}")
    return _sent(_file(DOCS[file]), seconds=3600)


def page_config(outside: Outside) -> dict[str, Any]:
    """Where to sign in, and whence pictures come. The sign-in's addresses stand here, since its discovery document names AWS's own."""
    region, sign_in = outside.settings.region, outside.api.sign_in_url
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{outside.api.user_pool}"
    return {
        "sign_in": {
            "authority": issuer,
            "client_id": outside.api.page_client,
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
        "page_url": outside.api.page_url,
        "images_origin": outside.links.origin,
        "sign_in_origin": sign_in,
        "region": region,
    }


def _page_policy(outside: Outside) -> str:
    known = page_config(outside)
    return _policy(script="'self'", style="'self'", img=f"'self' {known['images_origin']}", connect=f"'self' {known['sign_in_origin']}")


def _policy(**sources: str) -> str:
    allowed = "; ".join(f"{kind}-src {where}" for kind, where in sources.items())
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _sent(file: File, *, seconds: int = 0, policy: str | None = None) -> Response[str]:
    """A file, or 304 where the browser has it already."""
    headers: dict[str, str | list[str]] = {
        **SAFE,
        "ETag": file.etag,
        "Cache-Control": f"public, max-age={seconds}, immutable" if seconds else "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": policy or "default-src 'none'; frame-ancestors 'none'",
    }
    asked = router.current_event.headers
    if file.etag in asked.get("if-none-match", ""):
        return Response(status_code=304, body="", headers=headers)
    packed = file.packed if "gzip" in asked.get("accept-encoding", "") else None
    headers |= {"Content-Encoding": "gzip"} if packed else {}
    # As bytes, Powertools would put what says that it is JSON into JSON once more.
    body = b64encode(packed or file.plain).decode()
    answer = Response(status_code=200, content_type=file.content_type, body=body, headers=headers)
    answer.base64_encoded = True
    return answer


@cache
def _names() -> frozenset[str]:
    return frozenset(path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.is_file())


@cache
def _file(path: Path) -> File:
    return _packed(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


@cache
def _description(resolver: Any) -> File:
    return _packed(json.dumps(document.described(resolver)).encode(), "application/json")


def _packed(plain: bytes, content_type: str) -> File:
    packs = content_type.startswith(TEXT)
    return File(
        content_type=f"{content_type}; charset=utf-8" if packs else content_type,
        plain=plain,
        packed=gzip.compress(plain, mtime=0) if packs else None,
        etag=f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
    )
