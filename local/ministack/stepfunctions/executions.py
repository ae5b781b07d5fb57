"""Gaps in every execution: its pause, its delays and its metrics.

- MiniStack sleeps 0.15 s before each execution.
- A Retry's MaxDelaySeconds and JitterStrategy have no effect.
- Ended executions are not counted, so an alarm for failed executions never fires.
"""

import functools
import random
from typing import Any

from ministack.services import stepfunctions

from local.ministack import cloudwatch
from local.ministack.cloudwatch import Metric
from local.ministack.edits import edit, replace

# MiniStack's own limit, which is kept for a Retry without MaxDelaySeconds. AWS has no limit.
_LONGEST_DELAY_S = 60

_PAUSE = "    time.sleep(0.15)\n"
_TASK_DELAY = "_scaled_sleep(min(sleep_sec, 60))"
_MAP_DELAY = '_scaled_sleep(min(interval * (retrier.get("BackoffRate", 2.0) ** count), 60))'
_DELAY = "_scaled_sleep(_easel_retry_delay(retrier, count))"

# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def apply() -> None:
    """Start executions immediately, wait as long as a Retry says, and count executions that end."""
    edit(stepfunctions, "_run_execution", [(_PAUSE, "")])
    edit(stepfunctions, "_execute_task", [(_TASK_DELAY, _DELAY)], _easel_retry_delay=retry_delay)
    edit(stepfunctions, "_with_retry_and_catch", [(_MAP_DELAY, _DELAY)])
    replace(stepfunctions, "_emit_execution_status_event", _counting)


def retry_delay(retrier: dict[str, Any], retries: int) -> float:
    """Return the seconds before the next attempt, after this number of retries."""
    delay: float = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** retries
    delay = min(delay, retrier.get("MaxDelaySeconds", _LONGEST_DELAY_S))
    has_jitter = retrier.get("JitterStrategy") == "FULL"
    return random.uniform(0, delay) if has_jitter else delay  # noqa: S311  not a secret


def _counting(emit: Any) -> Any:
    """Count an execution that ends, as AWS does, and evaluate the alarms."""

    @functools.wraps(emit)
    def counting(execution: dict[str, Any]) -> None:
        emit(execution)
        name = METRICS.get(execution["status"])
        if name:
            machine = {"StateMachineArn": execution["stateMachineArn"]}
            metric = Metric(namespace="AWS/States", name=name, dimensions=machine, values=[1.0])
            cloudwatch.store(metric)

    return counting
