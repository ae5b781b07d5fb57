"""The settings `schedule` and `schedules`: runs that start by themselves."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from easel.contract.errors import EaselError
from easel.contract.settings import RequestSettings
from easel.schedules import expression
from easel.schedules.schedule import Schedule, parse
from infra.setting_values import SettingError, SettingRefusedError, optional

NAME = "schedules"
# A stack has at most 500 resources, and Easel's own are fewer than 200.
MOST = 100
EXAMPLE = '{"name": "daily", "when": "cron(0 8 * * ? *)", "time_zone": "Europe/Berlin"}'


def read_schedule(get: Callable[[str], Any]) -> str | None:
    """Return the expression of the setting `schedule`, or None. Raises SettingError."""
    text = optional(get, "schedule", r".+", expression.ALLOWED)
    if text and not expression.is_valid(text):
        raise SettingError("schedule", text, expression.ALLOWED)
    return text


def read_schedules(get: Callable[[str], Any], settings: RequestSettings) -> tuple[Schedule, ...]:
    """Return the schedules of the setting, a list or its JSON text. Raises SettingError.

    Their requests are checked as well, with the deployment's settings.
    """
    value = get(NAME)
    if value in (None, "", []):
        return ()
    try:
        entries = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        entries = None
    if not isinstance(entries, list) or len(entries) > MOST:
        got = f"{len(entries)} schedules" if isinstance(entries, list) else "no list"
        raise SettingError(NAME, got, f"a list of up to {MOST} objects like {EXAMPLE}")
    schedules = tuple(_read(entry, settings) for entry in entries)
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
