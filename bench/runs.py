"""The overhead of a run over a bare script that makes the same calls, on the local stack.

It is measured in time, CPU and memory.

Everything is measured in one session on one machine with one stand-in, which paints each kind of
image once and then repeats it, so that only the stack's own cost remains. Seconds depend on the
machine, and ratios depend on it less.
"""

import base64
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from openai import OpenAI

from bench.memory import Memory, cpu_seconds
from cli.target import Target, local_target
from local import stack
from local.stack import Local
from tests.support.local_stack import bench_environment, free_port

# n8n offers this size, too, and the stand-in's image of it is closest to 1.5 MB.
SIZE = "1536x1024"
ALONE, POLL_SECONDS = 40, 0.005
AT_ONCE = (1, 4, 16)
ROUNDS, PICTURES = (
    3,
    48,
)  # rounds, and images per round; the best rate counts, since a disturbance can only lower it
LOOK_SECONDS = 0.05  # a query costs about 4 ms


@dataclass(frozen=True, kw_only=True)
class Load:
    """This many runs at the same time, with one image each, and the bare script instead of them."""

    at_once: int
    pictures: int
    pictures_per_second: float  # the best of the rounds
    bare_pictures_per_second: float
    cpu_seconds_per_picture: Mapping[str, float]  # by part: emulator, functions, stand-in
    peak_bytes: int  # resident, all parts at the same time
    peak_parts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The results of `measure`, in seconds and bytes."""

    picture_bytes: int
    run_seconds: float  # the median of runs one after the other
    bare_seconds: float
    loads: tuple[Load, ...]
    transitions: Mapping[int, int]  # by the number of images in a run
    invocations: Mapping[int, int]


def measure() -> Runs:
    """Measure on separate stacks.

    Each load has a new stack, since a stack keeps the history of all its runs.
    """
    with _stack() as bench:
        execution = bench.run()
        runs, bare = bench.alone()
        counts = {count: bench.count_events(count) for count in (1, 3)}
    loads = []
    for at_once in AT_ONCE:
        with _stack() as bench:
            loads.append(bench.load(at_once))
    return Runs(
        picture_bytes=json.loads(execution["output"])["pictures"][0]["bytes"],
        run_seconds=runs,
        bare_seconds=bare,
        loads=tuple(loads),
        transitions={count: transitions for count, (transitions, _) in counts.items()},
        invocations={count: invocations for count, (_, invocations) in counts.items()},
    )


@contextmanager
def _stack() -> Iterator["_Bench"]:
    """Start a stack, yield it, and take it down."""
    with tempfile.TemporaryDirectory() as folder:
        local = Local(
            folder=Path(folder),
            port=free_port(),
            settings=(),
            environment=bench_environment(),
            stand_in=("--paint-once",),
        )
        base_url = stack.up(local)["openai_base_url"]
        try:
            started = json.loads(local.processes_file.read_text())
            yield _Bench(
                local_target(local.outputs_file),
                base_url,
                emulator=started["emulator"],
                stand_in=started["stand_in"],
            )
        finally:
            stack.down(local, keep=False)


class _Bench:
    """A running stack, and the process ids of its emulator and stand-in."""

    def __init__(self, deployed: Target, base_url: str, **processes: int) -> None:
        self._machine, self._states, self._processes = (
            deployed.state_machine_arn,
            deployed.client("stepfunctions"),
            processes,
        )
        self._bare = _bare_script(deployed, base_url)

    def alone(self) -> tuple[float, float]:
        """Return the median seconds of a run and of the bare script, one after the other."""
        for _ in range(4):  # to warm up
            self._bare()
            self.run()
        runs, bare = _each(self.run, ALONE), _each(self._bare, ALONE)
        return statistics.median(runs), statistics.median(bare)

    def load(self, at_once: int) -> Load:
        """Measure this many runs at the same time."""
        self._runs_at_once(at_once, 4 * at_once)  # to warm up
        with ThreadPoolExecutor(at_once) as pool:
            bare = min(
                _each(lambda: list(pool.map(lambda _: self._bare(), range(PICTURES))), ROUNDS)
            )
        before = cpu_seconds(**self._processes)
        with Memory(**self._processes) as memory:
            seconds = min(_each(partial(self._runs_at_once, at_once, PICTURES), ROUNDS))
        after = cpu_seconds(**self._processes)
        return Load(
            at_once=at_once,
            pictures=ROUNDS * PICTURES,
            pictures_per_second=PICTURES / seconds,
            bare_pictures_per_second=PICTURES / bare,
            cpu_seconds_per_picture={
                part: (after[part] - before[part]) / ROUNDS / PICTURES for part in after
            },
            peak_bytes=memory.peak.total,
            peak_parts=memory.peak.parts(),
        )

    def _start(self, count: int = 1) -> str:
        request = json.dumps({"folder_name": "bench", "size": SIZE, "count": count})
        return str(
            self._states.start_execution(stateMachineArn=self._machine, input=request)[
                "executionArn"
            ]
        )

    def run(self, count: int = 1) -> dict[str, Any]:
        """Run once with this many images, wait for the end, and return the execution."""
        arn = self._start(count)
        while (execution := self._states.describe_execution(executionArn=arn))[
            "status"
        ] == "RUNNING":
            time.sleep(POLL_SECONDS)
        if execution["status"] != "SUCCEEDED":
            raise SystemExit(
                f"a run of the benchmark failed: {execution['error']} {execution['cause']}"
            )
        return dict(execution)

    def _runs_at_once(self, at_once: int, times: int) -> None:
        """Keep this many runs going until all have ended.

        One query covers all runs, since a query for each run would be a large part of the load.
        """
        started = 0
        while (running := self._count("RUNNING")) or started < times:
            for _ in range(min(at_once - running, times - started)):
                self._start()
                started += 1
            time.sleep(LOOK_SECONDS)
        if self._count("FAILED"):
            raise SystemExit("a run of the benchmark failed")

    def _count(self, status: str) -> int:
        return len(
            self._states.list_executions(
                stateMachineArn=self._machine, statusFilter=status, maxResults=100
            )["executions"]
        )

    def count_events(self, count: int) -> tuple[int, int]:
        """Return the state transitions and invocations of a run with this many images."""
        arn = self.run(count)["executionArn"]
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        return sum("stateEnteredEventDetails" in event for event in events), sum(
            event["type"] == "TaskScheduled" for event in events
        )


def _bare_script(deployed: Target, base_url: str) -> Callable[[], None]:
    """Return a script that makes the same three calls and nothing else.

    It has no claim, check, thumbnail, record or budget.
    """
    openai, s3 = OpenAI(api_key="any", base_url=base_url), deployed.client("s3")

    def script() -> None:
        completion = openai.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "Write an image prompt"}]
        )
        prompt = completion.choices[0].message.content or ""
        images = openai.images.generate(
            model="gpt-image-2.6-flare",
            prompt=prompt,
            size=SIZE,
            quality="medium",
            output_format="png",
        )
        picture = base64.b64decode(images.data[0].b64_json or "") if images.data else b""
        s3.put_object(Bucket=deployed.bucket, Key=f"bare/{uuid4().hex}.png", Body=picture)

    return script


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _each(work: Callable[[], Any], times: int) -> list[float]:
    """Return the seconds of each call, made one after the other."""
    return [_seconds(work) for _ in range(times)]
