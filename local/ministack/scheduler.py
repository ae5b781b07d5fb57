"""Gaps: EventBridge Scheduler ignores time zones, and does not fill in the scheduled time.

- The next time of a schedule is computed in UTC, whatever its time zone.
- `<aws.scheduler.scheduled-time>` stays in the input as it is.
- A rate waits for its first period. On AWS its first run starts at once, or at its start.
- CloudFormation leaves out the time zone, the start and the end of a schedule.
- A schedule is looked for every ten seconds only.

The times are computed with MiniStack's own code for cron expressions, so that a test can compare
them with Easel's.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ministack.services import eventbridge, scheduler
from ministack.services.cloudformation import provisioners

from local.ministack.edits import edit, replace

TICK_SECONDS = 0.5
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
_SKIPPED = 400  # the most times in a row that a clock's changes can leave out

_DUE = "            at_epoch = _at_time_epoch(expr)\n            if at_epoch is not None:\n"
_DUE_IN_ZONE = (
    "            due = _easel_due(sched, _schedule_last_fired.get(state_key), now)\n"
    "            if due is None:\n"
    "                continue\n"
    '            one_shot = expr.startswith("at(")\n'
    "            if True:\n"
    "                pass\n"
    "            elif _at_time_epoch(expr) is not None:\n"
)
_FIRED = "            _schedule_last_fired[state_key] = now\n            target = sched.get"
_FIRED_FOR = "            _schedule_last_fired[state_key] = due\n            target = _easel_fill"
_TARGET, _TARGET_AT = '("Target") or {}\n', '(sched.get("Target") or {}, due)\n'
_CREATED = '        "Description": props.get("Description", ""),\n    }\n    _sched._create'
_CREATED_WITH_DATES = (
    '        "Description": props.get("Description", ""),\n'
    '        "ScheduleExpressionTimezone": props.get("ScheduleExpressionTimezone", "UTC"),\n'
    '        "StartDate": props.get("StartDate"),\n'
    '        "EndDate": props.get("EndDate"),\n'
    "    }\n    _sched._create"
)
_UPDATED = '                 "State", "Description"):\n'
_UPDATED_WITH_DATES = (
    '                 "State", "Description", "ScheduleExpressionTimezone",\n'
    '                 "StartDate", "EndDate"):\n'
)


def apply() -> None:
    """Close the gaps."""
    edit(
        scheduler,
        "_tick_schedules",
        [(_DUE, _DUE_IN_ZONE), (_FIRED + _TARGET, _FIRED_FOR + _TARGET_AT)],
        _easel_due=due,
        _easel_fill=_fill,
    )
    replace(scheduler, "_SCHEDULE_TICK_INTERVAL", lambda _: TICK_SECONDS)
    edit(provisioners, "_scheduler_schedule_create", [(_CREATED, _CREATED_WITH_DATES)])
    edit(provisioners, "_scheduler_schedule_update", [(_UPDATED, _UPDATED_WITH_DATES)])


def due(schedule: dict[str, Any], last: float | None, now: float) -> float | None:
    """Return the time for which a schedule is due, or None. `last` is the time before."""
    expression = schedule["ScheduleExpression"]
    # An older schedule of the same name, or a pause, is over.
    changed = schedule["LastModificationDate"]
    interval = eventbridge._parse_rate_seconds(expression)
    if interval is not None:
        start = scheduler._to_epoch(schedule.get("StartDate"))
        first = int(start if start is not None else schedule["CreationDate"])
        time = first + (now - first) // interval * interval
        is_new = last is None or time > max(last, int(schedule["CreationDate"]) - 1)
        return time if is_new and now >= first else None
    time_or_none = next_time(
        expression, schedule["ScheduleExpressionTimezone"], max(last or 0, changed)
    )
    return time_or_none if time_or_none is not None and time_or_none <= now else None


def next_time(expression: str, time_zone: str, after: float) -> float | None:
    """Return the next time of `cron(…)` or `at(…)` in a time zone, or None if there is none."""
    zone = ZoneInfo(time_zone)
    at = scheduler._at_time_epoch(expression)
    if at is not None:
        time = _epoch(datetime.fromtimestamp(at, UTC), zone)
        return time if time is not None and time > after else None
    fields = eventbridge._parse_cron_fields(expression)
    local = datetime.fromtimestamp(after, zone).replace(tzinfo=UTC)
    for _ in range(_SKIPPED if fields else 0):
        local = eventbridge._cron_next_fire(fields, local)
        if local is None:
            return None
        time = _epoch(local, zone)
        if time is not None and time > after:
            return time
    return None


def _epoch(local: datetime, zone: ZoneInfo) -> float | None:
    """Return the epoch of a clock's time, or None if the clock leaves it out. The first of two."""
    time = local.replace(tzinfo=zone).timestamp()
    shown = datetime.fromtimestamp(time, zone)
    return time if shown.replace(tzinfo=UTC) == local else None


def _fill(target: dict[str, Any], time: float) -> dict[str, Any]:
    shown = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return target | {"Input": target.get("Input", "{}").replace(SCHEDULED_TIME, shown)}
