"""What goes back over the wire: the true answer or what a rule puts in its place, and errors in the real API's shape."""

import asyncio
import json
import random
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from local.fake_openai.faults import Rule

_PLACE = uuid4().hex  # where a picture goes; nobody's text holds it


def is_done(rule: Rule | None) -> bool:
    """Whether what was asked for is done, and charged, even if the answer is replaced or lost."""
    return rule is None or rule.charged or not is_replaced(rule)


def is_replaced(rule: Rule | None) -> bool:
    """Whether the rule has an answer of its own."""
    return rule is not None and bool(rule.status or rule.answer is not None)


async def answer(true: Any, rule: Rule | None) -> Response:
    """The true answer as the rule lets it pass."""
    headers = {"x-request-id": f"req_{random.getrandbits(48):012x}"}
    if rule and rule.delay is not None:
        await asyncio.sleep(rule.delay)
    if rule is None or rule.delay is not None:
        return Response(written(true), headers=headers, media_type="application/json")
    if rule.cut:
        return CutResponse(written(true), headers=headers)
    said = rule.body if rule.status else rule.answer
    headers |= dict(rule.headers or {})
    if isinstance(said, str):
        return PlainTextResponse(said, status_code=rule.status or 200, headers=headers, media_type="application/json")
    return JSONResponse(said, status_code=rule.status or 200, headers=headers)


def written(true: Any) -> bytes:
    """As JSON. Bytes in it are base64 and go out as they are: to look at each letter of a picture costs more than all else here."""
    pictures: list[bytes] = []

    def put_aside(picture: bytes) -> str:
        pictures.append(picture)
        return _PLACE

    first, *rest = json.dumps(true, default=put_aside).encode().split(_PLACE.encode())
    return b"".join((first, *(part for pair in zip(pictures, rest, strict=True) for part in pair)))


class CutResponse(Response):
    """Promises a whole body, sends half of it, and hangs up."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send half."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": bytes(self.body[: len(self.body) // 2]), "more_body": True})
        raise ConnectionAbortedError("cut as a test wants it")


def error_body(kind: str, message: str, code: str | None, param: str | None) -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error(status: int, kind: str, message: str, code: str | None, param: str | None, *, headers: dict[str, str] | None = None) -> Response:
    """An error."""
    return JSONResponse(error_body(kind, message, code, param), status_code=status, headers=headers)


def refusal(message: str, code: str | None, param: str | None, *, status: int = 400) -> Response:
    """An error that is the caller's."""
    return error(status, "invalid_request_error", message, code, param)


def new_id(kind: str) -> str:
    """An id as the API makes them."""
    return f"{kind}{uuid4().hex}"
