"""Gap: Step Functions answers any number of calls.

AWS throttles each action of an account and region with a token bucket. These are the buckets of
most regions: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html. The log has
a line for each call that is counted, with the tokens that are left.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import stepfunctions

from local.ministack.edits import replace

# the size, and how many tokens a second are added
BUCKETS = {
    "DescribeExecution": (250, 10),
    "GetExecutionHistory": (400, 20),
    "ListExecutions": (100, 5),
}
FUNCTIONS = {
    "DescribeExecution": "_describe_execution",
    "GetExecutionHistory": "_get_execution_history",
    "ListExecutions": "_list_executions",
}
_LOG = logging.getLogger("ministack.throttling")


@dataclass
class Bucket:
    """A token bucket, which is full at first. `clock` returns seconds."""

    size: float
    refill: float
    clock: Callable[[], float] = time.monotonic
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens, self._at, self._lock = self.size, self.clock(), threading.Lock()

    def take(self) -> bool:
        """Take a token, or return False if none is left."""
        with self._lock:
            now = self.clock()
            self.tokens = min(self.size, self.tokens + (now - self._at) * self.refill)
            self._at = now
            if self.tokens < 1:
                return False
            self.tokens -= 1
            return True


def apply(speed: float) -> None:
    """Throttle the actions. Buckets are refilled `speed` times as fast as on AWS."""
    for action, function in FUNCTIONS.items():
        size, refill = BUCKETS[action]
        bucket = Bucket(size, refill * speed)
        replace(stepfunctions, function, functools.partial(_throttled, action, bucket))


def _throttled(action: str, bucket: Bucket, call: Any) -> Any:
    @functools.wraps(call)
    def calling(request: dict[str, Any]) -> Any:
        if not bucket.take():
            _LOG.warning("%s is throttled", action)
            return error_response_json("ThrottlingException", "Rate exceeded", 400)
        _LOG.warning("%s leaves %d tokens", action, bucket.tokens)
        return call(request)

    return calling
