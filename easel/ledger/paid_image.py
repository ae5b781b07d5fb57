"""The bytes of a purchase, before and after they are put into staging."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

USAGE_COUNTS = ("input_tokens", "input_tokens_details", "output_tokens", "total_tokens")
MAX_USAGE = 1_000  # the limit of S3 is 2 KB of metadata


class PaidImage(Protocol):
    """The bytes of an image call's answer, with their checksum and the answer's `usage`.

    `intact` is false if the answer could not be decoded. The bytes are then the raw answer.
    """

    @property
    def data(self) -> bytes:
        """Return the bytes."""

    @property
    def sha256(self) -> str:
        """Return their SHA-256, in hexadecimal."""

    @property
    def intact(self) -> bool:
        """Return whether they were decoded."""

    @property
    def usage(self) -> dict[str, Any] | None:
        """Return the call's usage, if the answer has it."""


@dataclass(frozen=True, kw_only=True)
class StagedBytes:
    """Bytes in staging, and the `usage` of the call that returned them."""

    key: str
    bytes: int
    sha256: str
    usage: dict[str, Any] | None


def to_metadata(paid: PaidImage) -> dict[str, str]:
    """Return the staged object's metadata. With it, a crash after the put loses nothing."""
    usage = paid.usage
    kept = {name: usage[name] for name in USAGE_COUNTS if name in usage} if usage else None
    text = json.dumps(kept)
    fits = text.isascii() and len(text) <= MAX_USAGE
    return {"sha256": paid.sha256, "usage": text if fits else "null"}


def usage_in(metadata: Any) -> dict[str, Any] | None:
    """Return the usage in a staged object's metadata, or None."""
    try:
        usage = json.loads(metadata.get("usage", "null"))
    except (ValueError, RecursionError):
        return None
    return usage if isinstance(usage, dict) else None
