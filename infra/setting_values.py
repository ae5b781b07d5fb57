"""Reads one setting from the CDK context, where `-c` sets text and cdk.json any JSON value."""

import json
import re
from collections.abc import Callable
from typing import Any

Get = Callable[[str], Any]


class SettingError(ValueError):
    """An invalid setting. The message has its name, its value and the allowed values."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"setting {name} is {value!r}; allowed: {allowed}")


class SettingRefusedError(SettingError):
    """An invalid part of a setting, with the message of its own check."""

    def __init__(self, message: str) -> None:
        ValueError.__init__(self, message)


def matching(get: Get, name: str, pattern: str, allowed: str) -> str:
    """Return text that matches a pattern. Raises SettingError."""
    value = get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise SettingError(name, value, allowed)
    return value


def optional(get: Get, name: str, pattern: str, allowed: str) -> str | None:
    """Return text that matches a pattern, or None for nothing. Raises SettingError."""
    return None if get(name) in (None, "") else matching(get, name, pattern, allowed)


def flag(get: Get, name: str) -> bool:
    """Return true or false. Raises SettingError."""
    value = get(name)
    flags = {True: True, False: False, "true": True, "false": False, "on": True, "off": False}
    if not isinstance(value, bool | str) or value not in flags:
        raise SettingError(name, value, "true | false")
    return flags[value]


def entries(get: Get, name: str, *, most: int, example: str) -> list[Any]:
    """Return the entries of a setting that is a list, or its JSON text. Raises SettingError."""
    value = get(name)
    if value in (None, "", []):
        return []
    try:
        listed = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        listed = None
    if not isinstance(listed, list) or len(listed) > most:
        got = f"{len(listed)} entries" if isinstance(listed, list) else "not a list"
        raise SettingError(name, got, f"a list of up to {most} objects like {example}")
    return listed


def number(get: Get, name: str, least: float, most: float, *, allowed: str | None = None) -> float:
    """Return a number. Raises SettingError."""
    try:
        value = float(get(name))
    except (TypeError, ValueError):
        value = float("nan")
    if not least <= value <= most:
        raise SettingError(name, get(name), allowed or f"a number from {least:,} to {most:,}")
    return value


def whole(get: Get, name: str, least: int, most: int) -> int:
    """Return a whole number. Raises SettingError."""
    allowed = f"a whole number from {least:,} to {most:,}"
    value = number(get, name, least, most, allowed=allowed)
    if value != int(value):
        raise SettingError(name, get(name), allowed)
    return int(value)
