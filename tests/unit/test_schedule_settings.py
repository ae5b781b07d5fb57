"""The settings schedule and schedules: what is read, and what is refused before a deployment."""

import json
from typing import Any

import pytest

from easel.schedules.schedule import Schedule
from infra.schedule_settings import MOST, read_schedule, read_schedules
from infra.setting_values import SettingError
from tests.support.services import request_settings

DAILY = {"name": "daily", "when": "cron(0 8 * * ? *)", "time_zone": "Europe/Berlin"}


def read(value: Any) -> tuple[Schedule, ...]:
    return read_schedules({"schedules": value}.__getitem__, request_settings())


@pytest.mark.parametrize("value", [None, "", []])
def test_nothing_is_no_schedule(value: Any) -> None:
    assert read(value) == ()


@pytest.mark.parametrize("value", [[DAILY], json.dumps([DAILY])])
def test_list_or_its_text_is_read(value: Any) -> None:
    (schedule,) = read(value)
    assert (schedule.name, schedule.when, schedule.time_zone) == tuple(DAILY.values())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("daily", "setting schedules is 'not a list'"),
        ([DAILY] * (MOST + 1), "setting schedules is '101 entries'"),
        ([DAILY, DAILY], "setting schedules, name is 'daily'"),
        ([DAILY | {"time_zone": "Berlin"}], 'schedules of daily: time_zone is "Berlin"'),
        ([DAILY | {"when": "rate(5)"}], r'schedules of daily: when is "rate\(5\)"'),
        ([DAILY | {"request": {"count": 99}}], "schedules of daily: count is 99"),
        (["daily"], "setting schedules: the schedule is"),
    ],
)
def test_wrong_schedule_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read(value)


def test_rate_without_unit_is_refused() -> None:
    with pytest.raises(SettingError, match="setting schedule is"):
        read_schedule({"schedule": "rate(5)"}.__getitem__)
