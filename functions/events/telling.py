"""What is told: a picture was stored or refused, as its record says; a run failed, as Step Functions says."""

import json
from typing import Any

from functions import keys
from functions.adapters import records
from functions.adapters.bus import Event
from functions.adapters.history import message
from functions.adapters.table import Item
from functions.signals import IMAGE_REFUSED, IMAGE_STORED, RUN_FAILED

OF_STORED = ("key", "folder", "topic", "title", "alt_text", "model", "width", "height", "bytes", "sha256", "stored_at")


def of_picture(record: Item, *, bucket: str) -> Event | None:
    """The event for a picture's record as it stands now; None where it says neither."""
    known = {"id": keys.picture_id(record["run_id"], record["n"]), "run_id": record["run_id"], "n": record["n"]}
    if record["status"] == records.REFUSED:
        return Event(name=IMAGE_REFUSED, detail=known | {"refusal": record.get("refusal")})
    if record["status"] == records.STORED:
        cost = record.get("cost_micro_usd")
        more = {"bucket": bucket, "cost_usd": None if cost is None else cost / 1_000_000, "possibly_paid": record["possibly_paid"]}
        return Event(name=IMAGE_STORED, detail=known | {name: record.get(name) for name in OF_STORED} | more)
    return None


def of_failure(change: dict[str, Any], *, batch_machine: str) -> Event:
    """The event for an execution that ended without success; `change` is the detail of Step Functions' own event."""
    of_batch = change["stateMachineArn"] == batch_machine
    detail = {
        "kind": "batch" if of_batch else "run",
        "run_id": None if of_batch else _run_id(change),
        "execution": change["executionArn"],
        "status": change["status"],
        "error": change.get("error"),
        "message": message(change.get("cause")),
    }
    return Event(name=RUN_FAILED, detail=detail)


def _run_id(change: dict[str, Any]) -> str:
    """The run's id, with which it is gone on with: the caller's, else the execution's name."""
    try:
        asked = json.loads(change.get("input") or "{}")
    except ValueError:
        asked = {}
    given = asked.get("request_id") if isinstance(asked, dict) else None
    return given if isinstance(given, str) and given else str(change["name"])
