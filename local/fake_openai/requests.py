"""The checks of the real API, with errors of the same shape, so that wrong calls are noticed."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

CHOICES = {
    "quality": ("auto", "low", "medium", "high", "xhigh", "max"),
    "background": ("auto", "opaque", "transparent"),
    "output_format": ("png", "jpeg", "webp"),
    "moderation": ("auto", "low"),
}
KNOWN = {"model", "prompt", "n", "size", "output_compression", "safety_identifier", "user"}
KNOWN |= CHOICES.keys()
NOT_IN_EDITS = {"moderation"}
# OpenAI bills an image by its patches. These are the numbers of patches along the longer edge for
# each quality of gpt-image-2.5.
EFFORT = {"low": 16, "medium": 24, "high": 48, "auto": 48, "xhigh": 72, "max": 96}
# The patches of an input image, in pixels of an edge and in their number.
PATCH, MAX_PATCHES = 32, 1_536
ROUNDING = 1e-9  # an error of a float that does not begin another patch
MAX_INPUT_IMAGES = 16

MAX_SAFETY_IDENTIFIER = 64

BATCH_KNOWN = {
    "input_file_id",
    "endpoint",
    "completion_window",
    "metadata",
    "output_expires_after",
}
GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
BATCH_ENDPOINTS = (GENERATIONS, EDITS)  # the endpoints that batches may use here
INVALID, UNUSABLE = "invalid_request_error", "image_generation_user_error"

# The purposes of uploads here, with the seconds after which the real API deletes such a file.
PURPOSES = {"batch": 30 * 24 * 3600, "vision": None}
EXPIRY = ("expires_after[anchor]", "expires_after[seconds]")


class RefusedError(ValueError):
    """A request that the API answers with status 400.

    The real API uses the kind UNUSABLE for what its image models cannot use, such as a damaged
    image, and INVALID for the rest.
    """

    def __init__(
        self,
        param: str | None,
        message: str,
        code: str | None = "invalid_value",
        kind: str = INVALID,
    ) -> None:
        super().__init__(message)
        self.param, self.code, self.kind = param, code, kind


def check_image(body: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height of a valid request. Raise RefusedError."""
    _check_known(body, KNOWN)
    for name in ("model", "prompt"):
        _require(body, name)
    if len(body["prompt"]) > 32_000:
        raise RefusedError(
            "prompt", "Invalid 'prompt': string too long.", "string_above_max_length"
        )
    for name, allowed in CHOICES.items():
        if body.get(name, allowed[0]) not in allowed:
            supported = ", ".join(allowed)
            raise RefusedError(
                name, f"Invalid value: '{body[name]}'. Supported values are: {supported}."
            )
    for name, least, most in (("n", 1, 10), ("output_compression", 0, 100)):
        if not isinstance(body.get(name, most), int) or not least <= body.get(name, most) <= most:
            raise RefusedError(name, f"Invalid '{name}': must be {least} to {most}.")
    check_user(body)
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        raise RefusedError("background", "Transparent background is not supported for 'jpeg'.")
    return _size(body.get("size", "auto"))


def check_edit(body: Mapping[str, Any]) -> tuple[int, int]:
    """Return the width and height of a valid edit, which has fewer parameters.

    `body` has no images. Raise RefusedError.
    """
    if "input_fidelity" in body:
        message = (
            f"The model '{body.get('model')}' does not support the 'input_fidelity' parameter."
        )
        raise RefusedError("input_fidelity", message, "invalid_input_fidelity_model", UNUSABLE)
    _check_known(body, KNOWN - NOT_IN_EDITS)
    return check_image(body)


def check_user(body: Mapping[str, Any]) -> None:
    """Raise RefusedError if the safety identifier is not valid."""
    identifier = body.get("safety_identifier", "any")
    if not isinstance(identifier, str) or not 1 <= len(identifier) <= MAX_SAFETY_IDENTIFIER:
        problem = f"a string of at most {MAX_SAFETY_IDENTIFIER} characters"
        raise RefusedError("safety_identifier", f"Invalid 'safety_identifier': {problem}.")


def check_batch(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the request that the API repeats in the batch.

    Raise RefusedError if the request is not valid.
    """
    _check_known(body, BATCH_KNOWN)
    required: tuple[tuple[str, Sequence[str]], ...] = (
        ("input_file_id", ()),
        ("endpoint", BATCH_ENDPOINTS),
        ("completion_window", ("24h",)),
    )
    for name, allowed in required:
        _require(body, name)
        if allowed and body[name] not in allowed:
            supported = ", ".join(f"'{value}'" for value in allowed)
            raise RefusedError(
                name, f"Invalid value: '{body[name]}'. Supported values are: {supported}."
            )
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict) or len(metadata) > 16:
        raise RefusedError("metadata", "Invalid 'metadata': must be an object of at most 16 pairs.")
    for key, text in metadata.items():
        if len(key) > 64 or not isinstance(text, str) or len(text) > 512:
            limits = "keys have at most 64 characters, values are strings of at most 512"
            raise RefusedError(f"metadata.{key}", f"Invalid 'metadata': {limits}.")
    return {name: body[name] for name, _ in required} | {"metadata": metadata}


def check_file(fields: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return the purpose of an upload, and its life in seconds, or None for no end.

    Raise RefusedError if a field is not valid. `fields` has no file.
    """
    _check_known(fields, {"purpose", *EXPIRY})
    purpose = fields.get("purpose")
    if purpose not in PURPOSES:
        raise RefusedError("purpose", f"'{purpose}' is not one of {list(PURPOSES)}")
    if not fields.keys() & EXPIRY:
        return purpose, PURPOSES[purpose]
    anchor, seconds = (fields.get(name, "") for name in EXPIRY)
    if anchor != "created_at":
        raise RefusedError(EXPIRY[0], f"Invalid value: '{anchor}'. Supported values: 'created_at'.")
    least, most = 3600, 30 * 24 * 3600
    if not str(seconds).isdecimal() or not least <= int(seconds) <= most:
        raise RefusedError(EXPIRY[1], f"Invalid value: '{seconds}'. It must be {least} to {most}.")
    return purpose, int(seconds)


def output_tokens(quality: str, width: int, height: int) -> int:
    """Return the tokens that the real API would bill for the image itself."""
    long, short = max(width, height), min(width, height)
    patches = EFFORT[quality] * round(EFFORT[quality] * short / long)
    return -(-patches * (2_000_000 + width * height) // 4_000_000)


def image_tokens(width: int, height: int) -> int:
    """Return the tokens that the real API bills for an input image of this size in pixels.

    Users measured it: https://community.openai.com/t/1382940. An image is magnified up to twofold
    towards 1024 pixels, extended to a ratio of at most 3:1, and cut into patches. An image with too
    many patches is scaled down, so that a whole number of patches fits.
    """
    magnified = min(Fraction(2), max(Fraction(1), Fraction(1024, max(width, height))))
    wide, high = width * magnified, height * magnified
    columns, rows = max(wide, high / 3) / PATCH, max(high, wide / 3) / PATCH
    patches = math.ceil(columns) * math.ceil(rows)
    if patches <= MAX_PATCHES:
        return patches
    fit = math.sqrt(MAX_PATCHES / (columns * rows))
    # The side that is nearer to a whole number of patches is scaled to that number.
    fit *= min(math.floor(side * fit) / (side * fit) for side in (columns, rows))
    return math.ceil(columns * fit - ROUNDING) * math.ceil(rows * fit - ROUNDING)


def usage(body: Mapping[str, Any], images: int, *, image_tokens: int = 0) -> dict[str, Any]:
    """Return the tokens of a valid request whose input images have `image_tokens`."""
    text = len(body["prompt"]) // 4
    output = images * output_tokens(body.get("quality", "auto"), *check_image(body))
    return {
        "input_tokens": text + image_tokens,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image_tokens},
        "output_tokens": output,
        "total_tokens": text + image_tokens + output,
    }


def _check_known(body: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        message = f"Unknown parameter: '{unknown[0]}'."
        raise RefusedError(unknown[0], message, "unknown_parameter")


def _require(body: Mapping[str, Any], name: str) -> None:
    if not isinstance(body.get(name), str) or not body[name]:
        message = f"Missing required parameter: '{name}'."
        raise RefusedError(name, message, "missing_required_parameter")


def _size(size: object) -> tuple[int, int]:
    if size == "auto":
        return 1024, 1024
    try:
        width, height = (int(part) for part in str(size).split("x"))
    except ValueError:
        raise RefusedError("size", f"Invalid value: '{size}'.") from None
    long, short = max(width, height), min(width, height)
    ragged = width % 16 or height % 16
    if ragged or long > 3 * short or long > 3840:
        raise RefusedError("size", f"Invalid value: '{size}'.")
    if not 655_360 <= width * height <= 8_294_400:
        message = f"Invalid size '{size}'. Requested resolution is outside of the pixel limits."
        raise RefusedError("size", message)
    return width, height
