"""Searches the executions of a state machine by what their list shows: names, times and statuses.

A search reads a bounded number of pages, so it may find fewer executions than requested. Its cursor
continues exactly where the search ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from easel.contract import naming
from easel.contract.errors import InputError
from easel.contract.states import ExecutionStatus
from easel.runs.executions import Executions, ExecutionSummary

PAGE = 1000  # the most that Step Functions lists in one call
MOST_PAGES = 5
SEPARATOR = "~"  # no execution's name contains it
KINDS = ("create", "delete", "restore", "share", "move")
SHOWN_CURSOR = "the cursor of an earlier answer, unchanged, with the same filters"


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What a search finds. None finds everything.

    `kind` is one of KINDS, and `person` identifies a caller of the API. `since` is the earliest
    start, and `before` comes after the latest.
    """

    status: ExecutionStatus | None = None
    kind: str | None = None
    person: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def is_plain(self) -> bool:
        """Return whether Step Functions itself can filter the list."""
        return not (self.kind or self.person or self.since or self.before)

    def match(self, execution: ExecutionSummary) -> bool:
        """Return whether an execution is found, apart from `status` and `since`."""
        if self.before and execution.started >= self.before:
            return False
        if self.person and naming.caller_of(execution.name) != self.person:
            return False
        return self.kind is None or kind_of(execution.name) == self.kind


@dataclass(frozen=True, kw_only=True)
class Position:
    """The last execution of an answer: it was found on the page with this token."""

    token: str | None
    name: str = ""
    started: int = 0

    @classmethod
    def read(cls, cursor: str) -> "Position":
        """Return the position of a cursor. Raises InputError."""
        started, _, rest = cursor.partition(SEPARATOR)
        name, separator, token = rest.partition(SEPARATOR)
        if not separator or not (started.isascii() and started.isdecimal()):
            raise InputError("cursor", cursor, SHOWN_CURSOR)
        return cls(token=token or None, name=name, started=int(started))

    def write(self) -> str:
        """Return the cursor."""
        return SEPARATOR.join((str(self.started), self.name, self.token or ""))

    def rest(self, page: Sequence[ExecutionSummary]) -> Sequence[ExecutionSummary]:
        """Return the executions of a page that come after this position.

        New executions may have moved the position to a later page. A filtered status may have
        removed its execution, so the time decides then.
        """
        if not self.name:
            return page
        names = [execution.name for execution in page]
        if self.name in names:
            return page[names.index(self.name) + 1 :]
        return [execution for execution in page if _stamp(execution.started) <= self.started]


def search(
    executions: Executions, criteria: Criteria, *, limit: int, after: str | None
) -> tuple[list[ExecutionSummary], str | None]:
    """Return at most `limit` executions, newest first, and the cursor of the next ones or None.

    Raises InputError for an unknown cursor.
    """
    if criteria.is_plain:
        return executions.page(limit=limit, after=after, status=criteria.status)
    begin = Position.read(after) if after else Position(token=None)
    found: list[ExecutionSummary] = []
    token: str | None = begin.token
    for _ in range(MOST_PAGES):
        page, following = executions.page(limit=PAGE, after=token, status=criteria.status)
        last = Position(token=token)
        for execution in begin.rest(page):
            if criteria.since and execution.started < criteria.since:
                return found, None
            if not criteria.match(execution):
                continue
            if len(found) == limit:
                return found, last.write()
            found.append(execution)
            started = _stamp(execution.started)
            last = Position(token=token, name=execution.name, started=started)
        if following is None:
            return found, None
        token = following
    return found, Position(token=token).write()


def kind_of(execution: str) -> str:
    """Return the kind of a run, by its execution's name."""
    verb = naming.action_of(execution).partition("_")[0].removeprefix("un")
    return verb if verb in KINDS else "create"


def _stamp(time: datetime) -> int:
    return int(time.astimezone(UTC).timestamp() * 1000)
