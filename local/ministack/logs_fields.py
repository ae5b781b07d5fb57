"""Gap: a log query knows no fields of a line that is JSON."""

import functools
import json
from typing import Any

from ministack.services import cloudwatch_logs

from local.ministack.edits import replace


def apply() -> None:
    """Give the record of a line the fields that are in it, as CloudWatch Logs Insights discovers them."""
    replace(cloudwatch_logs, "_build_log_record", _with_fields)


def _with_fields(build: Any) -> Any:
    @functools.wraps(build)
    def building(*, message: str, **more: Any) -> dict[str, Any]:
        record: dict[str, Any] = build(message=message, **more)
        return _fields(message) | record

    return building


def _fields(message: str) -> dict[str, Any]:
    try:
        said = json.loads(message)
    except ValueError:
        return {}
    return {name: value for name, value in said.items() if isinstance(value, str | int | float)} if isinstance(said, dict) else {}
