"""Records as a run's steps write them."""

from typing import Any

from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.records import ImageRecord, PromptRecord
from easel.request.names import DEFAULT_FILE_NAME

CHOICES: dict[str, Any] = {
    "folder_name": "my_s3_folder",
    "file_name": DEFAULT_FILE_NAME,
    "style": None,
    "count": 1,
    "model": "gpt-image-2.6-flare",
    "size": "1024x1024",
    "quality": "medium",
    "output_format": "png",
    "output_compression": None,
    "background": "auto",
    "moderation": "auto",
}
PROMPT: dict[str, Any] = {
    "run_id": "run-1",
    "digest": "d",
    "started": "2026-11-24T03:15:02.100Z",
    "text": "A kite",
    "title": "Kite",
    "alt_text": "A kite",
    "tags": [],
    "topic": "Sport",
    "estimate_micro_usd": 17_000,
    "chat_model": None,
    "chat_cost_micro_usd": 130,
    "execution": "run-1",
}
CLAIM: dict[str, Any] = {
    "run_id": "run-1",
    "status": Status.CLAIMED,
    "purchase": 1,
    "lease_until": 9,
    "month": "2026-11",
    "reserved_micro_usd": 9,
}


def prompt_record(*, choices: dict[str, Any] | None = None, **changes: Any) -> PromptRecord:
    """Return a run's prompt record; `choices` change the request's."""
    return PromptRecord(**PROMPT | {"choices": CHOICES | (choices or {})} | changes)


def image_record(**changes: Any) -> ImageRecord:
    """Return an image's claim."""
    return ImageRecord(**CLAIM | {"n": 1} | changes)


def claimed(ledger: Ledger, **changes: Any) -> ImageRecord:
    """Return an image's claim, taken in the ledger."""
    claim = image_record(**changes)
    ledger.claims.take(claim, after=None)
    return claim
