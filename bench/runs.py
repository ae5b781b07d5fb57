"""What a run costs in time over a bare script that does the same calls, on the local stack: `make bench`.

Everything is measured in one go on one machine against one stand-in, which paints each kind of picture once and then repeats it: what
is left is the stack's own time. Seconds depend on the machine; the ratios less so.
"""

import base64
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from openai import OpenAI
from rich.console import Console
from rich.table import Table

from local import stack
from local.stack import Local
from operate import target
from operate.target import Target
from tests.local_stack import free_port, own_environment

BARE, ALONE, AT_ONCE, LANES = 40, 60, 120, 4
POLL_SECONDS = 0.005


def main() -> None:
    """Bring up a stack of its own, measure, take it down."""
    environment = own_environment()
    with tempfile.TemporaryDirectory() as folder:
        local = Local(folder=Path(folder), port=free_port(), settings=(), environment=environment, stand_in=("--paint-once",))
        base_url = stack.up(local)["openai_base_url"]
        try:
            _measure(target.local(local.outputs_file), base_url)
        finally:
            stack.down(local, keep=False)


def _measure(deployed: Target, base_url: str) -> None:
    states = deployed.client("stepfunctions")

    def run(count: int = 1) -> dict[str, Any]:
        request = json.dumps({"folder_name": "bench", "count": count})
        arn = states.start_execution(stateMachineArn=deployed.state_machine_arn, input=request)["executionArn"]
        while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            time.sleep(POLL_SECONDS)
        if found["status"] != "SUCCEEDED":
            raise SystemExit(f"a run of the benchmark failed: {found['error']} {found['cause']}")
        return dict(found)

    bare = _bare_script(deployed, base_url)
    for work in (bare, run):  # warm
        _at_once(work, 4 * LANES)
    alone_bare, alone = _alone(bare, BARE), _alone(run, ALONE)
    crowd_bare, crowd = _at_once(bare, AT_ONCE), _at_once(run, AT_ONCE)
    table = Table(title="One picture of 1024x1024 a run", title_justify="left")
    for column in ("", "bare script", "Easel", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    one_bare, one = statistics.median(alone_bare), statistics.median(alone)
    table.add_row("median wall time, one at a time", f"{one_bare * 1000:.0f} ms", f"{one * 1000:.0f} ms", f"{one / one_bare:.2f}")
    for name, ours, theirs in (
        ("pictures a second, one at a time", ALONE / sum(alone), BARE / sum(alone_bare)),
        (f"pictures a second, {LANES} at once", AT_ONCE / crowd, AT_ONCE / crowd_bare),
    ):
        table.add_row(name, f"{theirs:.1f}", f"{ours:.1f}", f"{ours / theirs:.2f}")
    console = Console()
    console.print(table)
    for count in (1, 3):
        transitions, invocations = _counted(states, run(count)["executionArn"])
        console.print(f"count {count}: {transitions} state transitions, {invocations} Lambda invocations", highlight=False)


def _bare_script(deployed: Target, base_url: str) -> Callable[[], None]:
    """The same three calls with nothing around them: no claim, no check, no thumbnail, no record, no budget."""
    openai, s3 = OpenAI(api_key="any", base_url=base_url), deployed.client("s3")

    def script() -> None:
        said = openai.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Write an image prompt"}])
        prompt = said.choices[0].message.content or ""
        made = openai.images.generate(model="gpt-image-2.6-flare", prompt=prompt, size="1024x1024", quality="medium", output_format="png")
        picture = base64.b64decode(made.data[0].b64_json or "") if made.data else b""
        s3.put_object(Bucket=deployed.bucket, Key=f"bare/{uuid4().hex}.png", Body=picture)

    return script


def _alone(work: Callable[[], Any], times: int) -> list[float]:
    """Seconds of each, one after the other."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def _at_once(work: Callable[[], Any], times: int) -> float:
    """Seconds for all, some at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(LANES) as pool:
        list(pool.map(lambda _: work(), range(times)))
    return time.perf_counter() - start


def _counted(states: Any, arn: str) -> tuple[int, int]:
    pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    return sum("stateEnteredEventDetails" in event for event in events), sum(event["type"] == "TaskScheduled" for event in events)


if __name__ == "__main__":
    main()
