"""Reads the body of an answer within limits of time and size.

An answer that exceeds them may still have been charged.
"""

import io
import json
import time
from typing import Any

import jiter
import openai

from easel.aws.observability import note
from easel.contract.errors import TransientError
from easel.contract.naming import MAX_IMAGE_BYTES

# This is the largest image in base64, with some JSON around it.
MAX_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 1024 * 1024
# No image of today's models is larger. This size is used if the server sends no Content-Length.
USUAL_BYTES = 16 * 1024 * 1024
# The server sends an answer only when it is complete, so a longer silence means a broken
# connection. A call can exceed its time limit by this much.
MAX_SILENCE_SECONDS = 20.0
Answer = tuple[dict[str, Any], str | None]  # the JSON object, and the request id


def read_object(answer: openai.APIResponse[Any], *, end: float, doing: str) -> Answer:
    """Return an answer's JSON object and its request id. `end` is on the monotonic clock.

    Raises TransientError, and httpx2.HTTPError if the connection breaks.
    """
    request_id = answer.headers.get("x-request-id")
    note(openai_request_id=request_id)
    content = _read(answer, end=end, doing=f"{doing}: the answer (request {request_id})")
    try:
        value = _parse(content)
    except (ValueError, RecursionError) as error:  # RecursionError: nested too deep
        not_json = f"{doing}: the answer is not JSON (request {request_id})"
        raise TransientError(not_json, possibly_paid=True) from error
    if not isinstance(value, dict):
        no_object = f"{doing}: the answer is not a JSON object (request {request_id})"
        raise TransientError(no_object, possibly_paid=True)
    return value, request_id


def _parse(content: bytes) -> Any:
    try:
        return jiter.from_json(content)  # needs a third of json's time and memory
    except ValueError:
        # json accepts more input, such as half a surrogate pair, and a paid image must not be lost.
        return json.loads(content)


def _read(answer: openai.APIResponse[Any], *, end: float, doing: str) -> bytes:
    # httpx2's timeout bounds each read, not the whole answer. The headers could use the whole time
    # limit, so the body gets what is left of it.
    left = max(0.1, min(MAX_SILENCE_SECONDS, end - time.monotonic()))
    answer.http_response.request.extensions["timeout"]["read"] = left
    # The buffer starts at its full size, because growing it would fragment the memory. Unwritten
    # pages use no memory. BytesIO returns its content without a copy.
    length = answer.headers.get("content-length", "")
    size = min(int(length), MAX_BYTES) if length.isdecimal() else USUAL_BYTES
    content = io.BytesIO(bytes(size))
    for chunk in answer.iter_bytes():  # without a chunk size, chunks come without delay
        content.write(chunk)
        if content.tell() > MAX_BYTES:
            too_large = f"{doing} is larger than {MAX_BYTES:,} bytes"
            raise TransientError(too_large, possibly_paid=True)
        if time.monotonic() > end:
            too_late = f"{doing} took too long: only {content.tell():,} bytes arrived in time"
            raise TransientError(too_late, possibly_paid=True)
    content.truncate()
    return content.getvalue()
