"""Watched executions: few calls of Step Functions, and no answer that is too old."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from easel.runs.executions import LineCounts
from easel.runs.watched import WatchedExecutions
from local.ministack.strict.throttling import BUCKETS, Bucket
from tests.support.page_polling import page_waits

MACHINE = "arn:aws:states:ap-southeast-1:123456789012:stateMachine:easel"
MAP_RUN = f"{MACHINE}/Lines:1"
LINE_STATES = ("total", "pending", "running", "succeeded", "failed", "timedOut", "aborted")
VIEWERS, RUN_SECONDS = 50, 120.0
DESCRIBE, HISTORY, LIST = BUCKETS


@dataclass
class StepFunctions:
    """Step Functions with a clock of its own, whose calls are counted and taken from buckets."""

    now: float = 0.0
    status: str = "RUNNING"
    history_lags: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    least: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.buckets = {
            action: Bucket(*bucket, clock=lambda: self.now) for action, bucket in BUCKETS.items()
        }
        self.events = [{"id": 1, "type": "ExecutionStarted"}]
        self.lines = dict.fromkeys(LINE_STATES, 0) | {"total": 2, "running": 2}

    def count(self, action: str) -> None:
        assert self.buckets[action].take(), f"{action} is throttled after {self.now:.0f} s"
        self.calls[action] += 1
        left = self.buckets[action].tokens
        self.least[action] = min(left, self.least.get(action, left))

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        self.count(DESCRIBE)
        start = datetime(2026, 11, 24, tzinfo=UTC)
        return {
            "executionArn": executionArn,
            "status": self.status,
            "startDate": start,
            "input": "{}",
            "output": "{}",
        }

    def list_executions(self, **_: Any) -> dict[str, Any]:
        self.count(LIST)
        start = datetime(2026, 11, 24, tzinfo=UTC)
        failed = [f"{MACHINE}:line-{number}" for number in range(self.lines["failed"])]
        return {
            "executions": [
                {"executionArn": arn, "name": arn, "status": "FAILED", "startDate": start}
                for arn in failed
            ]
        }

    def list_map_runs(self, **_: Any) -> dict[str, Any]:
        return {"mapRuns": [{"mapRunArn": MAP_RUN, "startDate": self.now}]}

    def describe_map_run(self, **_: Any) -> dict[str, Any]:
        return {"itemCounts": self.lines}

    def get_paginator(self, _: str) -> "StepFunctions":
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for begin in range(0, len(self.events), 1000):
            self.count(HISTORY)
            yield {"events": self.events[begin : begin + 1000]}

    def stop_execution(self, **_: Any) -> None:
        self.end("ABORTED", "ExecutionAborted")

    def redrive_execution(self, **_: Any) -> None:
        self.end("RUNNING", "ExecutionRedriven")

    def start_execution(self, **_: Any) -> dict[str, str]:
        return {"executionArn": f"{MACHINE}:new"}

    def end(self, status: str, event: str) -> None:
        self.status = status
        if not self.history_lags:
            self.add(event)

    def add(self, event: str) -> None:
        self.events.append({"id": len(self.events) + 1, "type": event})


@pytest.fixture
def aws() -> StepFunctions:
    return StepFunctions()


@pytest.fixture
def watched(aws: StepFunctions) -> WatchedExecutions:
    return process(aws)


def process(aws: StepFunctions) -> WatchedExecutions:
    return WatchedExecutions(aws, machine=MACHINE, clock=lambda: aws.now)


def look(watched: WatchedExecutions, name: str = "run") -> str:
    """Read a run as the API shows it, and return its status."""
    execution = watched.get(name)
    assert execution
    watched.progress(execution)
    return execution.status


def test_viewers_of_a_second_share_one_answer(
    watched: WatchedExecutions, aws: StepFunctions
) -> None:
    for _ in range(VIEWERS):
        aws.now += 0.9 / VIEWERS
        look(watched)
        watched.page(limit=20, after=None)

    assert aws.calls == {DESCRIBE: 1, HISTORY: 1, LIST: 1}


def test_running_execution_is_described_once(
    watched: WatchedExecutions, aws: StepFunctions
) -> None:
    for aws.now in range(60):
        look(watched)

    assert aws.calls == {DESCRIBE: 1, HISTORY: 60}


def test_end_shows_after_a_second(watched: WatchedExecutions, aws: StepFunctions) -> None:
    look(watched)
    aws.now = 10
    assert look(watched) == "RUNNING"
    aws.end("SUCCEEDED", "ExecutionSucceeded")
    aws.now = 11

    assert look(watched) == "SUCCEEDED"


def test_history_of_an_ended_execution_is_read_once(
    watched: WatchedExecutions, aws: StepFunctions
) -> None:
    aws.end("FAILED", "ExecutionFailed")
    for aws.now in range(10):
        look(watched)
    assert aws.calls == {DESCRIBE: 10, HISTORY: 1}

    aws.redrive_execution()
    aws.now = 11
    assert look(watched) == "RUNNING"
    assert aws.calls[HISTORY] == 2


def test_history_without_its_end_is_read_again(
    watched: WatchedExecutions, aws: StepFunctions
) -> None:
    aws.history_lags = True
    aws.end("SUCCEEDED", "ExecutionSucceeded")
    look(watched)
    aws.add("ExecutionSucceeded")

    execution = watched.get("run")
    assert execution
    assert watched.progress(execution).has_ended


def test_long_history_is_read_less_often(watched: WatchedExecutions, aws: StepFunctions) -> None:
    for _ in range(4500):
        aws.add("TaskScheduled")
    for aws.now in range(50):
        look(watched)

    assert aws.calls[HISTORY] <= 5 * (1 + 50 / 5)


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [
        (WatchedExecutions.stop, "RUNNING", "ABORTED"),
        (WatchedExecutions.redrive, "FAILED", "RUNNING"),
    ],
)
def test_own_action_shows_at_once(
    watched: WatchedExecutions,
    aws: StepFunctions,
    act: Callable[..., None],
    before: str,
    after: str,
) -> None:
    aws.status = before
    elsewhere = process(aws)
    assert look(watched) == look(elsewhere) == before
    act(watched, watched.get("run"))
    assert look(watched) == after

    aws.now += 1  # the page reads again after a second, perhaps from another process
    assert look(elsewhere) == after


def test_waiting_for_a_change_reads_now(watched: WatchedExecutions, aws: StepFunctions) -> None:
    look(watched)
    aws.status = "FAILED"

    assert watched.wait_until_visible("run").status == "FAILED"


def test_new_run_is_listed_at_once(watched: WatchedExecutions, aws: StepFunctions) -> None:
    watched.page(limit=20, after=None)
    watched.start({})
    watched.page(limit=20, after=None)

    assert aws.calls[LIST] == 2


def test_counts_are_not_older_than_the_end_of_their_batch(
    watched: WatchedExecutions, aws: StepFunctions
) -> None:
    batch = watched.get("batch")
    assert batch
    aws.now = 0.5
    assert watched.line_counts(batch) == LineCounts(
        total=2, pending=0, running=2, succeeded=0, failed=0, aborted=0
    )
    aws.lines |= {"running": 0, "succeeded": 2}
    aws.end("SUCCEEDED", "ExecutionSucceeded")
    aws.now = 1.1  # the answer about the execution has expired, the counts have not

    ended = watched.get("batch")
    assert ended
    counts = watched.line_counts(ended)
    assert (ended.status, counts and counts.succeeded) == ("SUCCEEDED", 2)


def test_list_of_lines_is_not_older_than_their_counts(
    watched: WatchedExecutions, aws: StepFunctions
) -> None:
    def failed_lines() -> int:
        lines, _ = watched.page(limit=20, after=None, map_run=MAP_RUN)
        return len(lines)

    batch = watched.get("batch")
    assert batch
    watched.line_counts(batch)
    aws.now = 0.9
    assert (failed_lines(), failed_lines(), aws.calls[LIST]) == (0, 0, 1)
    aws.lines |= {"running": 0, "failed": 2}
    aws.now = 1.1

    counts = watched.line_counts(batch)
    assert (counts and counts.failed, failed_lines()) == (2, 2)


@pytest.mark.parametrize("runs", [1, VIEWERS])
@pytest.mark.parametrize("processes", [1, 5, VIEWERS, 10 * VIEWERS])
def test_viewers_stay_within_the_limits(aws: StepFunctions, runs: int, processes: int) -> None:
    """Viewers open their pages in the same second. A read is by any process, chosen randomly."""
    rng = random.Random(1)  # noqa: S311 - not a secret
    all_processes = [process(aws) for _ in range(processes)]
    waits = [page_waits() for _ in range(VIEWERS)]
    reads = [(rng.random(), viewer) for viewer in range(VIEWERS)]
    heapq.heapify(reads)
    seen: list[float] = []
    while reads:
        aws.now, viewer = heapq.heappop(reads)
        if aws.now >= RUN_SECONDS and aws.status == "RUNNING":
            aws.end("SUCCEEDED", "ExecutionSucceeded")
        if look(rng.choice(all_processes), f"run-{viewer % runs}") == "RUNNING":
            heapq.heappush(reads, (aws.now + next(waits[viewer]), viewer))
        else:
            seen.append(aws.now - RUN_SECONDS)

    print(f"{runs} runs, {processes} processes: {dict(aws.calls)}, least tokens {aws.least}")
    assert len(seen) == VIEWERS
    assert max(seen) <= 6  # the longest wait, and the age of an answer
