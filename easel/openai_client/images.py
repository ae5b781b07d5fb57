"""The paid image call, and the image in its answer."""

import binascii
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Protocol
from urllib.parse import unquote

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
AROUND = "\"' \t\r\n\u200b\ufeff"
IMAGE_FIELDS = ("b64_json", "base64", "b64", "image_base64", "url", "image_url")
LEAST_BARE = 64  # characters of a text without a field's name; no image is shorter
MAX_PREFIX = 200  # characters of a data URL before its data


@dataclass(frozen=True, kw_only=True)
class ImageAnswer:
    """The bytes of an image, and the answer's `usage`.

    `intact` is false if the answer was not valid base64. `data` then holds the raw text.
    """

    data: bytes
    sha256: str
    intact: bool
    usage: dict[str, Any] | None


class InputImage(Protocol):
    """An image that the new image is made from: a file that can be read again."""

    @property
    def name(self) -> str:
        """Return the file's name."""

    @property
    def file(self) -> IO[bytes]:
        """Return the file."""

    @property
    def content_type(self) -> str:
        """Return the file's type, such as image/png."""


class ImageModel:
    """The image models of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def paint(
        self,
        parameters: dict[str, Any],
        *,
        images: Sequence[InputImage] = (),
        mask: InputImage | None = None,
        timeout: float,
        slow_down: Callable[[float | None], None],
    ) -> ImageAnswer:
        """Paint one image. `timeout` is the limit for the whole call, in seconds.

        With `images`, it is made from them. A `mask` marks what may change in the first one. The
        files are sent in pieces, so their size needs no memory. `slow_down` is called for each rate
        limit error. An error's `possibly_paid` is true if OpenAI may have charged for the call.
        """
        doing, end = f"the image call to {parameters['model']}", time.monotonic() + timeout
        if models.image_facts(parameters["model"]) is None:
            # OpenAI's own models always send the bytes, and refuse this parameter.
            parameters = parameters | {"response_format": "b64_json"}

        files: dict[str, Any] = {"image": [_to_part(image) for image in images]} if images else {}
        if mask:
            files["mask"] = _to_part(mask)

        def call(client: OpenAI) -> Answer:
            def send_once(accepted: dict[str, Any]) -> Answer:
                stream = client.images.with_streaming_response
                send = partial(stream.edit, **files) if files else stream.generate
                left = seconds_until(end)
                with send(n=1, extra_headers=UNCOMPRESSED, timeout=left, **accepted) as answer:
                    return read_object(answer, end=end, doing=doing)

            return self._account.accepted.call(parameters, send_once)

        answer, request_id = self._account.call_within(
            call, end=end, doing=doing, parameters=parameters, slow_down=slow_down
        )
        encoded, usage = image_in(answer)
        if encoded is None:
            raise translate_answer(answer, doing) or _without_image(answer, doing, request_id)
        return decode_image(encoded, usage)


def _to_part(image: InputImage) -> tuple[str, IO[bytes], str]:
    return image.name, image.file, image.content_type


def image_in(body: Any) -> tuple[str | None, dict[str, Any] | None]:
    """Return the image's base64 and the usage from an answer's body. Each is None if missing."""
    usage = body.get("usage") if isinstance(body, dict) else None
    encoded = (text for text in _texts(body) if not _is_address(text))
    return next(encoded, None), usage if isinstance(usage, dict) else None


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

    They put it into a data URL or quotes, break its lines, leave out its padding, or use the
    alphabet for URLs. Raises ValueError for everything else.
    """
    try:
        return pybase64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        text = encoded.strip()
        text = text[1:] if text.startswith(("b'", 'b"')) else text  # Python's str() of bytes
        text = _after_prefix(text.strip(AROUND))
        text = unquote(text) if "%" in text else text
        text = "".join(text.split()).rstrip("=").translate(URL_ALPHABET)
        return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _after_prefix(text: str) -> str:
    """Return the base64 behind `base64,`, which is all of a data URL that some servers keep."""
    head, comma, data = text[:MAX_PREFIX].partition(",")
    is_prefix = comma and head.lower().endswith("base64")
    return data + text[MAX_PREFIX:] if is_prefix else text


def _texts(body: Any) -> Iterator[str]:
    """Yield the texts of an answer that may be an image, or its address. OpenAI's come first."""
    fields = body if isinstance(body, dict) else {}
    for name in ("data", "images", "image"):
        images = fields.get(name)
        for image in images if isinstance(images, list) else [images]:
            if isinstance(image, str) and len(image) >= LEAST_BARE:
                yield image
            yield from _fields_of(image)


def _fields_of(image: Any) -> Iterator[str]:
    for name in IMAGE_FIELDS if isinstance(image, dict) else ():
        value = image.get(name)
        if isinstance(value, str) and value:
            yield value
        yield from _fields_of(value)


def _is_address(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def _without_image(answer: Any, doing: str, request_id: str | None) -> EaselError:
    """Return the error for a paid answer without the bytes of an image."""
    if any(map(_is_address, _texts(answer))):
        # The same call would bring a URL again, so it must not be bought again. The URL is not
        # followed: it may lead anywhere.
        return ConfigError(
            f"{doing}: the server sends a URL instead of the image's bytes (request {request_id}); "
            "configure it to send b64_json, or set openai_base_url to another server",
            possibly_paid=True,
        )
    no_image = f"{doing}: the answer contains no image (request {request_id})"
    return TransientError(no_image, possibly_paid=True)
