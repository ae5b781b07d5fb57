"""A clock for simulations: time passes only while all threads sleep."""

import heapq
import itertools
import threading
from collections.abc import Callable


class VirtualTime:
    """A clock for threads that jumps. Only one thread runs at a time, until it sleeps."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self._order = itertools.count()
        self._sleeping: list[tuple[float, int, threading.Semaphore]] = []
        self._error: BaseException | None = None

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self.now

    monotonic = __call__

    def sleep(self, seconds: float) -> None:
        """Let other threads run for this long."""
        wakeup = self._schedule(seconds)
        self._wake_next()
        wakeup.acquire()

    def run(self, work: Callable[[], None], *, threads: int) -> None:
        """Do the same work in this many threads, and return when all are done.

        Raise the first error.
        """
        ended = threading.Semaphore(0)

        def run_thread(wakeup: threading.Semaphore) -> None:
            wakeup.acquire()
            try:
                work()
            except BaseException as error:
                self._error = self._error or error
            if self._sleeping:
                self._wake_next()
            else:
                ended.release()

        for _ in range(threads):
            threading.Thread(target=run_thread, args=(self._schedule(0),), daemon=True).start()
        self._wake_next()
        ended.acquire()
        if self._error:
            raise self._error

    def _schedule(self, seconds: float) -> threading.Semaphore:
        wakeup = threading.Semaphore(0)
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._order), wakeup))
        return wakeup

    def _wake_next(self) -> None:
        self.now, _, wakeup = heapq.heappop(self._sleeping)
        wakeup.release()
