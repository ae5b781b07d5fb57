"""Gap: metrics that a function writes into its log (CloudWatch's embedded metric format) are not read from there."""

import functools
import json
import time
from collections.abc import Iterator
from typing import Any

from ministack.services import cloudwatch, lambda_svc

from local.ministack.edits import replace


def apply() -> None:
    """Read them, and look at the alarms."""
    replace(lambda_svc, "_emit_lambda_logs", _reading_metrics)


def _reading_metrics(emit: Any) -> Any:
    @functools.wraps(emit)
    def emitting(func: dict[str, Any], request_id: str, log_text: str, *rest: Any, **options: Any) -> None:
        emit(func, request_id, log_text, *rest, **options)
        found = list(_metrics(log_text or ""))
        for namespace, name, dimensions, unit, values in found:
            cloudwatch._store_datum(namespace, name, dimensions, time.time(), unit, None, values, None, None)
        if found:
            cloudwatch._evaluate_all_alarms()

    return emitting


def _metrics(log: str) -> Iterator[tuple[str, str, dict[str, str], str, list[float]]]:
    """Namespace, name, dimensions, unit and values of each metric in a log.

    The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    for line in log.splitlines():
        if not line.startswith("{") or '"CloudWatchMetrics"' not in line:
            continue
        said = json.loads(line)
        for part in said["_aws"]["CloudWatchMetrics"]:
            for names in part["Dimensions"]:
                dimensions = {name: str(said[name]) for name in names}
                for metric in part["Metrics"]:
                    values = said[metric["Name"]]
                    yield part["Namespace"], metric["Name"], dimensions, metric["Unit"], values if isinstance(values, list) else [values]
