"""The events about executions that have ended, from the status changes of Step Functions.

Step Functions leaves input and output out of its event if they are long or encrypted with a
customer's key. They are then read from the execution.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from easel.contract import naming
from easel.contract.batch_messages import BatchReport
from easel.contract.errors import ConflictError, InputError, cause_message
from easel.contract.metric_names import BATCH_FINISHED, RUN_FAILED, RUN_FINISHED
from easel.contract.money import add, dollars
from easel.contract.states import ExecutionStatus
from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.records import RunRecords
from easel.request.names import batch_name
from easel.runs.executions import Execution, Executions
from functions.events.bus import Event

MAX_MESSAGE = 1_000
OF_BATCH = ("lines", "stored", "refused", "failed", "not_started", "cost_usd", "report_key")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """An execution that has ended. `is_batch` is whether the batch machine ran it."""

    execution: Execution
    is_batch: bool

    @property
    def request(self) -> dict[str, Any]:
        """Return the execution's input, or {} if it is not an object."""
        return self.execution.input if isinstance(self.execution.input, dict) else {}

    @property
    def is_dry_run(self) -> bool:
        """Return whether it only checked and estimated."""
        return self.request.get("dry_run") is True

    @property
    def run_id(self) -> str:
        """Return the id that resumes the run, even if it is not a valid one."""
        request_id = self.request.get("request_id")
        is_text = isinstance(request_id, str) and request_id
        return naming.scheduled_run(str(request_id)) if is_text else self.execution.name

    @property
    def message(self) -> str:
        """Return why it failed, or nothing."""
        return cause_message(self.execution.cause)[:MAX_MESSAGE]


def read_ending(change: Mapping[str, Any], executions: Executions, *, batch_machine: str) -> Ending:
    """Return what ended. `change` is the detail of Step Functions' event.

    Raises StorageBusyError if the execution has to be read and is not visible.
    """
    is_batch = change["stateMachineArn"] == batch_machine
    execution = _execution(change)
    details = [change.get(name) or {} for name in ("inputDetails", "outputDetails")]
    if any(detail.get("included") is False for detail in details):
        execution = executions.wait_until_visible(execution.arn)
    return Ending(execution=execution, is_batch=is_batch)


def ending_events(ending: Ending, status: str, ledger: Ledger) -> list[Event]:
    """Return the events of an ending. `status` is the status of the event.

    A redrive may have changed the execution's own status since then.
    """
    events = [_failed(ending, status)] if status != ExecutionStatus.SUCCEEDED else []
    if ending.is_batch:
        return [*events, _batch_finished(ending, status)]
    # A delete or a restore takes the same machine, but it is not what a subscriber waits for.
    return (
        [*events, _run_finished(ending, status, ledger)]
        if ending.execution.makes_images
        else events
    )


def _failed(ending: Ending, status: str) -> Event:
    execution = ending.execution
    detail = {
        "kind": "batch" if ending.is_batch else "run",
        "run_id": None if ending.is_batch else ending.run_id,
        "execution": execution.arn,
        "status": status,
        "error": execution.error,
        "message": cause_message(execution.cause),
    }
    return Event(name=RUN_FAILED, detail=detail)


def _run_finished(ending: Ending, status: str, ledger: Ledger) -> Event:
    """Return RunFinished with what the run's records contain, however it ended."""
    execution = ending.execution
    # After a conflict, the records under the run id belong to another request.
    own = not ending.is_dry_run and execution.error != ConflictError.__name__
    records = ledger.run(execution.run_id) if own else RunRecords()
    images, prompt = records.images, records.prompt
    detail = {
        "run_id": execution.run_id,
        "status": status,
        "dry_run": ending.is_dry_run,
        "count": prompt.choices["count"] if prompt else None,
        "stored": sum(image.status == Status.STORED for image in images),
        "refused": sum(image.status == Status.REFUSED for image in images),
        "possibly_paid": records.possibly_paid,
        "images": [
            {
                "id": naming.image_id(image.run_id, image.n),
                "n": image.n,
                "status": image.status,
                "key": image.key,
            }
            for image in images
        ],
        "cost_usd": _cost(records),
        "estimate_usd": (execution.output or {}).get("estimate_usd"),
        "error": execution.error,
        "message": ending.message,
        "execution": execution.arn,
    }
    return Event(name=RUN_FINISHED, detail=detail)


def _cost(records: RunRecords) -> float | None:
    prompt, chat = records.prompt, records.chat
    if prompt is None:
        return None if chat and chat.possibly_paid else 0.0
    return dollars(add([prompt.chat_cost_micro_usd, *records.image_costs]))


def _batch_finished(ending: Ending, status: str) -> Event:
    execution, output = ending.execution, ending.execution.output or {}
    # A batch that failed, or was only checked, has no report.
    report = BatchReport.from_state(output) if "report_key" in output else None
    detail = {
        "batch": _batch_name(ending.request),
        "status": status,
        "dry_run": ending.is_dry_run,
        **{name: getattr(report, name, None) for name in OF_BATCH},
        "estimate_usd": output.get("estimate_usd"),
        "error": execution.error,
        "message": ending.message,
        "execution": execution.arn,
    }
    return Event(name=BATCH_FINISHED, detail=detail)


def _batch_name(request: Mapping[str, Any]) -> str | None:
    try:
        return batch_name(str(request.get("manifest")))
    except InputError:
        return None


def _execution(change: Mapping[str, Any]) -> Execution:
    status = change["status"]
    output = _json(change.get("output"))
    return Execution(
        arn=change["executionArn"],
        status=status,
        started=_time(change.get("startDate")) or datetime.now(UTC),
        redriven=None,
        ended=_time(change.get("stopDate")),
        input=_json(change.get("input")),
        output=output if isinstance(output, dict) else None,
        error=change.get("error"),
        cause=change.get("cause"),
        redrivable=False,
    )


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {}


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
