"""A function's process: its cold start, and the time that an invocation has left."""

import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress

from aws_lambda_powertools.utilities.typing import LambdaContext

ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def prepare(*resources: Callable[[], object]) -> None:
    """Build these cached resources during the cold start, before the first invocation.

    This must be the last statement of a handler's module. Lambda provides a whole core for the cold
    start, whatever the function's memory. Outside Lambda nothing is built, so an import needs
    neither environment nor credentials.
    """
    if not ON_LAMBDA:
        return
    for resource in resources:
        # If a resource fails, the first invocation builds it again and raises the error.
        with suppress(Exception):
            resource()
    # functions/__init__.py turned the garbage collector off. Freezing excludes all existing objects
    # from later collections.
    gc.freeze()
    gc.enable()


class Deadline:
    """The end of this invocation, when Lambda kills it."""

    def __init__(self, context: LambdaContext) -> None:
        self._context = context

    def seconds(self) -> float:
        """Return the seconds left."""
        return self._context.get_remaining_time_in_millis() / 1000

    def epoch(self) -> int:
        """Return the time of the end, in epoch seconds."""
        return int(time.time() + self.seconds()) + 1

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds."""
        time.sleep(seconds)

    def within(self, seconds: float) -> "Deadline":
        """Return the end of a part of this invocation that may take this many seconds."""
        return EarlierDeadline(self, before_end=max(0.0, self.seconds() - seconds))


class EarlierDeadline(Deadline):
    """A time some seconds before another deadline."""

    def __init__(self, end: Deadline, *, before_end: float) -> None:
        self._end, self._before_end = end, before_end

    def seconds(self) -> float:
        """Return the seconds left."""
        return self._end.seconds() - self._before_end

    def epoch(self) -> int:
        """Return the time of this deadline, in epoch seconds."""
        return self._end.epoch() - int(self._before_end)

    def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds."""
        self._end.sleep(seconds)
