"""Fifty viewers of the page: Step Functions throttles nobody, and all see the end of the run.

Time runs SLOWER times as slowly as on AWS, because this machine answers fewer requests a second:
for the viewers, and for the buckets of Step Functions.
"""

import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from local import stack
from local.fake_openai.requests import GENERATIONS
from local.stack import Local
from tests.support.api_caller import machine
from tests.support.local_stack import LocalStack
from tests.support.page_polling import page_waits

VIEWERS, SLOWER = 50, 2
PAINTED = 5  # at once, the default of max_parallel_images; further runs wait for their turn
WATCHED_SECONDS = 15  # by the viewers' clock
REQUEST = {"folder_name": "crowd", "size": "1024x640", "quality": "low", "prompt": "A kite"}
LEFT = re.compile(r"(\w+) leaves (\d+) tokens")


@pytest.fixture
def aws(local: Local) -> LocalStack:
    limits = {
        "EASEL_LOCAL_STRICT": f"throttling={1 / SLOWER}",
        "EASEL_LOCAL_WORKERS": "8",
    }
    return LocalStack(stack.up(replace(local, environment={**local.environment, **limits})))


@pytest.mark.parametrize("runs", [1, VIEWERS])
def test_viewers_are_never_throttled(aws: LocalStack, local: Local, runs: int) -> None:
    call, statuses = machine(aws), Counter[int]()
    aws.script({"path": GENERATIONS, "delay": 600, "times": min(runs, PAINTED)})
    with ThreadPoolExecutor(10) as pool:
        keys = [f"watched-{n}" for n in range(runs)]
        started = [
            answer.json["id"] for answer in pool.map(lambda k: call.run(REQUEST, key=k), keys)
        ]
    aws.until(lambda: not aws.script())
    ended = threading.Event()

    def watch(viewer: int) -> None:
        """Read a run as the page does, until it has ended."""
        run = started[viewer % runs]
        for wait in page_waits():
            time.sleep(wait * SLOWER)
            answer = call("GET", f"/runs/{run}")
            statuses[answer.status] += 1
            if answer.status == 200 and answer.json["status"] != "running":
                assert ended.is_set()
                assert answer.json["status"] == "succeeded"
                return

    with ThreadPoolExecutor(VIEWERS) as pool:
        viewers = [pool.submit(watch, viewer) for viewer in range(VIEWERS)]
        time.sleep(WATCHED_SECONDS * SLOWER)
        ended.set()
        aws.end_faults()
        for viewer in viewers:
            viewer.result()

    (log,) = local.folder.rglob("emulator.log")
    text = log.read_text()
    left = [(name, int(tokens)) for name, tokens in LEFT.findall(text)]
    least = {name: min(n for other, n in left if other == name) for name, _ in left}
    calls = Counter(name for name, _ in left)
    print(f"{runs} runs: {dict(statuses)} answers, {dict(calls)}, least tokens {least}")
    assert set(statuses) == {200}
    assert calls["GetExecutionHistory"]  # the limits are on
    assert "is throttled" not in text
