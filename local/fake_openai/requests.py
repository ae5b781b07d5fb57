"""The checks of the real API, with errors of the same shape, so that wrong calls are noticed."""

from collections.abc import Mapping
from typing import Any

CHOICES = {
    "quality": ("auto", "low", "medium", "high", "xhigh", "max"),
    "background": ("auto", "opaque", "transparent"),
    "output_format": ("png", "jpeg", "webp"),
    "moderation": ("auto", "low"),
}
KNOWN = {"model", "prompt", "n", "size", "output_compression", "safety_identifier", "user"}
KNOWN |= CHOICES.keys()
# OpenAI bills an image by its patches. These are the numbers of patches along the longer edge for
# each quality of gpt-image-2.5.
EFFORT = {"low": 16, "medium": 24, "high": 48, "auto": 48, "xhigh": 72, "max": 96}

MAX_SAFETY_IDENTIFIER = 64

BATCH_KNOWN = {
    "input_file_id",
    "endpoint",
    "completion_window",
    "metadata",
    "output_expires_after",
}
BATCH_ENDPOINT = "/v1/images/generations"  # the only endpoint that batches may use here


class RefusedError(ValueError):
    """A request that the API answers with status 400."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param, self.code = param, code


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
    required = (
        ("input_file_id", None),
        ("endpoint", BATCH_ENDPOINT),
        ("completion_window", "24h"),
    )
    for name, allowed in required:
        _require(body, name)
        if allowed and body[name] != allowed:
            raise RefusedError(
                name, f"Invalid value: '{body[name]}'. Supported values are: '{allowed}'."
            )
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict) or len(metadata) > 16:
        raise RefusedError("metadata", "Invalid 'metadata': must be an object of at most 16 pairs.")
    for key, text in metadata.items():
        if len(key) > 64 or not isinstance(text, str) or len(text) > 512:
            limits = "keys have at most 64 characters, values are strings of at most 512"
            raise RefusedError(f"metadata.{key}", f"Invalid 'metadata': {limits}.")
    return {name: body[name] for name, _ in required} | {"metadata": metadata}


def output_tokens(quality: str, width: int, height: int) -> int:
    """Return the tokens that the real API would bill for the image itself."""
    long, short = max(width, height), min(width, height)
    patches = EFFORT[quality] * round(EFFORT[quality] * short / long)
    return -(-patches * (2_000_000 + width * height) // 4_000_000)


def usage(body: Mapping[str, Any], images: int) -> dict[str, Any]:
    """Return the tokens of a valid request."""
    text = len(body["prompt"]) // 4
    output = images * output_tokens(body.get("quality", "auto"), *check_image(body))
    return {
        "input_tokens": text,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
        "output_tokens": output,
        "total_tokens": text + output,
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
