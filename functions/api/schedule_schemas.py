"""The shapes of responses about schedules."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from easel.contract.messages import api_field


@dataclass(frozen=True, kw_only=True)
class ScheduledRun:
    """A run that a schedule started."""

    id: str
    time: datetime = api_field("the time for which it was started")
    url: str


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule, with its next and its last run."""

    name: str
    when: str
    time_zone: str
    start: datetime | None
    end: datetime | None
    paused: bool
    note: str | None
    request: dict[str, Any] = api_field("the request of each run")
    declared: bool = api_field("cdk.json has it, so that only a deployment changes it")
    next_run: datetime | None = api_field("null if it is paused, over or not known")
    last_run: ScheduledRun | None = api_field(
        "null if none of the last three times started a run, or if it is not known"
    )


@dataclass(frozen=True, kw_only=True)
class Schedules:
    """A page of schedules, by name."""

    schedules: list[Schedule]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class DeletedSchedule:
    """The schedule that is gone. Its runs and their images stay."""

    name: str
