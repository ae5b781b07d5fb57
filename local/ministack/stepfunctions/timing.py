"""Gaps: MiniStack sleeps 0.15 s before each execution, and a Retry's MaxDelaySeconds and JitterStrategy do nothing."""

import random
from typing import Any

from ministack.services import stepfunctions

from local.ministack.edits import edit

# MiniStack's own cap, kept for a Retry that names none (AWS has none).
_LONGEST_DELAY_S = 60

_PAUSE = "    time.sleep(0.15)\n"
_TASK_DELAY = "_scaled_sleep(min(sleep_sec, 60))"
_MAP_DELAY = '_scaled_sleep(min(interval * (retrier.get("BackoffRate", 2.0) ** count), 60))'
_DELAY = "_scaled_sleep(_easel_retry_delay(retrier, count))"


def apply() -> None:
    """Start at once, and wait as long as the Retry says."""
    edit(stepfunctions, "_run_execution", [(_PAUSE, "")])
    edit(stepfunctions, "_execute_task", [(_TASK_DELAY, _DELAY)], _easel_retry_delay=retry_delay)
    edit(stepfunctions, "_with_retry_and_catch", [(_MAP_DELAY, _DELAY)])


def retry_delay(retrier: dict[str, Any], retries: int) -> float:
    """Seconds before the next attempt, after so many retries."""
    delay: float = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** retries
    delay = min(delay, retrier.get("MaxDelaySeconds", _LONGEST_DELAY_S))
    return random.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay  # noqa: S311  no secret
