"""The cost of the frame around every handler, per call.

The frame adds log keys, marks the cold start, and flushes the metrics at the end.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from bench.cold import ENVIRONMENT
from bench.section import Figure, Options, Result, in_turns, table
from infra import ROOT

NAME, TITLE = "frame", "The frame of an invocation"

CALLS = 3000
HANDLERS = {"plain": "handler", "framed": "step('bench')(handler)"}
# The frame's lines go to standard output, as on Lambda, and are discarded here. The result goes to
# standard error.
CODE = """
import sys, time
from types import SimpleNamespace
from easel.aws.observability import step
def handler(event, context): return event
called = {handler}
names = ("function_name", "memory_limit_in_mb", "invoked_function_arn", "aws_request_id")
context = SimpleNamespace(**dict.fromkeys(names, "some"))
event = {{"run_id": "run", "n": 1}}
for _ in range(100): called(event, context)
start = time.process_time()
for _ in range({calls}): called(event, context)
print((time.process_time() - start) / {calls}, file=sys.stderr)
"""


def seconds(name: str) -> float:
    """Return the CPU seconds of a call, measured in a separate process."""
    command = [sys.executable, "-c", CODE.format(handler=HANDLERS[name], calls=CALLS)]
    where: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    result = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, text=True, check=True, **where)
    return float(json.loads(result.stderr))


def measure(_options: Options) -> Result:
    """Return the lowest CPU seconds of a call of each handler."""
    return {name: min(group) for name, group in in_turns(tuple(HANDLERS), seconds).items()}


def figures(result: Result) -> Iterator[Figure]:
    """Return what the frame adds."""
    added = (result["framed"] - result["plain"]) * 1_000_000
    yield Figure("Powertools, per invocation", f"{added:.0f} µs", "≤ 150 µs")


def text(result: Result) -> str:
    """Return one row for each handler."""
    rows = [(name, f"{seconds * 1_000_000:.1f}") for name, seconds in result.items()]
    return table(("handler", "CPU µs"), rows)
