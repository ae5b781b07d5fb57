"""What a purchase is made of: the call's parameters, and the bytes of its answer."""

import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pybase64

from functions.adapters.records import PromptRecord

COUNTS = ("input_tokens", "input_tokens_details", "output_tokens", "total_tokens")
MAX_USAGE = 1_000


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """The bytes that came for a purchase. `intact` is false where they were no base64: then they are what came instead."""

    data: bytes
    sha256: str
    intact: bool


def parameters(prompt: PromptRecord) -> dict[str, Any]:
    """The image call's parameters; what is `auto` or was not said is left to OpenAI's own default."""
    names = ("model", "size", "quality", "output_format", "output_compression", "background", "moderation")
    wanted = {name: prompt.choices[name] for name in names}
    wanted["safety_identifier"] = prompt.choices.get("safety_identifier")  # runs from before it was asked for have none
    return {"prompt": prompt.text} | {name: value for name, value in wanted.items() if value not in ("auto", None)}


def call_note(prompt: PromptRecord, *, purchase: int) -> bytes:
    """What stands in staging before a purchase, so that nobody has to guess what was bought."""
    return json.dumps({"purchase": purchase} | parameters(prompt), ensure_ascii=False).encode()


def decode(encoded: str) -> Arrived:
    """The bytes of an answer; strict, since a lenient decoder swallows damage."""
    try:
        data, intact = pybase64.b64decode(encoded, validate=True), True
    except (binascii.Error, ValueError):
        data, intact = encoded.encode(errors="replace"), False
    return Arrived(data=data, sha256=hashlib.sha256(data).hexdigest(), intact=intact and bool(data))


def to_metadata(arrived: Arrived, usage: dict[str, Any] | None) -> dict[str, str]:
    """What the staged object says of itself, so that a crash after the put loses neither sum nor cost."""
    kept = {name: usage[name] for name in COUNTS if name in usage} if usage else None
    said = json.dumps(kept)
    # S3 takes 2 KB of metadata; no count that means anything is that long.
    return {"sha256": arrived.sha256, "usage": said if said.isascii() and len(said) <= MAX_USAGE else "null"}


def usage_of(metadata: Any) -> dict[str, Any] | None:
    """The usage in a staged object's metadata, None where there is none."""
    try:
        usage = json.loads(metadata.get("usage", "null"))
    except (ValueError, RecursionError):
        return None
    return usage if isinstance(usage, dict) else None
