"""The settings `schedule` and `schedules`: runs that start by themselves."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from easel.contract.errors import EaselError
from easel.contract.settings import RequestSettings
from easel.schedules import expression
from easel.schedules.schedule import Schedule, parse
from infra.setting_values import SettingError, SettingRefusedError, entries, optional

NAME = "schedules"
# A stack has at most 500 resources, and Easel's own are fewer than 200.
MOST = 100
EXAMPLE = '{"name": "daily", "when": "cron(0 8 * * ? *)", "time_zone": "Europe/Berlin"}'


def read_schedule(get: Callable[[str], Any]) -> str | None:
    """Return the expression of the setting `schedule`, or None. Raises SettingError."""
    allowed = f"{expression.ALLOWED}, or nothing"
    text = optional(get, "schedule", r".+", allowed)
    if text and not expression.is_valid(text):
        raise SettingError("schedule", text, allowed)
    return text


def read_schedules(get: Callable[[str], Any], settings: RequestSettings) -> tuple[Schedule, ...]:
    """Return the schedules of the setting, a list or its JSON text. Raises SettingError.

    Their requests are checked as well, with the deployment's settings.
    """
    listed = entries(get, NAME, most=MOST, example=EXAMPLE)
    schedules = tuple(_read(entry, settings) for entry in listed)
    names = [schedule.name for schedule in schedules]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"{NAME}, name", name, "a name that no other schedule has")
    return schedules


def _read(entry: Any, settings: RequestSettings) -> Schedule:
    try:
        return parse(entry, settings, today=datetime.now(UTC).date())
    except EaselError as error:
        name = entry.get("name") if isinstance(entry, dict) else None
        of = f" of {name}" if isinstance(name, str) else ""
        raise SettingRefusedError(f"setting {NAME}{of}: {error}") from error
