"""One function in a fresh process: `python -m bench.invocations MODULE`, with events on stdin.

It prints one JSON line for each event: the answer, the CPU seconds, and the calls to AWS. The first
line is the cold start: the CPU seconds from the process's start until the module is imported.
"""

import json
import os
import sys
import time
from collections import Counter
from importlib import import_module
from typing import Any

BARE = "bench.bare_run"


class Context:
    """The context of an invocation that has much time left."""

    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 600_000


def main() -> None:
    """Import the module, then call it for each event."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a handler prints goes to standard error, as the log

    def say(**values: Any) -> None:
        print(json.dumps(values), file=out, flush=True)

    handler = import_module(sys.argv[1]).handler
    say(init=time.process_time())
    calls: Counter[str] = Counter()
    for line in sys.stdin:
        calls.clear()
        before = time.process_time()
        answer = handler(json.loads(line), Context())
        say(cpu=time.process_time() - before, answer=answer, calls=dict(calls))
        if sys.argv[1] != BARE:
            _count_calls(calls)


def _count_calls(calls: Counter[str]) -> None:
    """Count the calls of each service's clients from now on."""
    from easel.services import SERVICES

    for resource in vars(SERVICES).values():
        client = getattr(resource, "_client", None)
        events = getattr(getattr(client, "meta", None), "events", None)
        if events:
            events.register(
                "before-send.*",
                lambda event_name, **_: calls.update([event_name.removeprefix("before-send.")]),
                unique_id="bench",
            )


if __name__ == "__main__":
    main()
