"""The filters of the lists of runs and batches, read from a request's query."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query

from easel.contract import naming
from easel.contract.errors import InputError
from easel.contract.states import ExecutionStatus
from easel.runs.search import Criteria
from functions.api import schemas

MAX_TOKEN = 3096  # the length of a Step Functions token
MAX_CURSOR = MAX_TOKEN + 100  # the cursor of a filtered list adds a name and a time
DAY = 10  # characters of a date
FIRST_YEAR, LAST_YEAR = 2000, 2999
TIME = "a day in UTC such as 2026-11-29, or a time with its zone such as 2026-11-29T08:00:00+01:00"
LIST_FILTERS = ("limit", "cursor", "status", "from", "to")

Kind = Literal["create", "delete", "restore", "share", "move"]
CursorQuery = Annotated[str | None, Query(min_length=1, max_length=MAX_CURSOR)]
StatusQuery = Annotated[schemas.ExecutionStatus | None, Query()]
KindQuery = Annotated[
    Kind | None, Query(description="what the run does; `share` also finds runs that stop sharing")
]
PersonQuery = Annotated[
    str | None,
    Query(
        pattern=f"^[0-9a-f]{{{naming.CALLER_LENGTH}}}$",
        description="who started it: the `person` of a run in this list",
    ),
]
FromQuery = Annotated[
    str | None, Query(alias="from", description=f"only what started then or later: {TIME}")
]
ToQuery = Annotated[
    str | None,
    Query(alias="to", description="only what started on this day or earlier, or before this time"),
]


def read_criteria(
    *,
    status: str | None = None,
    kind: str | None = None,
    person: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Criteria:
    """Return the criteria of a list. Raises InputError if a time is not valid."""
    first = _time("from", since) if since is not None else None
    before = _time("to", until) if until is not None else None
    if until is not None and before and len(until) == DAY:
        before += timedelta(days=1)
    if first and before and first >= before:
        raise InputError("to", until, "a time after from")
    return Criteria(
        status=ExecutionStatus(status.upper()) if status else None,
        kind=kind,
        person=person,
        since=first,
        before=before,
    )


def _time(name: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(name, text, TIME) from None
    if len(text) == DAY:
        time = time.replace(tzinfo=UTC)
    # Arithmetic with the first and the last years would overflow.
    if time.tzinfo is None or not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise InputError(name, text, TIME)
    return time
