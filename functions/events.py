"""Tells EventBridge what became of pictures and runs, from the table's stream and from Step Functions' own events."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start
from functions.adapters.bus import Bus, bus
from functions.adapters.table import plain
from functions.events.telling import of_failure, of_picture
from functions.settings import batch_state_machine, settings
from functions.telemetry import logger, note, say, step


@step("events")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Entry point: records of the table's stream, or a change of an execution's status."""
    return run(event, bucket=settings().bucket, batch_machine=batch_state_machine(), bus=bus())


def run(event: dict[str, Any], *, bucket: str, batch_machine: str, bus: Bus) -> dict[str, Any]:
    """Send the event, or one for each record. Sent again after a failure, so that others may see one twice, and none is lost."""
    if "Records" in event:
        found = (of_picture(plain(record["dynamodb"]["NewImage"]), bucket=bucket) for record in event["Records"])
        told = [one for one in found if one]
        bus.send(told)
        say("events sent", events=[one.name for one in told])
    else:
        told = [of_failure(event["detail"], batch_machine=batch_machine)]
        failure = told[0].detail
        why = failure["error"] or failure["status"]
        # Also where no function of the run had a chance to say so itself; and first, since sending may fail, too.
        said = f"{failure['kind']} failed: {failure['message'] or why}"
        logger.error(said, run_id=failure["run_id"], error=why, execution=failure["execution"])
        bus.send(told)
        note(events=[one.name for one in told])
    return {"sent": len(told)}


cold_start.ready(bus)
