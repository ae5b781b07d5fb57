"""The times of schedules, and what happens when the clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easel.schedules.occurrences import Occurrences
from easel.schedules.schedule import Schedule

CREATED = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def occurrences(when: str, zone: str = "UTC", **fields: str) -> Occurrences:
    limits = {"start": None, "end": None} | fields
    schedule = Schedule(
        name="x", when=when, time_zone=zone, paused=False, note=None, request={}, **limits
    )
    return Occurrences(schedule=schedule, created=CREATED)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def first(when: str, zone: str, *, after: str, count: int) -> list[str]:
    times, time = occurrences(when, zone), at(after)
    found = []
    for _ in range(count):
        time = times.after(time) or pytest.fail("there is no next time")
        found.append(f"{time:%m-%dT%H:%M}")
    return found


def test_clocks_going_forward_skip_a_missing_time() -> None:
    # In Berlin, 02:00 to 03:00 is left out on 29 March 2026.
    days = first("cron(30 2 * * ? *)", BERLIN, after="2026-03-27T12:00Z", count=3)

    assert days == ["03-28T01:30", "03-30T00:30", "03-31T00:30"]


def test_clocks_going_back_start_one_run() -> None:
    # In Berlin, 02:00 to 03:00 is there twice on 25 October 2026.
    days = first("cron(30 2 * * ? *)", BERLIN, after="2026-10-24T12:00Z", count=3)

    assert days == ["10-25T00:30", "10-26T01:30", "10-27T01:30"]


def test_usual_time_follows_the_local_clock() -> None:
    spring = first("cron(0 8 * * ? *)", "America/New_York", after="2026-03-07T00:00Z", count=3)
    autumn = first("cron(0 8 * * ? *)", "America/New_York", after="2026-10-31T00:00Z", count=3)

    assert spring == ["03-07T13:00", "03-08T12:00", "03-09T12:00"]
    assert autumn == ["10-31T12:00", "11-01T13:00", "11-02T13:00"]


def test_rate_ignores_the_clock_changes() -> None:
    days = first("rate(1 day)", BERLIN, after="2026-03-28T00:00Z", count=3)

    assert days == ["03-28T12:00", "03-29T12:00", "03-30T12:00"]


def test_every_minute_pauses_in_the_doubled_hour() -> None:
    times = occurrences("cron(* * * * ? *)", BERLIN)

    # 02:59 in summer is followed by 03:00 in winter. 02:00 to 02:59 in winter start nothing again.
    assert times.after(at("2026-10-25T00:59Z")) == at("2026-10-25T02:00Z")
    assert times.before(at("2026-10-25T02:00Z")) == at("2026-10-25T00:59Z")
    assert times.before(at("2026-10-25T01:30Z")) == at("2026-10-25T00:59Z")


def test_time_that_is_left_out_starts_never() -> None:
    times = occurrences("at(2026-03-29T02:30:00)", BERLIN)

    assert times.after(CREATED) is None


def test_single_time_is_next_and_then_last() -> None:
    times, time = occurrences("at(2026-12-24T08:00:00)", BERLIN), at("2026-12-24T07:00Z")

    assert times.after(CREATED) == time
    assert times.before(time + timedelta(seconds=1)) == time
    assert times.after(time) is None
    assert times.before(time) is None


def test_start_and_end_limit_the_next_time() -> None:
    limits = {"start": "2026-05-01T08:00:30Z", "end": "2026-05-02T08:00:00Z"}
    times = occurrences("cron(0 8 * * ? *)", **limits)

    assert times.after(CREATED) == at("2026-05-02T08:00Z")
    assert times.after(at("2026-05-02T08:00Z")) is None


def test_rate_begins_at_its_start() -> None:
    times = occurrences("rate(2 hours)", start="2026-05-01T08:00:00Z")

    assert times.after(CREATED) == at("2026-05-01T08:00Z")
    assert times.after(at("2026-05-01T08:00Z")) == at("2026-05-01T10:00Z")


def test_time_beyond_the_calendar_is_unknown() -> None:
    assert occurrences("cron(0 0 31 2 ? *)").after(CREATED) is None
    assert occurrences("rate(999999 days)").before(CREATED) is None


@given(
    time=st.datetimes(datetime(2026, 2, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    when=st.sampled_from(
        [
            "rate(7 minutes)",
            "rate(1 day)",
            "cron(*/20 * * * ? *)",
            "cron(30 1-3 * * ? *)",
            "cron(15 2 ? * SUN *)",
            "cron(0 8 ? * MON-FRI *)",
            "cron(0 0 L * ? *)",
        ]
    ),
    zone=st.sampled_from(
        ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
    ),
)
def test_previous_time_inverts_the_next_one(time: datetime, when: str, zone: str) -> None:
    times = occurrences(when, zone)
    following, last = times.after(time), times.before(time)
    assert following
    assert last

    assert last < time < following
    assert times.before(following) in (last, time)
    assert times.after(last) in (following, time)
