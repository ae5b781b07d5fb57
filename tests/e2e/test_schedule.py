"""Schedules: the rule and EventBridge Scheduler start runs, and the time gives them their ids."""

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from local import stack
from local.stack import Local
from tests.support.api_caller import Caller
from tests.support.command_line import easel
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

    assert re.fullmatch(r"schedule-\d{4}-\d\d-\d\dT\d{6}Z", report["run_id"])
    assert report["run_id"] != executions[-1]["name"]
    assert report["pictures"][0]["key"].startswith("my_s3_folder/image_")


def test_schedule_of_the_api_starts_its_run(aws: LocalStack, caller: Caller) -> None:
    request = {"topic": "Sport", "size": "1024x640", "folder_name": "scheduled"}
    path = f"/schedules/e2e-{uuid4().hex[:6]}"
    time = datetime.now(ZoneInfo("Asia/Tokyo")) + timedelta(seconds=5)
    when = {"when": f"at({time:%Y-%m-%dT%H:%M:%S})", "time_zone": "Asia/Tokyo"}
    created = caller("PUT", path, when | {"request": request})
    assert created.status == 200, created.body

    aws.until(lambda: shown(caller, path)["last_run"] is not None)
    last = shown(caller, path)["last_run"]
    run = caller.wait_for_end(last)

    assert (run["status"], run["run_id"]) == ("succeeded", last["id"])
    assert last["time"] == created.json["next_run"]
    assert last["id"] == f"schedule-{path[11:]}-{last['time'].replace(':', '')}"
    assert run["pictures"][0]["key"].startswith("scheduled/")
    assert caller("PUT", path, when | {"paused": True}).json["last_run"] == last
    assert caller("DELETE", path).status == 200


def shown(caller: Caller, path: str) -> dict[str, Any]:
    """Return a schedule as the API lists it."""
    listed = caller("GET", "/schedules", query={"limit": "50"}).json["schedules"]
    return next(entry for entry in listed if path.endswith(f"/{entry['name']}"))


def test_one_scheduled_time_is_paid_once(aws: LocalStack) -> None:
    # This is the input of a rule that fires twice for one time.
    run_input = {"request_id": "schedule-2026-11-29T08:00:00Z", "size": "1024x640"}
    first, second = (aws.run(run_input) for _ in range(2))

    assert first["name"] != second["name"]
    assert {first["report"]["run_id"], second["report"]["run_id"]} == {
        "schedule-2026-11-29T080000Z"
    }
    assert first["report"]["pictures"][0]["key"] == second["report"]["pictures"][0]["key"]
    assert (aws.charges()["chat"], aws.charges()["images"]) == (1, 1)


def test_commands_create_list_and_delete(aws: LocalStack, tmp_path: Path) -> None:
    created = easel(aws, tmp_path, "schedule", "examples/schedules/weekdays.json")
    listed = easel(aws, tmp_path, "schedules")
    deleted = easel(aws, tmp_path, "unschedule", "weekdays")
    again = easel(aws, tmp_path, "unschedule", "weekdays")

    assert created.stdout.startswith("schedule weekdays, next run: 20"), created.stderr
    assert "cron(0 8 ? * MON-FRI *)" in listed.stdout
    assert deleted.returncode == 0, deleted.stderr
    assert "schedule 'weekdays' does not exist" in again.stderr
