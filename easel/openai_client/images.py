"""The paid image call, and the image in its answer."""

import binascii
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pybase64
from openai import OpenAI

from easel.contract.errors import ConfigError, EaselError, TransientError
from easel.openai_client.answers import Answer, read_object
from easel.openai_client.client import Account, seconds_until
from easel.openai_client.errors import translate_answer
from easel.request import models

# Compression would save at most a quarter of a base64 image, and decompressing it would take longer
# than all other work.
UNCOMPRESSED = {"Accept-Encoding": "identity"}
URL_ALPHABET = str.maketrans("-_", "+/")


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
        if models.image_facts(parameters["model"]) is None:
            # OpenAI's own models always send the bytes, and refuse this parameter.
            parameters = parameters | {"response_format": "b64_json"}

        def call(client: OpenAI) -> Answer:
            def send(accepted: dict[str, Any]) -> Answer:
                stream, left = client.images.with_streaming_response, seconds_until(end)
                with stream.generate(
                    n=1, extra_headers=UNCOMPRESSED, timeout=left, **accepted
                ) as answer:
                    return read_object(answer, end=end, doing=doing)

            return self._account.accepted.call(parameters, send)

        answer, request_id = self._account.call_within(
            call, end=end, doing=doing, parameters=parameters, slow_down=slow_down
        )
        failure = translate_answer(answer, doing)
        if failure:
            raise failure
        encoded, usage = image_in(answer)
        if encoded is None:
            raise _without_image(answer, doing, request_id)
        return decode_image(encoded, usage)


def image_in(body: Any) -> tuple[str | None, dict[str, Any] | None]:
    """Return the image's base64 and the usage from an answer's body. Each is None if missing."""
    first, usage = _first(body), body.get("usage") if isinstance(body, dict) else None
    encoded = first.get("b64_json") or _data_url(first.get("url"))
    encoded = encoded if isinstance(encoded, str) and encoded else None
    return encoded, usage if isinstance(usage, dict) else None


def decode_image(encoded: str, usage: dict[str, Any] | None) -> ImageAnswer:
    """Decode an image strictly, because a lenient decoder would hide damage."""
    try:
        data, intact = _decode(encoded), True
    except (binascii.Error, ValueError):
        data, intact = encoded.encode(errors="replace"), False
    sha256 = hashlib.sha256(data).hexdigest()
    return ImageAnswer(data=data, sha256=sha256, intact=intact and bool(data), usage=usage)


def _decode(encoded: str) -> bytes:
    """Return the bytes of base64, also if it is wrapped as gateways wrap it.

    They put it into a data URL, break its lines, leave out its padding, or use the alphabet for
    URLs. Raises ValueError for everything else.
    """
    try:
        return pybase64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        text = "".join((_data_url(encoded) or encoded).split()).rstrip("=")
        text = text.translate(URL_ALPHABET)
        return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _first(body: Any) -> dict[str, Any]:
    images = body.get("data") if isinstance(body, dict) else None
    first = images[0] if isinstance(images, list) and images else None
    return first if isinstance(first, dict) else {}


def _data_url(text: object) -> str | None:
    """Return the base64 in a data URL, or None if it is none."""
    if not isinstance(text, str) or text[:5].lower() != "data:":
        return None
    head, comma, data = text.partition(",")
    return data if comma and head.lower().endswith(";base64") else None


def _without_image(answer: Any, doing: str, request_id: str | None) -> EaselError:
    """Return the error for a paid answer without the bytes of an image."""
    if isinstance(_first(answer).get("url"), str):
        # The same call would bring a URL again, so it must not be bought again. The URL is not
        # followed: it may lead anywhere.
        return ConfigError(
            f"{doing}: the server sends a URL instead of the image's bytes (request {request_id}); "
            "configure it to send b64_json, or set openai_base_url to another server",
            possibly_paid=True,
        )
    no_image = f"{doing}: the answer contains no image (request {request_id})"
    return TransientError(no_image, possibly_paid=True)
