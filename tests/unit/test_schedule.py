"""A schedule's fields: each mistake is refused by name before anything is paid or deployed."""

from datetime import UTC, datetime
from typing import Any

import pytest

from easel.contract import naming
from easel.contract.errors import InputError
from easel.request.names import check_run_id
from easel.schedules import schedule
from easel.schedules.schedule import Schedule
from tests.support.services import NOW, request_settings

WHEN = "cron(0 8 ? * MON-FRI *)"


def parse(**fields: Any) -> Schedule:
    raw = {"name": "daily", "when": WHEN} | fields
    return schedule.parse(raw, request_settings(), today=NOW.date())


def test_name_and_time_are_a_whole_schedule() -> None:
    parsed = parse()

    assert (parsed.time_zone, parsed.paused, parsed.request) == ("UTC", False, {})
    assert parsed.run_input == {"request_id": "schedule-daily-<aws.scheduler.scheduled-time>"}


def test_times_are_stored_in_utc() -> None:
    parsed = parse(start="2026-12-24T08:00:00+01:00", end="2026-12-24T07:00:01.5Z")

    assert (parsed.start, parsed.end) == ("2026-12-24T07:00:00Z", "2026-12-24T07:00:01Z")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("time_zone", "Europe/Berlim", "Europe/Berlin"),
        ("time_zone", "CETT", "a time zone such as"),
        ("when", "rate(5)", r"rate\(1 day\)"),
        ("when", "rate(1 days)", r"rate\(1 day\)"),
        ("when", "every day", r"at\(2026-12-24T08:00:00\)"),
        ("when", "at(2026-13-24T08:00:00)", r"at\(2026-12-24T08:00:00\)"),
        ("when", None, "a schedule requires it"),
        ("name", "a b", "1 to 40 characters"),
        ("name", "x" * 41, "1 to 40 characters"),
        ("start", "2026-12-24T08:00:00", "a time with its offset"),
        ("start", "0001-01-01T00:00:00+10:00", "a time with its offset"),
        ("end", "tomorrow", "a time with its offset"),
        ("paused", "yes", "true"),
        ("request", [], "a request, such as"),
        ("timezone", "UTC", "did you mean time_zone"),
    ],
)
def test_mistake_is_refused_by_name(field: str, value: object, allowed: str) -> None:
    with pytest.raises(InputError, match=allowed) as refused:
        parse(**{field: value})

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"size": "7x7"}, "size"),
        ({"request_id": "mine"}, "request.request_id"),
        ({"action": "delete_folder", "folder_name": "a", "confirm": True}, "request.action"),
        ({"prompts": "x"}, "prompts"),
    ],
)
def test_wrong_request_is_refused_by_name(request_fields: Any, field: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(request=request_fields)

    assert refused.value.field == field


def test_end_must_follow_the_start() -> None:
    with pytest.raises(InputError, match="end is"):
        parse(start="2026-12-24T08:00:00Z", end="2026-12-24T08:00:00Z")


def test_longest_name_fits_into_a_run_id() -> None:
    time = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
    run_id = schedule.run_id_at("x" * 40, time)

    filled = (
        parse(name="x" * 40)
        .run_input["request_id"]
        .replace(schedule.SCHEDULED_TIME, "2026-11-29T08:00:00Z")
    )
    assert run_id == f"schedule-{'x' * 40}-2026-11-29T080000Z"
    assert check_run_id(filled, "request_id") == run_id
    assert naming.is_reserved(run_id)


def test_only_scheduled_ids_may_contain_colons() -> None:
    with pytest.raises(InputError, match="request_id"):
        check_run_id("mine-2026-11-29T08:00:00Z", "request_id")
