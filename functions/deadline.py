"""The time that an invocation has left."""

import time

from aws_lambda_powertools.utilities.typing import LambdaContext


class Deadline:
    """The end of this invocation, after which Lambda kills it."""

    def __init__(self, context: LambdaContext) -> None:
        self._context = context

    def seconds(self) -> float:
        """Seconds left."""
        return self._context.get_remaining_time_in_millis() / 1000

    def epoch(self) -> int:
        """The moment of the end, in epoch seconds."""
        return int(time.time() + self.seconds()) + 1

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
