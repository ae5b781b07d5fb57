"""How many requests a sliding window of time takes in: the requests per minute of an account."""

import time
from collections import deque
from collections.abc import Callable

# What is left of a wait after a clock's floats were added up is no wait: who waited as long as it was told gets in.
ROUNDING_SECONDS = 1e-6


class SlidingWindow:
    """At most `limit` admissions in any `seconds`. One that is refused leaves no trace. Constant time a call."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1 or seconds <= 0:
            raise ValueError(f"a window needs a limit and a length above 0, not {limit} in {seconds} s")
        self.limit, self.seconds, self._clock = limit, seconds, clock
        # Only the last `limit` admissions can fill a window, and the oldest of them says when the next has room.
        self._admitted: deque[float] = deque(maxlen=limit)

    def admit(self) -> float:
        """0.0 for an admission, else the seconds until there is room."""
        now = self._clock()
        if len(self._admitted) == self.limit:
            wait = self._admitted[0] + self.seconds - now
            if wait > ROUNDING_SECONDS:
                return wait
        self._admitted.append(now)
        return 0.0
