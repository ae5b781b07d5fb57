"""Runs on a local stack, one after the other and at the same time, next to the bare script.

The stand-in paints each kind of image once and then repeats it, so that only the stack's own cost
remains.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from openai import OpenAI

from bench import stacks
from bench.image_calls import prompt_and_image
from bench.memory import Memory, cpu_seconds
from cli.target import Target, local_target
from local import stack

# n8n offers this size, too, and the stand-in's image of it is closest to 1.5 MB.
SIZE = "1536x1024"
ALONE, POLL_SECONDS = 24, 0.005
# Rounds, and images per round. The best rate counts, since a disturbance can only lower it.
ROUNDS, PICTURES = 3, 32
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


@contextmanager
def running() -> Iterator["RunStack"]:
    """Start a stack, yield it, and take it down."""
    with stacks.running(stand_in=("--paint-once",)) as local:
        started = stack.started_processes(local)
        yield RunStack(
            local_target(local.outputs_file),
            str(started["openai_base_url"]),
            emulator=started["emulator"],
            stand_in=started["stand_in"],
        )


class RunStack:
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
        _, picture = prompt_and_image(openai, SIZE)
        s3.put_object(Bucket=deployed.bucket, Key=f"bare/{uuid4().hex}.png", Body=picture)

    return script


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _each(work: Callable[[], Any], times: int) -> list[float]:
    """Return the seconds of each call, made one after the other."""
    return [_seconds(work) for _ in range(times)]
