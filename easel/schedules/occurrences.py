"""The times for which a schedule starts its runs.

EventBridge Scheduler skips a time that the clock's change leaves out, and starts one run for a time
that exists twice:
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pyawscron.awscron import AWSCron

from easel.schedules.expression import AT, CRON, RATE
from easel.schedules.schedule import Schedule

PERIODS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
SKIPPED = 400  # the most times in a row that the clock's changes can leave out
LONGEST_CHANGE = timedelta(hours=3)  # no clock is set back by more
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Occurrences:
    """The times of a schedule that was created at a time, in UTC.

    A rate begins with the schedule's start, or else when it is created.
    """

    schedule: Schedule
    created: datetime

    def after(self, time: datetime) -> datetime | None:
        """Return the first time after this one, or None if there is none or it is not known."""
        start, end = self.schedule.start, self.schedule.end
        if start and not self._is_once:
            time = max(time, datetime.fromisoformat(start) - SECOND)
        found = self._search(time, forward=True)
        if found and end and not self._is_once and found > datetime.fromisoformat(end):
            return None
        return found

    def before(self, time: datetime) -> datetime | None:
        """Return the last time before this one, or None if there is none or it is not known.

        It may be earlier than the schedule itself, whose start changes when it is changed.
        """
        return self._search(time, forward=False)

    @property
    def _is_once(self) -> bool:
        # Scheduler ignores start and end of a schedule that starts once.
        return AT.fullmatch(self.schedule.when) is not None

    def _search(self, time: datetime, *, forward: bool) -> datetime | None:
        when, zone = self.schedule.when, ZoneInfo(self.schedule.time_zone)
        if once := AT.fullmatch(when):
            at = _in_utc(datetime.fromisoformat(once[1]), zone)
            return at if at and _is_beyond(at, time, forward=forward) else None
        if RATE.fullmatch(when):
            number, unit = when[5:-1].split(" ")
            period = int(number) * PERIODS[unit.removesuffix("s")]
            return _search_rate(period, self._first(), time, forward=forward)
        cron = CRON.fullmatch(when)
        return _search_cron(cron[1], zone, time, forward=forward) if cron else None

    def _first(self) -> datetime:
        start = self.schedule.start
        return datetime.fromisoformat(start) if start else self.created.replace(microsecond=0)


def _search_rate(
    period: timedelta, first: datetime, time: datetime, *, forward: bool
) -> datetime | None:
    try:
        if forward:
            return first + max((time - first) // period + 1, 0) * period
        return first - ((first - time) // period + 1) * period
    except OverflowError:  # beyond the year 9999, or before the year 1
        return None


def _search_cron(cron: str, zone: ZoneInfo, time: datetime, *, forward: bool) -> datetime | None:
    # The library computes in UTC, so it gets the zone's clock as if it were UTC.
    local = time.astimezone(zone)
    if not forward:
        # If the clock was just set back, it showed a later time before.
        earlier = (time - LONGEST_CHANGE).astimezone(zone)
        ahead = (earlier.utcoffset() or timedelta()) - (local.utcoffset() or timedelta())
        # The library begins one minute before the minute that it gets.
        local += max(ahead, timedelta()) + timedelta(minutes=1)
    local = local.replace(tzinfo=UTC)
    for _ in range(SKIPPED):
        try:
            occurrence = AWSCron(cron).occurrence(local)
            found = occurrence.next() if forward else occurrence.prev()
        except Exception:  # the library raises this class itself, for a time it does not find
            return None
        if found is None:
            return None
        at = _in_utc(found.replace(tzinfo=None), zone)
        if at and _is_beyond(at, time, forward=forward):
            return at
        local = found
    return None


def _is_beyond(at: datetime, time: datetime, *, forward: bool) -> bool:
    return at > time if forward else at < time


def _in_utc(local: datetime, zone: ZoneInfo) -> datetime | None:
    """Return a local time in UTC, or None if the clock leaves it out. Of two, it is the first."""
    at = local.replace(tzinfo=zone).astimezone(UTC)
    return at if at.astimezone(zone).replace(tzinfo=None) == local else None
