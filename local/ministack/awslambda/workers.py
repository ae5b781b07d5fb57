"""Gap: MiniStack starts a process for each call if all others are busy (up to 120 were seen).

Before its first call a process costs about a second of CPU and 55 to 90 MB, which is more than most
calls are worth. So calls queue here. Another process starts only after the first call in the queue
has waited for some time, and processes start one at a time. Up to one process per core starts soon,
since those can compute in parallel. Further processes start only after the first call has waited
longer than a start takes, which happens when calls wait for OpenAI.
"""

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.ministack.edits import replace

AT_MOST = 4
PATIENCE_S, START_S = 0.5, 2.0
_POLL_S = 0.1


class Pool:
    """The calls of one function, first come, first served.

    Each call gets a free process or starts another.
    """

    def __init__(
        self,
        at_most: int,
        *,
        cores: int = os.cpu_count() or 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_most, self._cores, self._clock = at_most, cores, clock
        self._changed = threading.Condition()
        self.waiting: deque[object] = deque()  # oldest first
        self._starting: Any = None
        self._started_at = 0.0

    def lease(
        self, workers: Callable[[], Sequence[Any]], acquire: Callable[[], tuple[Any, str]]
    ) -> tuple[Any, str]:
        """Wait for this call's turn, and return what MiniStack's `acquire` returns."""
        with self._changed:
            since, ticket = self._clock(), object()
            self.waiting.append(ticket)
            try:
                while self.waiting[0] is not ticket or not self.may_proceed(workers(), since):
                    self._changed.wait(_POLL_S)
                worker, reason = acquire()
                if reason == "spawn":
                    self._starting = worker
            finally:
                self.waiting.remove(ticket)
                self._changed.notify_all()
        return worker, reason

    def may_proceed(self, workers: Sequence[Any], since: float) -> bool:
        """Return whether the first waiting call may proceed. It has waited since this time."""
        if not workers or not all(worker.in_use for worker in workers):
            return True
        if self._starting is not None or len(workers) >= self._at_most:
            return False
        patience = PATIENCE_S if len(workers) < self._cores else START_S
        return self._clock() - max(since, self._started_at) >= patience

    def on_start(self, worker: Any) -> None:
        """Record that a process has started, or could not be started."""
        with self._changed:
            if self._starting is worker:
                self._starting, self._started_at = None, self._clock()
            self._changed.notify_all()

    def on_release(self) -> None:
        """Record that a process has finished its call."""
        with self._changed:
            self._changed.notify_all()


def apply(at_most: int = AT_MOST) -> None:
    """Give each function at most this number of processes. Further calls queue."""
    pools: dict[str, Pool] = {}

    def pool_of(key: str) -> Pool:
        # setdefault is atomic, so two callers never get two pools.
        return pools.setdefault(key, Pool(at_most))

    def counting_depth(execute: Any) -> Any:
        @functools.wraps(execute)
        def executing(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
            # MiniStack counts a direct call as depth 1 and an execution's call as depth 0, but both
            # are outermost calls.
            before = lambda_svc._invoke_depth.set(max(1, lambda_svc._invoke_depth.get()))
            try:
                return dict(execute(func, event, request_id))
            finally:
                lambda_svc._invoke_depth.reset(before)

        return executing

    def queueing(acquire: Any) -> Any:
        @functools.wraps(acquire)
        def acquiring(
            name: str, config: dict[str, Any], code: bytes, qualifier: str = "$LATEST"
        ) -> tuple[Any, str]:
            take = functools.partial(acquire, name, config, code, qualifier=qualifier)
            # A nested call does not queue: its caller holds a process while it waits, so the queue
            # might never move.
            if lambda_svc._invoke_depth.get() > 1:
                worker, reason = take()
                return worker, reason
            key = lambda_runtime._worker_key(name, config, qualifier)
            return pool_of(key).lease(lambda: lambda_runtime._workers.get(key, ()), take)

        return acquiring

    def notifying(change: Any, notify: Callable[[Pool, Any], None]) -> Any:
        @functools.wraps(change)
        def changing(worker: Any) -> None:
            try:
                change(worker)
            finally:
                if worker is not None:  # None stands for a worker that was killed
                    notify(pool_of(_key(worker)), worker)

        return changing

    def notifying_of_release(release: Any) -> Any:
        return notifying(release, lambda pool, _worker: pool.on_release())

    def notifying_of_start(spawn: Any) -> Any:
        return notifying(spawn, Pool.on_start)

    replace(lambda_svc, "_execute_function_warm", counting_depth)
    replace(lambda_svc, "acquire_worker", queueing)
    replace(lambda_svc, "release_worker", notifying_of_release)
    replace(lambda_runtime.Worker, "_spawn", notifying_of_start)


def _key(worker: Any) -> str:
    qualifier = worker.config.get("Version", "$LATEST")
    return str(lambda_runtime._worker_key(worker.func_name, worker.config, qualifier))


def end_all() -> None:
    """End every process and remove its folder. MiniStack forgets to do this when it ends."""
    lambda_runtime.reset()
