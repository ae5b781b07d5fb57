"""JSON responses, errors and pages in the real API's shape, and faults applied to a response."""

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from local.fake_openai.faults import Rule
from local.fake_openai.requests import INVALID, RefusedError

LOOK_SECONDS = 0.05
_PLACEHOLDER = uuid4().hex  # marks an image's place; no text contains it


def is_done(rule: Rule | None) -> bool:
    """Return whether the request takes effect and is charged, even if its response is lost."""
    return rule is None or rule.charged or not is_replaced(rule)


def is_replaced(rule: Rule | None) -> bool:
    """Return whether the rule replaces the response."""
    return rule is not None and bool(rule.status or rule.answer is not None)


async def answer(body: Any, rule: Rule | None) -> Response:
    """Return a response with this body. Delay, cut or replace it if the rule says so."""
    headers = {"x-request-id": f"req_{random.getrandbits(48):012x}"}
    if rule and rule.delay is not None:
        await _wait(rule)
    if rule is None or rule.delay is not None:
        return Response(to_bytes(body), headers=headers, media_type="application/json")
    if rule.cut:
        return CutResponse(to_bytes(body), headers=headers)
    headers |= dict(rule.headers or {})
    status, replacement = rule.status or 200, rule.body if rule.status else rule.answer
    if isinstance(replacement, str):
        return PlainTextResponse(
            replacement, status_code=status, headers=headers, media_type="application/json"
        )
    return JSONResponse(replacement, status_code=status, headers=headers)


async def _wait(rule: Rule) -> None:
    """Wait for the rule's delay. Deleting the rules ends it."""
    clock = asyncio.get_running_loop().time
    start = clock()
    while (left := start + (rule.delay or 0) - clock()) > 0:
        await asyncio.sleep(min(left, LOOK_SECONDS))


def to_bytes(body: Any) -> bytes:
    """Return the body as JSON. Bytes in it are base64 and are copied unchanged.

    Escaping an image's base64 letter by letter would cost more than everything else here.
    """
    images: list[bytes] = []

    def put_aside(image: bytes) -> str:
        images.append(image)
        return _PLACEHOLDER

    first, *rest = json.dumps(body, default=put_aside).encode().split(_PLACEHOLDER.encode())
    pairs = zip(images, rest, strict=True)
    return b"".join((first, *(part for pair in pairs for part in pair)))


class CutResponse(Response):
    """A response that promises a whole body, sends half of it, and closes the connection."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the first half."""
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        raise ConnectionAbortedError("cut, as a test demands")


@dataclass(frozen=True, kw_only=True)
class ApiError:
    """An error in the real API's shape. By default, its kind means that the caller is at fault."""

    message: str
    code: str | None = None
    param: str | None = None
    kind: str = INVALID

    @classmethod
    def of(cls, refused: RefusedError) -> "ApiError":
        """Return the error of a refused request."""
        code, param, kind = refused.code, refused.param, refused.kind
        return cls(message=str(refused), code=code, param=param, kind=kind)

    def to_json(self) -> dict[str, Any]:
        """Return the body of the error."""
        fields = {"message": self.message, "type": self.kind}
        return {"error": {**fields, "param": self.param, "code": self.code}}

    def response(self, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """Return the error as a response."""
        return JSONResponse(self.to_json(), status_code=status, headers=headers)


def refusal(message: str, code: str | None, param: str | None, *, status: int = 400) -> Response:
    """Return an error that is the caller's fault."""
    return ApiError(message=message, code=code, param=param).response(status)


def page(
    items: Sequence[dict[str, Any]], request: Request, *, default: int, maximum: int
) -> Response:
    """Return the items that follow `after`, at most `limit` of them.

    A page starts after an id, so items that are added at the front do not shift the pages.
    """
    after = request.query_params.get("after")
    limit = request.query_params.get("limit", str(default))
    if not limit.isdecimal() or not 1 <= int(limit) <= maximum:
        return refusal(f"Invalid 'limit': must be 1 to {maximum}.", "invalid_value", "limit")
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        return refusal(f"Invalid 'after': '{after}' is not in the list.", "invalid_value", "after")
    start = ids.index(after) + 1 if after is not None else 0
    data = list(items[start : start + int(limit)])
    return JSONResponse(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": start + len(data) < len(items),
        }
    )


def new_id(prefix: str) -> str:
    """Return an id in the API's format."""
    return f"{prefix}{uuid4().hex}"
