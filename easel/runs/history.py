"""What an execution's history tells of its steps."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# The step behind each state of infra/workflow.py; the others have none.
STEP_OF = {
    "Write the prompt": "prompt",
    "Make the image": "image",
    "Store the image": "upload",
    "Clean up and report": "cleanup",
    "Delete or restore": "cleanup",
}
STEPS = ("prompt", "image", "upload", "cleanup")
FAILURES = ("taskFailedEventDetails", "taskTimedOutEventDetails", "taskStartFailedEventDetails", "taskSubmitFailedEventDetails")


@dataclass(kw_only=True)
class Step:
    """One step of an execution so far. `entered` and `left` count its states, `attempts` its calls; `failure` is that of the last call."""

    entered: int = 0
    left: int = 0
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    failure: tuple[str, str] | None = None


@dataclass(kw_only=True)
class Progress:
    """All steps of an execution so far; `wanted` is how many variations its Map has, `varied` whether all of them are over."""

    steps: dict[str, Step] = field(default_factory=lambda: {name: Step() for name in STEPS})
    wanted: int | None = None
    varied: bool = False


def message(cause: str | None) -> str:
    """A failure's cause for a person: the function's own message where there is one."""
    try:
        return str(json.loads(cause or "")["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause or ""


def read_history(events: Iterable[dict[str, Any]]) -> Progress:
    """The steps in an execution's history. Each event names the one before it, so that side by side variations are told apart."""
    progress = Progress()
    step_at: dict[int, str | None] = {}
    for event in events:
        name = step_at.get(event.get("previousEventId", 0))
        state = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
        if state:
            name = STEP_OF.get(state["name"])
        elif event["type"] == "MapStateStarted":
            # Of the first Map: another copies what that has made.
            progress.wanted = progress.wanted if progress.varied else event["mapStateStartedEventDetails"]["length"]
        elif event["type"] == "MapStateSucceeded":
            progress.varied = True
        elif event["type"] == "ExecutionRedriven":
            for step in progress.steps.values():
                step.entered, step.failure = step.left, None
        step_at[event["id"]] = None if "stateExitedEventDetails" in event else name
        if name:
            _note(progress.steps[name], event)
    return progress


def _note(step: Step, event: dict[str, Any]) -> None:
    failed = next((event[details] for details in FAILURES if details in event), None)
    if "stateEnteredEventDetails" in event:
        step.entered += 1
        step.started = step.started or event["timestamp"]
        step.ended = None
    elif event["type"] == "TaskScheduled":
        step.attempts += 1
        # A redrive may go on with a state that it does not enter anew.
        step.entered = max(step.entered, step.left + 1)
    elif failed:
        step.failure = (failed.get("error", "an error"), message(failed.get("cause")))
    elif event["type"] == "TaskSucceeded":
        step.failure = None
    elif "stateExitedEventDetails" in event:
        step.left += 1
        step.ended, step.failure = event["timestamp"], None  # a failure that was caught is over
