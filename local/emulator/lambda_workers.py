"""Gap: MiniStack starts a process for each call that finds all others busy, without a limit (it once reached 120)."""

import functools
import threading
from collections import defaultdict
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local.emulator.edits import replace

AT_MOST = 4


def apply(at_most: int = AT_MOST) -> None:
    """Give each function at most so many processes; further calls queue for a free one."""
    seats: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(at_most))

    def queueing(execute: Any) -> Any:
        @functools.wraps(execute)
        def waiting(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
            # MiniStack counts a direct call as depth 1 but an execution's as 0; both are the outermost.
            outermost = lambda_svc._invoke_depth.get() <= 1
            before = lambda_svc._invoke_depth.set(max(1, lambda_svc._invoke_depth.get()))
            try:
                if not outermost:  # its caller holds a seat and waits for it: queueing could wait for ever
                    return dict(execute(func, event, request_id))
                with seats[(func.get("config") or func).get("FunctionName", "")]:
                    return dict(execute(func, event, request_id))
            finally:
                lambda_svc._invoke_depth.reset(before)

        return waiting

    replace(lambda_svc, "_execute_function_warm", queueing)


def end_all() -> None:
    """End every process and remove its folder, which MiniStack forgets to do when it ends."""
    lambda_runtime.reset()
