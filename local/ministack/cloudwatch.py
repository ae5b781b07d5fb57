"""Gaps: CloudWatch treats JSON log lines as plain text, and alarms ignore dimensions.

- Metrics that a function writes into its log (the embedded metric format) are not stored.
- A log query does not know the fields of a JSON line.
- An alarm about one state machine rings when another one fails.
"""

import functools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch, cloudwatch_logs, lambda_svc

from local.ministack.edits import edit, replace

_BY_NAME = """    for (k_ns, k_mn, _), pts in _metrics.items():
        if k_ns == ns and k_mn == mn:
"""
_BY_DIMENSIONS = """    wanted = _dims_key(_dims_from_list(alarm.get("Dimensions") or []))
    for (k_ns, k_mn, k_dims), pts in _metrics.items():
        if k_ns == ns and k_mn == mn and k_dims == wanted:
"""


def apply() -> None:
    """Store the metrics in a function's log, and let queries use the fields of JSON lines."""
    replace(lambda_svc, "_emit_lambda_logs", _storing_metrics)
    replace(cloudwatch_logs, "_build_log_record", _with_fields)
    edit(cloudwatch, "_evaluate_alarm", [(_BY_NAME, _BY_DIMENSIONS)])


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric of a log line or of the emulator itself."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    unit: str = "Count"
    values: list[float]


def store(*metrics: Metric) -> None:
    """Store the metrics, and evaluate the alarms."""
    for metric in metrics:
        name, dimensions, values = metric.name, metric.dimensions, metric.values
        cloudwatch._store_datum(
            metric.namespace, name, dimensions, time.time(), metric.unit, None, values, None, None
        )
    if metrics:
        cloudwatch._evaluate_all_alarms()


def _storing_metrics(emit: Any) -> Any:
    @functools.wraps(emit)
    def emitting(
        func: dict[str, Any], request_id: str, log_text: str, *rest: Any, **options: Any
    ) -> None:
        emit(func, request_id, log_text, *rest, **options)
        store(*_metrics(log_text or ""))

    return emitting


def _metrics(log: str) -> Iterator[Metric]:
    """Yield the metrics in a log.

    The CloudWatch guide describes the format on its page "Specification: Embedded metric format".
    """
    for line in log.splitlines():
        if not line.startswith("{") or '"CloudWatchMetrics"' not in line:
            continue
        fields = json.loads(line)
        for directive in fields["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: str(fields[name]) for name in names}
                for metric in directive["Metrics"]:
                    values = fields[metric["Name"]]
                    yield Metric(
                        namespace=directive["Namespace"],
                        name=metric["Name"],
                        dimensions=dimensions,
                        unit=metric["Unit"],
                        values=values if isinstance(values, list) else [values],
                    )


def _with_fields(build: Any) -> Any:
    """Add the fields of a JSON line to its record, as CloudWatch Logs Insights does."""

    @functools.wraps(build)
    def building(*, message: str, **more: Any) -> dict[str, Any]:
        record: dict[str, Any] = build(message=message, **more)
        return _fields(message) | record

    return building


def _fields(message: str) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if isinstance(value, str | int | float)}
