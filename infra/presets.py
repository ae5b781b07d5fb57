"""The setting `presets`: named styles of the house, which requests use by `preset`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from easel.contract.errors import EaselError, InputError
from easel.contract.settings import RequestSettings, write_presets
from easel.request.presets import check_preset_fields, check_preset_name
from easel.request.request import TABLE, parse
from infra.setting_values import SettingError, SettingRefusedError

NAME = "presets"
# Lambda gives a function 4 KB for its environment.
MAX_BYTES = 1_000
ALLOWED = 'an object such as {"brand": {"style": "flat, two colours", "quality": "high"}}'


def read_presets(get: Callable[[str], Any], request: RequestSettings) -> dict[str, Any]:
    """Return the fields of each preset of the setting, an object or its JSON text.

    Raises SettingError.
    """
    value = get(NAME)
    if value in (None, ""):
        return {}
    try:
        listed = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise SettingError(NAME, value, ALLOWED) from None
    if not isinstance(listed, dict):
        raise SettingError(NAME, value, ALLOWED)
    presets = {name: _read(name, fields, request) for name, fields in listed.items()}
    size = len(write_presets(presets).encode())
    if size > MAX_BYTES:
        allowed = f"at most {MAX_BYTES:,} bytes of presets; make larger ones on the page"
        raise SettingError(NAME, f"{size:,} bytes", allowed)
    return presets


def _read(name: object, fields: object, request: RequestSettings) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise SettingError(f"{NAME}, {name}", fields, ALLOWED)
    try:
        check_preset_name(name, f"{NAME}, name")
        kept = check_preset_fields(fields, TABLE)
        parse(kept, request, today=datetime.now(UTC).date())
    except EaselError as error:
        field = error.field if isinstance(error, InputError) else ""
        raise SettingRefusedError(f"setting {NAME}, {name} {field}: {error}") from error
    return kept
