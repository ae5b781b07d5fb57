"""Read the executions that people watch on the page, with few calls of Step Functions.

AWS limits the calls of an account. In most regions it allows 10 calls a second of
DescribeExecution, 20 of GetExecutionHistory and 5 of ListExecutions, after a burst.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from easel.contract.states import ExecutionStatus
from easel.runs.executions import Execution, Executions, ExecutionSummary, LineCounts
from easel.runs.history import Progress

# After an action, the page waits for a second before it reads the run again. By then, other
# processes have dropped the answers that they kept from before the action.
KEPT_SECONDS = 1.0
MOST_KNOWN = 200  # an execution's input has up to 256 KB
HISTORY_PAGE = 1000  # events

Key = tuple[Hashable, ...]
T = TypeVar("T")


@dataclass
class _Known:
    """An execution, its progress, and the time until which both are returned without a read."""

    execution: Execution
    progress: Progress | None
    until: float


class WatchedExecutions(Executions):
    """Executions that many viewers read repeatedly. They share each answer for a second.

    The history of a running execution also shows whether it has ended. An execution is therefore
    described only when it is first read and after its end. `clock` is the wall clock, because the
    monotonic clock may stop while Lambda freezes the process.
    """

    def __init__(
        self, client: Any, *, machine: str, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(client, machine=machine)
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._checked: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._answers: dict[Key, tuple[float, Any]] = {}

    def get(self, name: str) -> Execution | None:
        """Return an execution as it is, or as it was less than a second ago."""
        known, now = self._known.get(self.arn_of(name)), self._clock()
        if known is None:
            return self.describe(name)
        if now < known.until:
            return known.execution
        if known.execution.status == ExecutionStatus.RUNNING:
            progress = super().progress(known.execution)
            if not progress.has_ended:
                known.progress = progress
                # A long history takes several calls, so it is read less often.
                known.until = now + KEPT_SECONDS * (1 + progress.events // HISTORY_PAGE)
                return known.execution
        return self.describe(name)

    def describe(self, name: str) -> Execution | None:
        """Return an execution as Step Functions describes it now, and keep it."""
        now, execution = self._clock(), super().describe(name)
        if execution is None:
            return None
        known = self._known.pop(execution.arn, None)
        # Only a redrive changes the history of an ended execution, and it changes both.
        is_same = known and known.execution == execution and not self._is_running(execution)
        progress = known.progress if known and is_same else None
        self._known[execution.arn] = _Known(execution, progress, now + KEPT_SECONDS)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return execution

    def progress(self, execution: Execution) -> Progress:
        """Return the progress of an execution's steps, as old as the execution itself."""
        known = self._known.get(execution.arn)
        if known is None or known.execution != execution:
            return super().progress(execution)
        if known.progress is None:
            progress = super().progress(execution)
            if self._is_running(execution) or progress.has_ended:
                known.progress = progress
            return progress
        return known.progress

    def checked_manifest(self, execution: Execution) -> dict[str, Any] | None:
        """Return the result of the check of a batch's manifest, which never changes."""
        checked = self._checked.get(execution.arn) or super().checked_manifest(execution)
        if checked is not None:
            self._checked[execution.arn] = checked
            if len(self._checked) > MOST_KNOWN:
                self._checked.popitem(last=False)
        return checked

    def line_counts(self, execution: Execution) -> LineCounts | None:
        """Return the line counts of a batch as they were less than a second ago.

        They are not older than the status, because the page does not read a batch again after its
        end. For the same reason, the next list of lines is not older than the counts.
        """
        line_counts = super().line_counts

        def read() -> LineCounts | None:
            self._answers = {key: kept for key, kept in self._answers.items() if key[0] != "lines"}
            return line_counts(execution)

        return self._kept(("counts", execution.arn, execution.status), read)

    def page(
        self,
        *,
        limit: int,
        after: str | None,
        status: ExecutionStatus | None = None,
        map_run: str | None = None,
    ) -> tuple[list[ExecutionSummary], str | None]:
        """Return executions as they were less than a second ago."""
        page = super().page
        return self._kept(
            ("lines" if map_run else "runs", limit, after, status, map_run),
            lambda: page(limit=limit, after=after, status=status, map_run=map_run),
        )

    def start(self, request: Any, *, name: str | None = None) -> str | None:
        """Start an execution. The next list shows it."""
        self._answers.clear()
        return super().start(request, name=name)

    def redrive(self, run: Execution) -> None:
        """Redrive a failed execution. The next read shows it."""
        self._forget(run)
        super().redrive(run)

    def stop(self, run: Execution) -> None:
        """Stop a running execution. The next read shows it."""
        self._forget(run)
        super().stop(run)

    def _forget(self, run: Execution) -> None:
        self._known.pop(run.arn, None)
        self._answers.clear()

    def _kept(self, key: Key, read: Callable[[], T]) -> T:
        """Return an answer that is less than a second old, or read it."""
        now = self._clock()
        self._answers = {known: kept for known, kept in self._answers.items() if now < kept[0]}
        if key not in self._answers:
            self._answers[key] = (now + KEPT_SECONDS, read())
        answer: T = self._answers[key][1]
        return answer

    @staticmethod
    def _is_running(execution: Execution) -> bool:
        return execution.status == ExecutionStatus.RUNNING
