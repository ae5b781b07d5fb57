"""Gaps: MiniStack's Map finishes all iterations after a failure, and a stop has no lasting effect.

- When one iteration fails, the other iterations run to their end.
- A stopped execution continues, and may end FAILED.
"""

import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ministack.services import stepfunctions

from local.ministack.edits import edit, replace

# These are set once a Map has failed: this thread's own Map, and each Map around it.
_failed_maps: ContextVar[tuple[threading.Event, ...]] = ContextVar("failed_maps", default=())

_RUN_ALL = """\
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futs = [
            pool.submit(contextvars.copy_context().run, run_item, i, item)
            for i, item in enumerate(items)
        ]
        futures_wait(futs)

    for err in errors:
        if err is not None:
            raise err if isinstance(err, _ExecutionError) else _ExecutionError(
                "States.MapFailed", str(err))
"""
_RUN_UNTIL_ONE_FAILS = """\
    iterations = _easel_iterations(execution, ctx["State"]["Name"], run_item, errors)
    iterations.run(items, at_once=workers)
"""


def apply() -> None:
    """Fail the Map at its first failed iteration. Abandoned threads end at their next event."""
    edit(
        stepfunctions,
        "_run_map_items",
        [(_RUN_ALL, _RUN_UNTIL_ONE_FAILS)],
        _easel_iterations=_Iterations,
    )
    replace(stepfunctions, "_add_event", _unless_abandoned)
    replace(stepfunctions, "_run_execution", _outside_any_map)


@dataclass(frozen=True)
class _Iterations:
    """The iterations of one Map.

    `run_item` is MiniStack's function for one item, which stores an exception in `errors`.
    """

    execution: dict[str, Any]
    name: str
    run_item: Callable[[int, Any], None]
    errors: list[Exception | None]
    failed: threading.Event = field(default_factory=threading.Event)
    failures: list[Exception] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def run(self, items: list[Any], *, at_once: int) -> None:
        """Run the iterations. Raise the error of the first one that fails."""
        length = {"mapStateStartedEventDetails": {"length": len(items)}}
        stepfunctions._add_event(self.execution, "MapStateStarted", length)
        pool = ThreadPoolExecutor(max_workers=at_once)
        iterations: list[Future[None]] = [
            pool.submit(contextvars.copy_context().run, self._iterate, index, item)
            for index, item in enumerate(items)
        ]
        ended = wait(iterations, return_when=FIRST_EXCEPTION).done
        pool.shutdown(wait=False, cancel_futures=True)
        if self.failures:
            self._fail(self.failures[0])
        for iteration in ended:
            iteration.result()  # raises if the execution was stopped or a Map around it failed
        stepfunctions._add_event(self.execution, "MapStateSucceeded")

    def _iterate(self, index: int, item: Any) -> None:
        _failed_maps.set((*_failed_maps.get(), self.failed))
        self._add_event("Started", index)
        self.open.add(index)
        self.run_item(index, item)
        error = self.errors[index]
        self._add_event("Failed" if error else "Succeeded", index)
        self.open.discard(index)
        if error:
            self.failures.append(error)
            self.failed.set()
            raise error

    def _fail(self, error: Exception) -> None:
        for index in sorted(self.open):
            self._add_event("Aborted", index)
        stepfunctions._add_event(self.execution, "MapStateFailed")
        if isinstance(error, stepfunctions._ExecutionError):
            raise error
        raise stepfunctions._ExecutionError("States.MapFailed", str(error))

    def _add_event(self, event_name: str, index: int) -> None:
        details = {f"mapIteration{event_name}EventDetails": {"name": self.name, "index": index}}
        stepfunctions._add_event(self.execution, f"MapIteration{event_name}", details)


def _unless_abandoned(add_event: Any) -> Any:
    """End a thread if its execution was stopped or its Map has failed."""

    @functools.wraps(add_event)
    def checking(execution: dict[str, Any], event_type: str, details: Any = None) -> Any:
        has_ended = execution.get("status", "RUNNING") != "RUNNING"
        abandoned = has_ended or any(failed.is_set() for failed in _failed_maps.get())
        if abandoned and not event_type.startswith("Execution"):
            # SystemExit ends the thread silently, and no code on the way counts it as a failure.
            raise SystemExit
        return add_event(execution, event_type, details)

    return checking


def _outside_any_map(run_execution: Any) -> Any:
    """Run an execution outside the Map of the task that started it and waits for it."""

    def run(execution_arn: str) -> None:
        _failed_maps.set(())
        run_execution(execution_arn)

    return functools.wraps(run_execution)(
        lambda execution_arn: contextvars.copy_context().run(run, execution_arn)
    )
