"""Sends events about images, runs and batches to EventBridge.

The sources are the table's stream and the events of Step Functions. A failed event is sent again.
No event is lost, but a subscriber may see one twice.
"""

from datetime import datetime
from functools import cached_property
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.client import client
from easel.aws.lambda_runtime import prepare
from easel.aws.observability import log_result, logger, note, step
from easel.aws.table import plain
from easel.contract.metric_names import BATCH_FINISHED, RUN_FINISHED
from easel.contract.settings import EventSettings
from easel.contract.states import ExecutionStatus
from easel.ledger.ledger import Ledger
from easel.runs.executions import Executions
from easel.services import SERVICES, Services
from functions.events.bus import Bus, Event
from functions.events.endings import Ending, ending_events, read_ending
from functions.events.images import image_event
from functions.events.notices import Notifier, SigningKey

FINISHED = (RUN_FINISHED, BATCH_FINISHED)


class EventServices:
    """The collaborators of this function."""

    def __init__(self, services: Services, settings: EventSettings) -> None:
        self.services, self.settings = services, settings

    @property
    def bucket(self) -> str:
        """Return the name of the bucket with the images."""
        return self.services.storage.bucket

    @property
    def ledger(self) -> Ledger:
        """Return the records."""
        return self.services.ledger

    @cached_property
    def bus(self) -> Bus:
        """Return the event bus."""
        return Bus(self.services.eventbridge)

    @cached_property
    def executions(self) -> Executions:
        """Return the executions, which are read by their ARN."""
        return Executions(client("stepfunctions"), machine=self.settings.batch_state_machine)

    @cached_property
    def notifier(self) -> Notifier:
        """Return the writer of notifications."""
        settings, key = self.settings, None
        if settings.signing_secret:
            key = SigningKey(client("secretsmanager"), secret=settings.signing_secret)
        return Notifier(channels=settings.channels, key=key, page_url=settings.public_page_url)

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return self.services.now()


class _Kept:
    """Builds the collaborators at the first event."""

    @cached_property
    def services(self) -> EventServices:
        return EventServices(SERVICES, EventSettings.read(SERVICES.environment))


KEPT = _Kept()


@step("events")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take records of the table's stream, or a change of an execution's status."""
    return run(event, KEPT.services)


def run(event: dict[str, Any], services: EventServices) -> dict[str, Any]:
    """Send the events of an execution that ended, or one for each stream record that has one."""
    if "Records" in event:
        items = (plain(record["dynamodb"]["NewImage"]) for record in event["Records"])
        found = (image_event(item, bucket=services.bucket) for item in items)
        events = [candidate for candidate in found if candidate]
        services.bus.send(events)
        log_result("events sent", events=[item.name for item in events])
    else:
        ending, events = _of_ending(event, services)
        services.bus.send(events)
        # A notification that cannot be written, such as without its key, does not hold these back.
        notices = _notices(event, ending, events, services)
        services.bus.send(notices)
        events += notices
        note(events=[item.name for item in events])
    return {"sent": len(events)}


def _of_ending(event: dict[str, Any], services: EventServices) -> tuple[Ending, list[Event]]:
    change = event["detail"]
    machine = services.settings.batch_state_machine
    ending = read_ending(change, services.executions, batch_machine=machine)
    if change["status"] != ExecutionStatus.SUCCEEDED:
        _log(ending, change["status"])
    return ending, ending_events(ending, change["status"], services.ledger)


def _notices(
    event: dict[str, Any], ending: Ending, events: list[Event], services: EventServices
) -> list[Event]:
    # The id stays the same when this event is handled again, so a receiver sees a repetition.
    facts = {
        "event_id": event["id"],
        "now": services.now(),
        "requested": ending.request.get("notify"),
    }
    finished = [item for item in events if item.name in FINISHED]
    return [notice for item in finished for notice in services.notifier.notices(item, **facts)]


def _log(ending: Ending, status: str) -> None:
    """Log a failed run, in case no function could log it or the sending fails."""
    execution = ending.execution
    why = execution.error or status
    kind = "batch" if ending.is_batch else "run"
    message = f"{kind} failed: {ending.message or why}"
    run_id = None if ending.is_batch else ending.run_id
    logger.error(message, run_id=run_id, error=why, execution=execution.arn)


prepare(lambda: SERVICES.eventbridge, lambda: SERVICES.ledger)
