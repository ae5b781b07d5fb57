"""Sends events about images and failed runs to EventBridge.

The sources are the table's stream and the events of Step Functions. A failed event is sent again.
No event is lost, but a subscriber may see one twice.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.client import refusal, translate_errors
from easel.aws.lambda_runtime import prepare
from easel.aws.observability import log_result, logger, note, step
from easel.aws.table import Item, plain
from easel.contract import naming
from easel.contract.errors import cause_message
from easel.contract.metric_names import IMAGE_REFUSED, IMAGE_STORED, RUN_FAILED, SOURCE
from easel.contract.money import dollars
from easel.contract.settings import EventSettings
from easel.contract.status import Status
from easel.services import SERVICES

AT_ONCE = 10  # the limit of PutEvents
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


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event: its name (EventBridge's detail-type), and its detail."""

    name: str
    detail: dict[str, Any]


class Bus:
    """The account's default event bus."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, events: Sequence[Event]) -> None:
        """Send all events. Raises StorageBusyError or another error if one is refused."""
        for begin in range(0, len(events), AT_ONCE):
            batch = events[begin : begin + AT_ONCE]
            doing = f"sending {len(batch)} events"
            entries = [
                {"Source": SOURCE, "DetailType": event.name, "Detail": json.dumps(event.detail)}
                for event in batch
            ]
            with translate_errors(doing):
                answer = self._client.put_events(Entries=entries)
            codes = [entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry]
            if codes:
                raise refusal(codes, doing)


@step("events")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take records of the table's stream, or a change of an execution's status."""
    settings = EventSettings.read(SERVICES.environment)
    bus, bucket = Bus(SERVICES.eventbridge), SERVICES.storage.bucket
    return run(event, bucket=bucket, batch_machine=settings.batch_state_machine, bus=bus)


def run(event: dict[str, Any], *, bucket: str, batch_machine: str, bus: Bus) -> dict[str, Any]:
    """Send the event of a failed execution, or one event for each stream record that has one."""
    if "Records" in event:
        items = (plain(record["dynamodb"]["NewImage"]) for record in event["Records"])
        events = [candidate for item in items if (candidate := image_event(item, bucket=bucket))]
        bus.send(events)
        log_result("events sent", events=[item.name for item in events])
    else:
        events = [failure_event(event["detail"], batch_machine=batch_machine)]
        _log(events[0].detail)
        bus.send(events)
        note(events=[item.name for item in events])
    return {"sent": len(events)}


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
    return Event(name=IMAGE_STORED, detail=known | kept | more)


def failure_event(change: dict[str, Any], *, batch_machine: str) -> Event:
    """Return the event for a failed execution. `change` is the detail of Step Functions' event."""
    is_batch = change["stateMachineArn"] == batch_machine
    detail = {
        "kind": "batch" if is_batch else "run",
        "run_id": None if is_batch else _run_id(change),
        "execution": change["executionArn"],
        "status": change["status"],
        "error": change.get("error"),
        "message": cause_message(change.get("cause")),
    }
    return Event(name=RUN_FAILED, detail=detail)


def _run_id(change: dict[str, Any]) -> str:
    """Return the id that resumes the run: the caller's request_id, or the execution's name."""
    try:
        request = json.loads(change.get("input") or "{}")
    except ValueError:
        request = {}
    request_id = request.get("request_id") if isinstance(request, dict) else None
    return request_id if isinstance(request_id, str) and request_id else str(change["name"])


def _log(failure: dict[str, Any]) -> None:
    """Log a failed run, in case no function could log it or the sending fails."""
    why = failure["error"] or failure["status"]
    message = f"{failure['kind']} failed: {failure['message'] or why}"
    run_id, execution = failure["run_id"], failure["execution"]
    logger.error(message, run_id=run_id, error=why, execution=execution)


prepare(lambda: SERVICES.eventbridge)
