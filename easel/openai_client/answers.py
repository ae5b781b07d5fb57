"""The body of an answer, read within a time and a size: what breaks those may still have been charged."""

import io
import json
import time
from typing import Any

import jiter
import openai

from functions.errors import TransientError
from functions.telemetry import note

# A picture of 64 MiB, the most that the upload step takes, in base64, and some JSON around it.
MAX_BYTES = 64 * 1024 * 1024 * 4 // 3 + 1024 * 1024
USUAL_BYTES = 16 * 1024 * 1024  # more than any picture of today's models, where the server does not say
# The server sends an answer once it has all of it: a longer silence in the middle is a broken connection. A call can outlast its
# time by as much.
MAX_SILENCE_SECONDS = 20.0


def read_object(answer: openai.APIResponse[Any], *, end: float, doing: str) -> tuple[dict[str, Any], str | None]:
    """The JSON object of a 200 answer and its request id; `end` is on the monotonic clock.

    Raises TransientError, and httpx2.HTTPError where the connection breaks.
    """
    request_id = answer.headers.get("x-request-id")
    note(openai_request_id=request_id)
    content = _read(answer, end=end, doing=f"{doing}: the answer (request {request_id})")
    try:
        read = _parsed(content)
    except (ValueError, RecursionError) as error:  # the latter where it nests some thousand deep
        raise TransientError(f"{doing}: the answer is not JSON (request {request_id})", possibly_paid=True) from error
    if not isinstance(read, dict):
        raise TransientError(f"{doing}: the answer is no JSON object (request {request_id})", possibly_paid=True)
    return read, request_id


def _parsed(content: bytes) -> Any:
    try:
        return jiter.from_json(content)  # at a third of json's time and memory
    except ValueError:
        return json.loads(content)  # it takes more, such as half a surrogate pair: no paid picture is lost for that


def _read(answer: openai.APIResponse[Any], *, end: float, doing: str) -> bytes:
    # A timeout of httpx2 bounds each read, not the whole: the headers had all of the time, the body has what is left of it.
    answer.http_response.request.extensions["timeout"]["read"] = max(0.1, min(MAX_SILENCE_SECONDS, end - time.monotonic()))
    # Large enough from the start: growing leaves a hole in memory, and what is not written takes none. It gives what it holds uncopied.
    said = answer.headers.get("content-length", "")
    content = io.BytesIO(bytes(min(int(said), MAX_BYTES) if said.isdecimal() else USUAL_BYTES))
    for chunk in answer.iter_bytes():  # as they come: a chunk size would wait until one is full
        content.write(chunk)
        if content.tell() > MAX_BYTES:
            raise TransientError(f"{doing} is larger than {MAX_BYTES:,} bytes", possibly_paid=True)
        if time.monotonic() > end:
            raise TransientError(f"{doing} took too long: {content.tell():,} bytes came", possibly_paid=True)
    content.truncate()
    return content.getvalue()
