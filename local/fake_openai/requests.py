"""What the real image API refuses, refused here in the same shape, so that a wrong call never passes unseen."""

from collections.abc import Mapping
from typing import Any

CHOICES = {
    "quality": ("auto", "low", "medium", "high", "xhigh", "max"),
    "background": ("auto", "opaque", "transparent"),
    "output_format": ("png", "jpeg", "webp"),
    "moderation": ("auto", "low"),
}
KNOWN = {"model", "prompt", "n", "size", "output_compression", "safety_identifier", "user", *CHOICES}
# OpenAI's billing formula counts patches along the longer edge, by quality; these are those of gpt-image-2.5.
EFFORT = {"low": 16, "medium": 24, "high": 48, "auto": 48, "xhigh": 72, "max": 96}

MAX_SAFETY_IDENTIFIER = 64

BATCH_KNOWN = {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
BATCH_ENDPOINT = "/v1/images/generations"  # the only one that batches of the stand-in go to


class RefusedError(ValueError):
    """A request that the API answers with 400."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param, self.code = param, code


def check_image(body: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of a good request. Raises RefusedError."""
    unknown = set(body) - KNOWN
    if unknown:
        raise RefusedError(sorted(unknown)[0], f"Unknown parameter: '{sorted(unknown)[0]}'.", "unknown_parameter")
    for name in ("model", "prompt"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise RefusedError(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
    if len(body["prompt"]) > 32_000:
        raise RefusedError("prompt", "Invalid 'prompt': string too long.", "string_above_max_length")
    for name, allowed in CHOICES.items():
        if body.get(name, allowed[0]) not in allowed:
            raise RefusedError(name, f"Invalid value: '{body[name]}'. Supported values are: {', '.join(allowed)}.")
    for name, least, most in (("n", 1, 10), ("output_compression", 0, 100)):
        if not isinstance(body.get(name, most), int) or not least <= body.get(name, most) <= most:
            raise RefusedError(name, f"Invalid '{name}': must be {least} to {most}.")
    check_user(body)
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        raise RefusedError("background", "Transparent background is not supported for 'jpeg'.")
    return _size(body.get("size", "auto"))


def check_user(body: Mapping[str, Any]) -> None:
    """Raise RefusedError for a safety identifier that is none."""
    said = body.get("safety_identifier", "any")
    if not isinstance(said, str) or not 1 <= len(said) <= MAX_SAFETY_IDENTIFIER:
        raise RefusedError("safety_identifier", f"Invalid 'safety_identifier': a string of at most {MAX_SAFETY_IDENTIFIER} characters.")


def check_batch(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the API shows of how a batch was created. Raises RefusedError."""
    unknown = set(body) - BATCH_KNOWN
    if unknown:
        raise RefusedError(sorted(unknown)[0], f"Unknown parameter: '{sorted(unknown)[0]}'.", "unknown_parameter")
    for name, allowed in (("input_file_id", None), ("endpoint", BATCH_ENDPOINT), ("completion_window", "24h")):
        if not isinstance(body.get(name), str) or not body[name]:
            raise RefusedError(name, f"Missing required parameter: '{name}'.", "missing_required_parameter")
        if allowed and body[name] != allowed:
            raise RefusedError(name, f"Invalid value: '{body[name]}'. Supported values are: '{allowed}'.")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict) or len(metadata) > 16:
        raise RefusedError("metadata", "Invalid 'metadata': must be an object of at most 16 pairs.")
    for key, value in metadata.items():
        if len(key) > 64 or not isinstance(value, str) or len(value) > 512:
            raise RefusedError(f"metadata.{key}", "Invalid 'metadata': keys have at most 64 characters, values are strings of at most 512.")
    return {name: body[name] for name in ("input_file_id", "endpoint", "completion_window")} | {"metadata": metadata}


def output_tokens(quality: str, width: int, height: int) -> int:
    """The tokens that the real API would bill for the picture itself."""
    long, short = max(width, height), min(width, height)
    patches = EFFORT[quality] * round(EFFORT[quality] * short / long)
    return -(-patches * (2_000_000 + width * height) // 4_000_000)


def _size(size: object) -> tuple[int, int]:
    if size == "auto":
        return 1024, 1024
    try:
        width, height = (int(part) for part in str(size).split("x"))
    except ValueError:
        raise RefusedError("size", f"Invalid value: '{size}'.") from None
    long, short = max(width, height), min(width, height)
    if width % 16 or height % 16 or short < 16 or long > 3 * short or long > 3840 or short > 2160:
        raise RefusedError("size", f"Invalid value: '{size}'.")
    return width, height
