"""Gap: after each call that wrote no log lines, MiniStack waits 50 ms for them."""

import functools
import queue
import time
from typing import Any

from ministack.core import lambda_runtime

from local.ministack.edits import edit_text, replace

_END = "\x1eend of invocation\x1e"
_LONGEST_WAIT_S = 0.25

_ANSWERED = "        _real_stdout.flush()\n\nrun()"
_LOG_ENDED = f"""        sys.__stderr__.write({_END + chr(10)!r})
        sys.__stderr__.flush()
{_ANSWERED}"""


def apply() -> None:
    """Let the worker mark the end of a call's log, so that no call waits and no line comes late."""
    edit_text(lambda_runtime, "_PYTHON_WORKER_SCRIPT", [(_ANSWERED, _LOG_ENDED)])
    replace(lambda_runtime.Worker, "_drain_stderr_bounded", _reading_to_the_mark)


def _reading_to_the_mark(drain: Any) -> Any:
    @functools.wraps(drain)
    def reading(worker: Any) -> str:
        if not str(worker.config.get("Runtime", "python")).startswith("python"):
            return str(drain(worker))
        lines: list[str] = []
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while time.monotonic() < deadline:
            try:
                line = worker._stderr_queue.get(timeout=0.005)
            except queue.Empty:
                if not worker._stderr_thread.is_alive():  # the process ended before the mark
                    break
                continue
            if line.endswith(_END):
                lines.append(line.removesuffix(_END))
                break
            lines.append(line)
        return "\n".join(lines).removesuffix("\n")

    return reading
