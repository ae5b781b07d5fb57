"""The life of a function's process: its cold start, and the time that a call has left."""

import gc
import os
import time
from collections.abc import Callable
from contextlib import suppress

from aws_lambda_powertools.utilities.typing import LambdaContext

ON_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def prepare(*resources: Callable[[], object]) -> None:
    """Call these functions, which keep what they make, before the first call of the function does.

    It is the last statement of a handler's module: Lambda gives a whole core for it, whatever the
    function's memory. Elsewhere nothing is made: an import needs no environment, no credentials.
    """
    if not ON_LAMBDA:
        return
    for resource in resources:
        # The call asks again for what cannot be made, and its error says why.
        with suppress(Exception):
            resource()
    # functions/__init__.py turned the collector off. It is on again, and never walks through what
    # exists by now.
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
        """Return the moment of the end, in epoch seconds."""
        return int(time.time() + self.seconds()) + 1

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
