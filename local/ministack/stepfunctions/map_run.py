"""The run of a Distributed Map: it starts children, counts how they end, and aborts them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions

from local.ministack.stepfunctions import map_child
from local.ministack.stepfunctions.map_child import ChildMachine
from local.ministack.stepfunctions.map_results import element

_AT_ONCE = 64
_NO_COUNTS = {
    "pending": 0,
    "running": 0,
    "succeeded": 0,
    "failed": 0,
    "timedOut": 0,
    "aborted": 0,
    "total": 0,
    "resultsWritten": 0,
    "failuresNotRedrivable": 0,
    "pendingRedrive": 0,
}

# The Map Runs that may still have running children, by ARN.
_live: dict[str, "MapRun"] = {}


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How many children may fail. Without a tolerance in the state, none may."""

    percentage: float | None
    count: float | None

    def covers(self, failed: int, items: int) -> bool:
        """Return whether this number of failed items is tolerated."""
        share = None if self.percentage is None else self.percentage * items / 100
        limits = [limit for limit in (self.count, share) if limit is not None]
        return failed <= min(limits, default=0)


class MapRun:
    """One Map Run. It starts, counts and ends its children under a lock."""

    def __init__(
        self,
        execution: dict[str, Any],
        machine: ChildMachine,
        *,
        child_input: Callable[[int, Any], Any],
        at_once: int,
        tolerance: Tolerance,
    ) -> None:
        self.arn = f"{machine.arn.replace(':stateMachine:', ':mapRun:')}:{new_uuid()}"
        self.execution = execution
        self.ended: dict[int, dict[str, Any]] = {}
        self.error: Exception | None = None  # the state's own error, not a child's
        self.was_aborted = False
        self._machine = machine
        self._child_input = child_input
        self._threads = min(at_once or _AT_ONCE, _AT_ONCE)
        self._tolerance = tolerance
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._waiting: dict[int, Any] = {}
        self._running: dict[int, dict[str, Any]] = {}
        self._record: dict[str, Any] = {
            "mapRunArn": self.arn,
            "executionArn": execution["executionArn"],
            "status": "RUNNING",
            "startDate": now_iso(),
            "maxConcurrency": at_once,
            "toleratedFailurePercentage": tolerance.percentage or 0.0,
            "toleratedFailureCount": int(tolerance.count or 0),
            "redriveCount": 0,
            "itemCounts": _NO_COUNTS,
            "executionCounts": _NO_COUNTS,
            "_stateMachineArn": machine.arn,
        }
        stepfunctions._map_runs[self.arn] = self._record

    @property
    def has_failed_too_often(self) -> bool:
        """Return whether more children have failed than the state tolerates."""
        counts = self._record["itemCounts"]
        return not self._tolerance.covers(counts["failed"], counts["total"])

    def run(self, items: list[Any]) -> None:
        """Run a child for each item. Return when all have ended or the Map Run was ended."""
        self._waiting = dict(enumerate(items))
        self.count(total=len(items), pending=len(items))
        indexes = iter(range(len(items)))
        for _ in range(min(self._threads, len(items))):
            work = (self._work, indexes)
            threading.Thread(target=copy_context().run, args=work, daemon=True).start()
        if items:
            self._over.wait()

    def abort(self) -> None:
        """Start no further child, and end the running children at their next event."""
        with self._lock:
            if not self._over.is_set():
                self.was_aborted = True
                self._finish()

    def close(self, status: str) -> None:
        """Record the final status after the results are written."""
        self._record.update(status=status, stopDate=now_iso())

    def inputs_never_started(self) -> Iterator[str]:
        """Yield the inputs of children that were never started, as JSON texts."""
        for index, item in self._waiting.items():
            yield json.dumps(self._child_input(index, item))

    def count(self, **changes: int) -> None:
        """Change the counts.

        Readers hold no lock. They get either the old or the new dictionary, and both are
        consistent.
        """
        with self._lock:
            counts = dict(self._record["itemCounts"])
            for field, change in changes.items():
                counts[field] += change
            self._record.update(itemCounts=counts, executionCounts=counts)

    def _work(self, indexes: Iterator[int]) -> None:
        while not self._over.is_set():
            with self._lock:
                index = next(indexes, None)
            if index is None or (child := self._start(index)) is None:
                return
            copy_context().run(self._run_child, index, child)

    def _start(self, index: int) -> dict[str, Any] | None:
        """Return a new child, or None if the Map Run has ended."""
        try:
            event = self._child_input(index, self._waiting[index])
        except Exception as error:  # the state itself failed, and no tolerance covers that
            with self._lock:
                self.error = self.error or error
                self._finish()
            return None
        child = self._machine.child(event, map_run_arn=self.arn, parent=self.execution)
        with self._lock:
            if self._over.is_set():
                return None
            del self._waiting[index]
            self._running[index] = child
            stepfunctions._executions[child["executionArn"]] = child
            self.count(pending=-1, running=1)
        return child

    def _run_child(self, index: int, child: dict[str, Any]) -> None:
        try:
            self._end(index, "SUCCEEDED", output=self._machine.run(child))
        except SystemExit:
            if child["status"] == "RUNNING":  # a Map around this one failed
                self.abort()
            self._end(index, "ABORTED")
        except stepfunctions._ExecutionError as error:
            self._end(index, "FAILED", error=error.error, cause=error.cause)
        except Exception as error:
            self._end(index, "FAILED", error="States.Runtime", cause=str(error))

    def _end(self, index: int, status: str, **outcome: str) -> None:
        with self._lock:
            if index not in self._running:  # it was aborted
                return
            self._close_child(index, status, **outcome)
            if self.has_failed_too_often or not (self._waiting or self._running):
                self._finish()

    def _finish(self) -> None:
        for index in list(self._running):
            self._close_child(index, "ABORTED")
        self._over.set()

    def _close_child(self, index: int, status: str, **outcome: str) -> None:
        child = self._running.pop(index)
        map_child.end(child, status, **outcome)
        self.ended[index] = element(child)
        self.count(running=-1, **{child["status"].lower(): 1})
        abort_map_runs_of(child["executionArn"])


@contextmanager
def live(run: MapRun) -> Iterator[None]:
    """Abort the Map Run if its execution ends within this block."""
    _live[run.arn] = run
    try:
        yield
    finally:
        del _live[run.arn]


def abort_map_runs_of(execution_arn: str) -> None:
    """Abort the Map Runs of an execution that was stopped or has ended."""
    for run in list(_live.values()):
        if run.execution["executionArn"] == execution_arn:
            run.abort()
