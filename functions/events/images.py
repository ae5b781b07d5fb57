"""The events about images, from the records in the table's stream."""

import json

from easel.aws.table import Item
from easel.contract import naming
from easel.contract.metric_names import IMAGE_REFUSED, IMAGE_STORED
from easel.contract.money import dollars
from easel.contract.status import Status
from functions.events.bus import Event

OF_STORED = (
    "key",
    "folder",
    "topic",
    "title",
    "alt_text",
    "model",
    "width",
    "height",
    "bytes",
    "sha256",
    "stored_at",
)


def image_event(record: Item, *, bucket: str) -> Event | None:
    """Return the event for an image's current record, or None."""
    run_id, n = record["run_id"], record["n"]
    known = {"id": naming.image_id(run_id, n), "run_id": run_id, "n": n}
    if record["status"] == Status.REFUSED:
        return Event(name=IMAGE_REFUSED, detail=known | {"refusal": record.get("refusal")})
    if record["status"] != Status.STORED:
        return None
    more = {
        "bucket": bucket,
        "cost_usd": dollars(record.get("cost_micro_usd")),
        "possibly_paid": record["possibly_paid"],
    }
    kept = {name: record.get(name) for name in OF_STORED}
    kept["sizes"] = json.loads(record.get("sizes") or "[]")
    return Event(name=IMAGE_STORED, detail=known | kept | more)
