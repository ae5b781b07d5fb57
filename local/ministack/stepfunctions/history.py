"""Gap: the history lacks the states inside a Map or a Parallel, and the links between events."""

import functools
import json
import threading
from contextvars import ContextVar
from typing import Any

from ministack.services import stepfunctions

from local.ministack.edits import edit, replace

# A branch or iteration runs in a copy of its parent's context, so each has its own chain of events.
_latest: ContextVar[tuple[str, int]] = ContextVar("latest_event", default=("", 0))
_numbering = threading.Lock()

_ENTERING = (
    '        ctx["State"] = {"Name": current_name, "EnteredTime": now_iso(), "RetryCount": 0}\n'
)
_ENTERED = f"""{_ENTERING}        entered = current_name
        _add_event(execution, f"{{state_type}}StateEntered", {{
            "stateEnteredEventDetails": {{"name": entered, "input": json.dumps(current_input)}}}})
"""
_SUCCEEDING = """return _apply_output_path(state_def,
                                      _apply_input_path(state_def, current_input, ctx), ctx)"""
_SUCCEEDED = """return _easel_exit(execution, "Succeed", entered, _apply_output_path(
                state_def, _apply_input_path(state_def, current_input, ctx), ctx))"""
_LEAVING = """                state_def, current_input, ctx)

    return current_input"""
_LEFT = """                state_def, current_input, ctx)
        _easel_exit(execution, state_type, entered, current_input)

    return current_input"""


def apply() -> None:
    """Record when inner states are entered and left, and link each event to the one before it.

    Events are numbered under a lock.
    """
    edit(
        stepfunctions,
        "_run_sub_machine",
        [(_ENTERING, _ENTERED), (_SUCCEEDING, _SUCCEEDED), (_LEAVING, _LEFT)],
        _easel_exit=_exit,
    )
    replace(stepfunctions, "_add_event", _linking)


def _exit(execution: dict[str, Any], state_type: str, name: str, output: Any) -> Any:
    details = {"stateExitedEventDetails": {"name": name, "output": json.dumps(output)}}
    stepfunctions._add_event(execution, f"{state_type}StateExited", details)
    return output


def _linking(add_event: Any) -> Any:
    @functools.wraps(add_event)
    def linking(execution: dict[str, Any], event_type: str, details: Any = None) -> dict[str, Any]:
        arn = execution.get("executionArn", "")
        latest_arn, latest = _latest.get()
        with _numbering:  # an event's number is the count of the events before it
            event: dict[str, Any] = add_event(execution, event_type, details)
        event["previousEventId"] = latest if latest_arn == arn else 0
        _latest.set((arn, event["id"]))
        return event

    return linking
