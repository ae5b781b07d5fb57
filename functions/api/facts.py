"""What an execution's description adds to the records of its run, for lists.

Step Functions lists executions without their input and error, and limits the descriptions a second.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from easel.contract.errors import ConflictError, cause_message
from easel.request.actions import BY_CLEANUP
from easel.runs.executions import Execution, ExecutionSummary
from functions.api import schemas
from functions.api.problems import advice_for

WORDS_SHOWN = 120
MOST_KEPT = 1_000

E = TypeVar("E")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the list of runs shows of an execution besides its summary."""

    run_id: str
    action: str = "create"
    dry_run: bool = False
    words: str | None = None
    error: schemas.RunFailure | None = None
    can_redrive: bool = False

    @classmethod
    def of(cls, run: Execution) -> "Facts":
        """Return the facts of an execution that was described."""
        request = run.input if isinstance(run.input, dict) else {}
        return cls(
            run_id=run.run_id,
            action=run.action,
            dry_run=request.get("dry_run") is True,
            words=words_of(request),
            error=failure_of(run),
            can_redrive=run.can_be_resumed,
        )

    @property
    def has_records(self) -> bool:
        """Return whether the records under its run id are its own.

        If the run failed with a conflict, they belong to another request.
        """
        conflict = self.error is not None and self.error.error == ConflictError.__name__
        return self.action == "create" and not conflict


class Kept(Generic[E]):
    """Keeps what was read of executions, so that Step Functions is asked once for each."""

    def __init__(self, *, keeps_running: bool) -> None:
        self._keeps_running = keeps_running
        self._entries: OrderedDict[tuple[object, ...], E] = OrderedDict()

    def read(self, run: ExecutionSummary, read: Callable[[ExecutionSummary], E | None]) -> E | None:
        """Return an execution's entry, or None if AWS lists it before it describes it."""
        # A redrive changes an ended execution, together with its status or its end.
        key = (run.arn, run.status, run.ended)
        entry = self._entries.get(key) or read(run)
        if entry and (self._keeps_running or run.ended):
            self._entries[key] = entry
            if len(self._entries) > MOST_KEPT:
                self._entries.popitem(last=False)
        return entry


def failure_of(run: Execution) -> schemas.RunFailure | None:
    """Return why an execution failed, or None if it has not failed."""
    if run.is_open:
        return None
    name = run.error or run.status.lower()
    message = cause_message(run.cause)
    advice = advice_for(name)
    return schemas.RunFailure(
        error=name, title=advice.title, message=message, what_to_do=advice.what_to_do
    )


def words_of(request: dict[str, Any]) -> str | None:
    """Return the beginning of what was requested, or None if everything was left to Easel."""
    for name in ("description", "prompt", "topic", "image_key", "folder_name"):
        is_target = name in ("image_key", "folder_name")
        value = request.get(name)
        if isinstance(value, str) and is_target == (request.get("action") in BY_CLEANUP):
            return value if len(value) <= WORDS_SHOWN else f"{value[:WORDS_SHOWN].rstrip()}…"
    return None
