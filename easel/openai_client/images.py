"""The paid image call, and the image in its answer."""

import binascii
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pybase64
from openai import OpenAI

from easel.contract.errors import TransientError
from easel.openai_client.answers import Answer, read_object
from easel.openai_client.client import Account, seconds_until

# Compression would save at most a quarter of a base64 image, and decompressing it would take longer
# than all other work.
UNCOMPRESSED = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, kw_only=True)
class ImageAnswer:
    """The bytes of an image, and the answer's `usage`.

    `intact` is false if the answer was not valid base64. `data` then holds the raw text.
    """

    data: bytes
    sha256: str
    intact: bool
    usage: dict[str, Any] | None


class ImageModel:
    """The image models of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def paint(
        self,
        parameters: dict[str, Any],
        *,
        timeout: float,
        slow_down: Callable[[float | None], None],
    ) -> ImageAnswer:
        """Paint one image. `timeout` is the limit for the whole call, in seconds.

        `slow_down` is called for each rate limit error. An error's `possibly_paid` is true if
        OpenAI may have charged for the call.
        """
        doing, end = f"the image call to {parameters['model']}", time.monotonic() + timeout

        def call(client: OpenAI) -> Answer:
            stream = client.images.with_streaming_response
            more: dict[str, Any] = {"timeout": seconds_until(end), "extra_headers": UNCOMPRESSED}
            with stream.generate(n=1, **more, **parameters) as answer:
                return read_object(answer, end=end, doing=doing)

        answer, request_id = self._account.call_within(
            call, end=end, doing=doing, slow_down=slow_down
        )
        encoded, usage = image_in(answer)
        if encoded is None:
            # A URL instead of the bytes is not followed, because today's models always send the
            # bytes.
            no_image = f"{doing}: the answer contains no image (request {request_id})"
            raise TransientError(no_image, possibly_paid=True)
        return decode_image(encoded, usage)


def image_in(body: Any) -> tuple[str | None, dict[str, Any] | None]:
    """Return the image's base64 and the usage from an answer's body. Each is None if missing."""
    body = body if isinstance(body, dict) else {}
    images, usage = body.get("data"), body.get("usage")
    first = images[0] if isinstance(images, list) and images else None
    encoded = first.get("b64_json") if isinstance(first, dict) else None
    encoded = encoded if isinstance(encoded, str) and encoded else None
    return encoded, usage if isinstance(usage, dict) else None


def decode_image(encoded: str, usage: dict[str, Any] | None) -> ImageAnswer:
    """Decode an image strictly, because a lenient decoder would hide damage."""
    try:
        data, intact = pybase64.b64decode(encoded, validate=True), True
    except (binascii.Error, ValueError):
        data, intact = encoded.encode(errors="replace"), False
    sha256 = hashlib.sha256(data).hexdigest()
    return ImageAnswer(data=data, sha256=sha256, intact=intact and bool(data), usage=usage)
