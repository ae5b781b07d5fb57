"""Gap: MiniStack starts a process at once for each call that finds all others busy, without a limit (it once reached 120).

A process costs about a second of CPU before its first call, and 55 to 90 MB: more than most calls are worth. So calls queue, and only
where the first of them has waited a while is another started, one at a time: one for each core soon, since they can compute beside each
other; further ones once the first has waited for longer than a start takes, as it is with calls that wait for OpenAI.
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
_LOOK_S = 0.1


class Pool:
    """The calls of one function, first come, first served: each gets a process that is free, or starts another."""

    def __init__(self, at_most: int, *, cores: int = os.cpu_count() or 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_most, self._cores, self._clock = at_most, cores, clock
        self._changed = threading.Condition()
        self.waiting: deque[object] = deque()  # the first first
        self._starting: Any = None
        self._started_at = 0.0

    def lease(self, workers: Callable[[], Sequence[Any]], acquire: Callable[[], tuple[Any, str]]) -> tuple[Any, str]:
        """A free process or a new one, as MiniStack gives it; waits for its turn and for its time."""
        with self._changed:
            since, ticket = self._clock(), object()
            self.waiting.append(ticket)
            try:
                while self.waiting[0] is not ticket or not self.goes_on(workers(), since):
                    self._changed.wait(_LOOK_S)
                worker, reason = acquire()
                if reason == "spawn":
                    self._starting = worker
            finally:
                self.waiting.remove(ticket)
                self._changed.notify_all()
        return worker, reason

    def goes_on(self, workers: Sequence[Any], since: float) -> bool:
        """Whether the first call, which has waited since then, goes on now."""
        if not workers or not all(worker.in_use for worker in workers):
            return True
        if self._starting is not None or len(workers) >= self._at_most:
            return False
        patience = PATIENCE_S if len(workers) < self._cores else START_S
        return self._clock() - max(since, self._started_at) >= patience

    def started(self, worker: Any) -> None:
        """A process is there, or could not be started."""
        with self._changed:
            if self._starting is worker:
                self._starting, self._started_at = None, self._clock()
            self._changed.notify_all()

    def freed(self) -> None:
        """A process has done its call."""
        with self._changed:
            self._changed.notify_all()


def apply(at_most: int = AT_MOST) -> None:
    """Give each function at most so many processes; further calls queue for a free one."""
    pools: dict[str, Pool] = {}

    def pool_of(key: str) -> Pool:
        return pools.setdefault(key, Pool(at_most))  # in one step: two callers must not have two

    def counting(execute: Any) -> Any:
        @functools.wraps(execute)
        def executing(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
            # MiniStack counts a direct call as depth 1 but an execution's as 0; both are the outermost.
            before = lambda_svc._invoke_depth.set(max(1, lambda_svc._invoke_depth.get()))
            try:
                return dict(execute(func, event, request_id))
            finally:
                lambda_svc._invoke_depth.reset(before)

        return executing

    def queueing(acquire: Any) -> Any:
        @functools.wraps(acquire)
        def acquiring(name: str, config: dict[str, Any], code: bytes, qualifier: str = "$LATEST") -> tuple[Any, str]:
            take = functools.partial(acquire, name, config, code, qualifier=qualifier)
            if lambda_svc._invoke_depth.get() > 1:  # its caller has a process and waits for it: queueing could wait for ever
                found: tuple[Any, str] = take()
                return found
            key = lambda_runtime._worker_key(name, config, qualifier)
            return pool_of(key).lease(lambda: lambda_runtime._workers.get(key, ()), take)

        return acquiring

    def telling(change: Any, tell: Callable[[Pool, Any], None]) -> Any:
        @functools.wraps(change)
        def changing(worker: Any) -> None:
            try:
                change(worker)
            finally:
                if worker is not None:  # it was killed
                    tell(pool_of(_key(worker)), worker)

        return changing

    replace(lambda_svc, "_execute_function_warm", counting)
    replace(lambda_svc, "acquire_worker", queueing)
    replace(lambda_svc, "release_worker", lambda change: telling(change, lambda pool, _worker: pool.freed()))
    replace(lambda_runtime.Worker, "_spawn", lambda change: telling(change, Pool.started))


def _key(worker: Any) -> str:
    return str(lambda_runtime._worker_key(worker.func_name, worker.config, worker.config.get("Version", "$LATEST")))


def end_all() -> None:
    """End every process and remove its folder, which MiniStack forgets to do when it ends."""
    lambda_runtime.reset()
