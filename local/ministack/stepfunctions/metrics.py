"""Gap: MiniStack counts no executions, so that an alarm of failed runs never rings."""

import functools
import time
from typing import Any

from ministack.services import cloudwatch, stepfunctions

from local.ministack.edits import replace

# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def apply() -> None:
    """Count an execution that ends, as AWS does, and look at the alarms."""
    replace(stepfunctions, "_emit_execution_status_event", _counting)


def _counting(emit: Any) -> Any:
    @functools.wraps(emit)
    def counting(execution: dict[str, Any]) -> None:
        emit(execution)
        name = METRICS.get(execution["status"])
        if name:
            machine = {"StateMachineArn": execution["stateMachineArn"]}
            cloudwatch._store_datum("AWS/States", name, machine, time.time(), "Count", 1.0, None, None, None)
            cloudwatch._evaluate_all_alarms()

    return counting
