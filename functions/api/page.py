"""Everything that a browser loads: the page, its settings, and the API's description.

It is public and contains no secrets.
"""

import gzip
import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import NotFoundError
from easel.page import files
from easel.page.config import PageSettings, page_config
from easel.page.files import DOCS, DOCS_INDEX, HOUR, INDEX, SAFE, TEXT, WEB
from functions.api import openapi
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
# Files are not part of the API's description.
PLAIN: dict[str, Any] = {"include_in_schema": False, "enable_validation": False}


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
    images, sign_in = services.image_links.origin, services.api.sign_in_url
    return _send(_file(INDEX), policy=files.page_policy(images=images, sign_in=sign_in))


@router.get("/web/.+", **PLAIN)
def web_file() -> Response[str]:
    """Return one of the page's scripts, styles or images."""
    file = router.current_event.path.removeprefix("/web/")
    if file not in files.names():
        raise NotFoundError(f"there is no file web/{file!a}")
    return _send(_file(WEB / file), seconds=files.seconds_of(file))


@router.get("/config.json", **PLAIN)
def config() -> Response[str]:
    """Return the settings that the page needs before sign-in."""
    body = json.dumps(page_config(page_settings(services_of(router)))).encode()
    return _send(_pack(body, "application/json"))


@router.get("/openapi.json", **PLAIN)
def description() -> Response[str]:
    """Return the API's description."""
    return _send(_description(router.api_resolver))


@router.get("/docs", **PLAIN)
def docs() -> Response[str]:
    """Return the page that shows the API's description."""
    return _send(_file(DOCS_INDEX), policy=files.docs_policy())


@router.get("/docs/<file>", **PLAIN)
def docs_file(file: str) -> Response[str]:
    """Return one of the viewer's files."""
    if file not in DOCS:
        raise NotFoundError(f"there is no file docs/{file!a}")
    return _send(_file(DOCS[file]), seconds=HOUR)


def page_settings(services: ApiServices) -> PageSettings:
    """Return the page's settings, from the API's environment."""
    return PageSettings(
        page_url=services.api.page_url,
        sign_in_url=services.api.sign_in_url,
        images_origin=services.image_links.origin,
        region=services.storage.region,
        user_pool=services.api.user_pool,
        page_client=services.api.page_client,
        shares=services.delivery.url is not None,
    )


def _send(file: File, *, seconds: int = 0, policy: str | None = None) -> Response[str]:
    """Return a file, or status 304 if the browser has it already."""
    headers: dict[str, str | list[str]] = {
        **SAFE,
        "ETag": file.etag,
        "Cache-Control": files.cache_control(seconds),
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": policy or files.NOTHING,
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
def _file(path: Path) -> File:
    return _pack(path.read_bytes(), files.content_type(path))


@cache
def _description(resolver: Any) -> File:
    return _pack(json.dumps(openapi.describe(resolver)).encode(), "application/json")


def _pack(plain: bytes, content_type: str) -> File:
    packs = content_type.startswith(TEXT)
    return File(
        content_type=files.with_charset(content_type),
        plain=plain,
        packed=gzip.compress(plain, mtime=0) if packs else None,
        etag=f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
    )
