"""The fields of a schedule, in one table. A schedule starts a run again and again.

It uses the expressions of EventBridge Scheduler:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from easel.contract import naming
from easel.contract.errors import InputError, summarize
from easel.contract.settings import RequestSettings
from easel.request import request
from easel.request.fields import (
    CheckedText,
    Flag,
    Kind,
    Schema,
    Text,
    check_fields,
    column,
    drop_nulls,
    table_of,
)
from easel.schedules.expression import check_expression

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # a run id adds a prefix and the time
# Scheduler puts the time for which it starts a run here, such as 2026-11-29T08:00:00Z.
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"


class RequestKind(Kind):
    """A whole request, which creates images."""

    @property
    def is_private(self) -> bool:
        """Return True, because a request may contain the caller's own words."""
        return True

    def check(self, name: str, value: Any) -> dict[str, Any]:
        """Return the request without nulls. `parse` checks its fields."""
        if not isinstance(value, dict):
            raise InputError(name, summarize(value), 'a request, such as {} or {"topic": "Sport"}')
        return drop_nulls(value)

    def schema(self) -> Schema:
        """Return the schema of an object."""
        return {"type": "object"}


def check_name(value: object, field: str) -> str:
    """Return the name of a schedule."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        allowed = "1 to 40 characters from A-Z a-z 0-9 _ -, beginning with a letter or digit"
        raise InputError(field, value, allowed)
    return value


def check_zone(value: object, field: str) -> str:
    """Return the name of a time zone."""
    zones = _zones()
    if isinstance(value, str) and value in zones:
        return value
    close = difflib.get_close_matches(str(value), zones, 3)
    near = f"; the nearest are {', '.join(close)}" if close else ""
    raise InputError(field, value, f"a time zone such as Europe/Berlin or UTC{near}")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_time(value: object, field: str) -> str:
    """Return a time as ISO 8601 in UTC, with whole seconds."""
    try:
        time = datetime.fromisoformat(str(value))
        if time.tzinfo:
            return show_time(time)
    except (ValueError, OverflowError):
        pass
    raise InputError(field, value, "a time with its offset, such as 2026-12-24T08:00:00Z")


def show_time(time: datetime) -> str:
    """Return a time as Scheduler writes it: ISO 8601 in UTC, with whole seconds."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_time(time: str | None) -> datetime | None:
    """Return a stored time, or None if there is none."""
    return datetime.fromisoformat(time) if time else None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A checked schedule."""

    name: str = column(
        CheckedText(check_name, {"pattern": f"^{NAME.pattern}$"}), "the schedule's name"
    )
    when: str = column(
        CheckedText(check_expression, {"examples": ["cron(0 8 ? * MON-FRI *)"]}),
        "`rate(…)`, `cron(…)`, or `at(…)` for one run, in the time zone",
    )
    time_zone: str = column(
        CheckedText(check_zone, {"examples": ["Europe/Berlin"]}),
        "the time zone of `cron(…)` and `at(…)`",
        default="UTC",
    )
    start: str | None = column(
        CheckedText(check_time, {"format": "date-time"}),
        "start no run before this time, such as `2026-12-24T08:00:00Z`",
    )
    end: str | None = column(
        CheckedText(check_time, {"format": "date-time"}), "start no run after this time"
    )
    paused: bool = column(Flag(), "start no run for now", default=False)
    note: str | None = column(Text(200), "a note for people")
    request: dict[str, Any] = column(RequestKind(), "the request of each run; `{}` by default")

    def is_started(self) -> bool:
        """Return whether its start is in the past."""
        return self.start is not None and datetime.fromisoformat(self.start) <= datetime.now(UTC)

    @property
    def run_input(self) -> dict[str, Any]:
        """Return the input of each run. Its run id is made of the scheduled time.

        Scheduler may start a run twice for one time. The second one finds the first one's images.
        """
        return self.request | {"request_id": f"{run_prefix(self.name)}{SCHEDULED_TIME}"}


TABLE = table_of(Schedule)


def run_prefix(name: str) -> str:
    """Return the beginning of the run ids of a schedule."""
    return f"{naming.SCHEDULED}{name}-"


def run_id_at(name: str, time: datetime) -> str:
    """Return the run id of a schedule's run for this time."""
    return naming.scheduled_run(f"{run_prefix(name)}{show_time(time)}")


def parse(raw: object, settings: RequestSettings, *, today: date) -> Schedule:
    """Check a whole schedule, its request included. Raises InputError."""
    if not isinstance(raw, dict):
        raise InputError("the schedule", summarize(raw), "a JSON object with name and when")
    check_fields(raw, tuple(TABLE))
    fields: Mapping[str, Any] = drop_nulls(raw)
    for required in ("name", "when"):
        if required not in fields:
            raise InputError(required, None, TABLE[required].note, but="a schedule requires it")
    values = {name: row.read(fields, settings) for name, row in TABLE.items()}
    schedule = Schedule(**values | {"request": values["request"] or {}})
    if schedule.start and schedule.end and schedule.start >= schedule.end:
        raise InputError("end", schedule.end, f"a time after start, which is {schedule.start}")
    _check_request(schedule.request, settings, today=today)
    return schedule


def _check_request(fields: dict[str, Any], settings: RequestSettings, *, today: date) -> None:
    for name, reason in (
        ("request_id", "it is made of the schedule's name and the time"),
        ("action", "a schedule creates images"),
    ):
        if name in fields:
            kind = request.TABLE[name].kind
            raise InputError(f"request.{name}", kind.shown(fields[name]), "nothing", but=reason)
    request.parse(fields, settings, today=today)
