"""The body of an answer, read within a time and a size.

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

# The largest image in base64, and some JSON around it.
MAX_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 1024 * 1024
# More than any image of today's models, for a server that does not announce the length.
USUAL_BYTES = 16 * 1024 * 1024
# The server sends an answer once it has all of it: a longer silence in the middle is a broken
# connection. A call can outlast its time by as much.
MAX_SILENCE_SECONDS = 20.0
Answer = tuple[dict[str, Any], str | None]  # its JSON object, and the request id


def read_object(answer: openai.APIResponse[Any], *, end: float, doing: str) -> Answer:
    """Return the JSON object of a 200 answer and its request id; `end` is on the monotonic clock.

    Raises TransientError, and httpx2.HTTPError if the connection breaks.
    """
    request_id = answer.headers.get("x-request-id")
    note(openai_request_id=request_id)
    content = _read(answer, end=end, doing=f"{doing}: the answer (request {request_id})")
    try:
        read = _parse(content)
    except (ValueError, RecursionError) as error:  # the latter if it nests some thousand deep
        not_json = f"{doing}: the answer is not JSON (request {request_id})"
        raise TransientError(not_json, possibly_paid=True) from error
    if not isinstance(read, dict):
        no_object = f"{doing}: the answer is not a JSON object (request {request_id})"
        raise TransientError(no_object, possibly_paid=True)
    return read, request_id


def _parse(content: bytes) -> Any:
    try:
        return jiter.from_json(content)  # at a third of json's time and memory
    except ValueError:
        # json takes more, such as half a surrogate pair: no paid image is lost for that.
        return json.loads(content)


def _read(answer: openai.APIResponse[Any], *, end: float, doing: str) -> bytes:
    # httpx2's timeout bounds each read, not the whole: the headers had all of the time, the body
    # has what is left of it.
    left = max(0.1, min(MAX_SILENCE_SECONDS, end - time.monotonic()))
    answer.http_response.request.extensions["timeout"]["read"] = left
    # Large enough from the start: growing leaves a hole in memory, and what is not written takes
    # none. The buffer returns its content without a copy.
    length = answer.headers.get("content-length", "")
    size = min(int(length), MAX_BYTES) if length.isdecimal() else USUAL_BYTES
    content = io.BytesIO(bytes(size))
    for chunk in answer.iter_bytes():  # as they come: a chunk size would wait until one is full
        content.write(chunk)
        if content.tell() > MAX_BYTES:
            too_large = f"{doing} is larger than {MAX_BYTES:,} bytes"
            raise TransientError(too_large, possibly_paid=True)
        if time.monotonic() > end:
            too_late = f"{doing} took too long: only {content.tell():,} bytes arrived in time"
            raise TransientError(too_late, possibly_paid=True)
    content.truncate()
    return content.getvalue()
