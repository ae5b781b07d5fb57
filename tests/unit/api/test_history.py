"""The steps of a run, read from an execution's history."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from easel.contract.states import STEP_OF, Step
from easel.runs.history import read_history

STATE = {step: state for state, step in STEP_OF.items() if not state.startswith("Delete")}


class History:
    """Events in the order in which Step Functions writes them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._ids = count(1)

    def add(self, kind: str, after: int, **details: Any) -> int:
        number = next(self._ids)
        moment = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=number)
        self.events.append(
            {"id": number, "previousEventId": after, "type": kind, "timestamp": moment, **details}
        )
        return number

    def enter(self, step: Step, after: int) -> int:
        return self.add("TaskStateEntered", after, stateEnteredEventDetails={"name": STATE[step]})

    def call(self, after: int, *, fails: str | None = None) -> int:
        scheduled = self.add("TaskScheduled", after)
        if fails:
            details = {"error": fails, "cause": '{"errorMessage": "slow down"}'}
            return self.add("TaskFailed", scheduled, taskFailedEventDetails=details)
        return self.add("TaskSucceeded", scheduled)

    def leave(self, step: Step, after: int) -> int:
        return self.add("TaskStateExited", after, stateExitedEventDetails={"name": STATE[step]})

    def start_map(self, after: int, length: int) -> int:
        return self.add("MapStateStarted", after, mapStateStartedEventDetails={"length": length})


def test_each_step_has_times_and_attempts() -> None:
    history = History()
    here = history.enter(Step.PROMPT, 0)

    here = history.leave(Step.PROMPT, history.call(history.call(here, fails="TransientError")))
    step = read_history(history.events).steps[Step.PROMPT]

    assert (step.entered, step.left, step.attempts, step.failure) == (1, 1, 2, None)
    assert step.started
    assert step.ended
    assert step.ended > step.started


def test_concurrent_variations_are_kept_apart() -> None:
    history = History()
    started = history.start_map(0, 2)
    first = history.enter(Step.IMAGE, history.add("MapIterationStarted", started))
    second = history.enter(Step.IMAGE, history.add("MapIterationStarted", started))
    failed = history.call(second, fails="RateLimitedError")
    done = history.leave(Step.IMAGE, history.call(first))
    history.call(history.enter(Step.UPLOAD, done), fails="StorageBusyError")
    history.call(failed, fails="RateLimitedError")
    progress = read_history(history.events)
    image, upload = progress.steps[Step.IMAGE], progress.steps[Step.UPLOAD]

    assert progress.variations == 2
    assert not progress.variations_done
    assert (image.entered, image.left, image.attempts, image.failure) == (
        2,
        1,
        3,
        ("RateLimitedError", "slow down"),
    )
    assert (upload.entered, upload.left, upload.attempts, upload.failure) == (
        1,
        0,
        1,
        ("StorageBusyError", "slow down"),
    )


def test_redriven_step_hides_its_failure() -> None:
    history = History()
    failed = history.call(history.enter(Step.IMAGE, 0), fails="AuthError")
    history.add("ExecutionFailed", failed)
    history.add("ExecutionRedriven", failed)
    assert read_history(history.events).steps[Step.IMAGE].failure is None

    second = history.enter(Step.IMAGE, failed)
    assert read_history(history.events).steps[Step.IMAGE].entered == 1
    history.leave(Step.IMAGE, history.call(second))
    step = read_history(history.events).steps[Step.IMAGE]
    assert (step.entered, step.left, step.attempts) == (1, 1, 2)


def test_caught_failure_is_over() -> None:
    """A refused variation leaves its state while the others continue."""
    history = History()
    started = history.start_map(0, 2)
    refused = history.enter(Step.IMAGE, history.add("MapIterationStarted", started))
    history.enter(Step.IMAGE, history.add("MapIterationStarted", started))
    history.leave(Step.IMAGE, history.call(refused, fails="ContentRefusedError"))
    step = read_history(history.events).steps[Step.IMAGE]

    assert (step.entered, step.left, step.failure) == (2, 1, None)


def test_redrive_may_continue_without_entering_state() -> None:
    history = History()
    failed = history.call(history.enter(Step.IMAGE, 0), fails="AuthError")
    redrive = history.add("ExecutionRedriven", failed)
    assert redrive
    scheduled = history.add("TaskScheduled", failed)
    assert read_history(history.events).steps[Step.IMAGE].entered == 1

    history.leave(Step.IMAGE, history.add("TaskSucceeded", scheduled))
    assert read_history(history.events).steps[Step.IMAGE].left == 1


def test_call_timeout_is_a_failure() -> None:
    history = History()
    entered = history.enter(Step.UPLOAD, 0)
    history.add(
        "TaskTimedOut",
        history.add("TaskScheduled", entered),
        taskTimedOutEventDetails={"error": "States.Timeout"},
    )
    assert read_history(history.events).steps[Step.UPLOAD].failure == ("States.Timeout", "")


def test_reentered_state_has_not_ended() -> None:
    history = History()
    first = history.leave(Step.IMAGE, history.call(history.enter(Step.IMAGE, 0)))
    history.enter(Step.IMAGE, first)
    assert read_history(history.events).steps[Step.IMAGE].ended is None
