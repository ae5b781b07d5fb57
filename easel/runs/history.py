"""An execution's progress, read from its history."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from easel.contract.errors import cause_message
from easel.contract.states import STEP_OF, Step

FAILURES = (
    "taskFailedEventDetails",
    "taskTimedOutEventDetails",
    "taskStartFailedEventDetails",
    "taskSubmitFailedEventDetails",
)
ENDS = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")


@dataclass(kw_only=True)
class StepProgress:
    """The progress of one step of an execution.

    `entered` and `left` count the step's states, and `attempts` its calls. `failure` is the last
    call's error and message.
    """

    entered: int = 0
    left: int = 0
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    failure: tuple[str, str] | None = None


@dataclass(kw_only=True)
class Progress:
    """The progress of all steps of an execution.

    `variations` is how many variations its Map has. `variations_done` is true once all of them
    have ended. `has_ended` is whether the execution has ended and was not redriven since. `events`
    is the length of its history.
    """

    steps: dict[Step, StepProgress] = field(
        default_factory=lambda: {step: StepProgress() for step in Step}
    )
    variations: int | None = None
    variations_done: bool = False
    has_ended: bool = False
    events: int = 0


def read_history(events: Iterable[dict[str, Any]]) -> Progress:
    """Return the progress from an execution's history.

    Each event refers to its previous event, which distinguishes parallel variations.
    """
    progress = Progress()
    step_at: dict[int, Step | None] = {}
    for event in events:
        progress.events += 1
        progress.has_ended = event["type"] in ENDS
        step = step_at.get(event.get("previousEventId", 0))
        state = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
        if state:
            step = STEP_OF.get(state["name"])
        elif event["type"] == "MapStateStarted":
            # The first Map makes the images. A second Map mirrors them and must not change the
            # count.
            length = event["mapStateStartedEventDetails"]["length"]
            progress.variations = progress.variations if progress.variations_done else length
        elif event["type"] == "MapStateSucceeded":
            progress.variations_done = True
        elif event["type"] == "ExecutionRedriven":
            for known in progress.steps.values():
                known.entered, known.failure = known.left, None
        step_at[event["id"]] = None if "stateExitedEventDetails" in event else step
        if step:
            _note(progress.steps[step], event)
    return progress


def _note(step: StepProgress, event: dict[str, Any]) -> None:
    failed = next((event[details] for details in FAILURES if details in event), None)
    if "stateEnteredEventDetails" in event:
        step.entered += 1
        step.started = step.started or event["timestamp"]
        step.ended = None
    elif event["type"] == "TaskScheduled":
        step.attempts += 1
        # A redrive may continue a state without entering it again.
        step.entered = max(step.entered, step.left + 1)
    elif failed:
        step.failure = (failed.get("error", "an error"), cause_message(failed.get("cause")))
    elif event["type"] == "TaskSucceeded":
        step.failure = None
    elif "stateExitedEventDetails" in event:
        step.left += 1
        step.ended, step.failure = event["timestamp"], None  # a caught failure does not count
