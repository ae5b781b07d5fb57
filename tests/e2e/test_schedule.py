"""The schedule: EventBridge's own event starts a run and gives it its id."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import stack
from local.stack import Local
from tests.support.local_stack import LocalStack, free_port, own_environment

# This includes up to a minute until the cron expression is due, and the run itself.
DEADLINE_SECONDS = 120


@pytest.fixture
def scheduled(tmp_path: Path) -> Iterator[LocalStack]:
    local = Local(
        folder=tmp_path,
        port=free_port(),
        settings=("schedule=cron(* * * * ? *)",),
        environment=own_environment(),
    )
    try:
        yield LocalStack(stack.up(local))
    finally:
        stack.down(local, keep=False)


def test_schedule_event_makes_a_default_image(scheduled: LocalStack) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (
        executions := scheduled.states.list_executions(stateMachineArn=scheduled.machine)[
            "executions"
        ]
    ):
        assert time.monotonic() < deadline, "the rule started nothing"
        time.sleep(0.2)
    report = scheduled.wait_for_end(executions[-1]["executionArn"])["report"]

    assert re.fullmatch(r"schedule-[0-9a-f-]{36}", report["run_id"])
    assert report["run_id"] != executions[-1]["name"]
    assert report["pictures"][0]["key"].startswith("my_s3_folder/image_")
