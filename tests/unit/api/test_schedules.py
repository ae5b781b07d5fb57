"""Schedules of the API: each is created once, shown with its runs, and owned by cdk.json or not."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from easel.contract.settings import ScheduleSettings
from easel.schedules.schedule import Schedule
from easel.schedules.scheduler import DECLARED, Schedules
from tests.support.api import MACHINE, Api
from tests.support.records import prompt_record
from tests.support.services import NOW

GROUP = "Easel"
ROLE, QUEUE = "arn:aws:iam::123456789012:role/scheduler", "arn:aws:sqs:r:123456789012:q"
DAILY = {"when": "cron(0 8 * * ? *)", "time_zone": "Europe/Berlin", "request": {"topic": "Sport"}}
PATH = "/schedules/daily"


@pytest.fixture
def scheduler(memory: Any) -> Iterator[Any]:
    client = boto3.client("scheduler")
    client.create_schedule_group(Name=GROUP)
    yield client
    client.delete_schedule_group(Name=GROUP)


@pytest.fixture
def schedules(api: Api, scheduler: Any) -> Schedules:
    settings = ScheduleSettings(group=GROUP, role=ROLE, queue=QUEUE)
    api.services.schedules = Schedules(scheduler, settings, machine=MACHINE)
    return api.services.schedules


@pytest.fixture
def stored(scheduler: Any) -> Any:
    return lambda: scheduler.get_schedule(GroupName=GROUP, Name="daily")


def test_schedule_is_stored_and_listed(api: Api, schedules: Schedules, stored: Any) -> None:
    created = api("PUT", PATH, DAILY | {"note": "for the shop", "end": "2027-01-01T00:00:00Z"})
    listed = api("GET", "/schedules").json["schedules"]

    assert created.status == 200
    assert listed == [created.json]
    assert created.json | {"request": None} == {
        "name": "daily",
        "when": DAILY["when"],
        "time_zone": "Europe/Berlin",
        "start": None,
        "end": "2027-01-01T00:00:00Z",
        "paused": False,
        "note": "for the shop",
        "request": None,
        "declared": False,
        "next_run": "2026-11-24T07:00:00Z",
        "last_run": None,
    }
    assert created.json["request"] == DAILY["request"]
    target = stored()["Target"]
    assert (target["Arn"], target["RoleArn"]) == (MACHINE, ROLE)
    assert target["DeadLetterConfig"] == {"Arn": QUEUE}
    assert '"request_id": "schedule-daily-<aws.scheduler.scheduled-time>"' in target["Input"]
    assert '"safety_identifier": "' in target["Input"]
    assert '"person": "' in target["Input"]
    assert "trigger" not in target["Input"]


def test_same_put_twice_changes_nothing(
    api: Api, schedules: Schedules, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = {"when": "rate(1 day)"}
    first, start = api("PUT", PATH, rate), stored()["StartDate"]
    monkeypatch.setattr(api.services, "now", lambda: NOW + timedelta(hours=2))
    api("PUT", PATH, rate | {"note": "again"})

    # A rate that began again would start a run, which is paid for.
    assert first.json["next_run"] == "2026-11-24T03:16:00Z"
    assert start == datetime.fromisoformat(first.json["next_run"])
    assert stored()["StartDate"] == start + timedelta(days=1)


def test_pause_keeps_the_rest(api: Api, schedules: Schedules, stored: Any) -> None:
    api("PUT", PATH, DAILY)
    paused = api("PUT", PATH, DAILY | {"paused": True}).json

    assert (paused["paused"], paused["next_run"]) == (True, None)
    assert (stored()["State"], paused["request"]) == ("DISABLED", DAILY["request"])


def test_last_run_is_the_latest_with_records(api: Api, schedules: Schedules) -> None:
    for day in (21, 23):  # on 22 it was paused
        run_id = f"schedule-daily-2026-11-{day}T070000Z"
        api.services.ledger.keep_prompt(prompt_record(run_id=run_id), paid=None)
    created = api("PUT", PATH, DAILY).json

    assert created["last_run"] == {
        "id": "schedule-daily-2026-11-23T070000Z",
        "time": "2026-11-23T07:00:00Z",
        "url": "https://pictures.example/runs/schedule-daily-2026-11-23T070000Z",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (DAILY | {"time_zone": "Europe/Berlim"}, "time_zone"),
        (DAILY | {"when": "rate(5)"}, "when"),
        (DAILY | {"when": "at(2026-11-24T01:00:00)"}, "when"),
        (DAILY | {"name": "daily"}, "name"),
        (DAILY | {"request": {"size": "1x1"}}, "size"),
        (DAILY | {"request": {"safety_identifier": "x"}}, "safety_identifier"),
        (DAILY | {"request": {"request_id": "x"}}, "request.request_id"),
        (DAILY | {"start": "2027-01-02T00:00:00Z", "end": "2027-01-01T00:00:00Z"}, "end"),
    ],
)
def test_wrong_schedule_is_refused_by_name(
    api: Api, schedules: Schedules, body: dict[str, Any], field: str
) -> None:
    answer = api("PUT", PATH, body)

    assert (answer.status, answer.json["field"]) == (400, field)
    assert api("GET", "/schedules").json["schedules"] == []


def test_declared_schedule_belongs_to_the_deployment(
    api: Api, schedules: Schedules, scheduler: Any
) -> None:
    scheduler.create_schedule(
        GroupName=GROUP,
        Name="daily",
        ScheduleExpression="rate(1 day)",
        Description=f"{DECLARED}: hello",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": MACHINE, "RoleArn": ROLE, "Input": "{}"},
    )

    assert api("PUT", PATH, DAILY).status == 409
    assert api("DELETE", PATH).status == 409
    (listed,) = api("GET", "/schedules").json["schedules"]
    assert (listed["declared"], listed["note"]) == (True, "hello")


def test_deleted_schedule_is_gone(api: Api, schedules: Schedules) -> None:
    api("PUT", PATH, DAILY)
    deleted, again = api("DELETE", PATH), api("DELETE", PATH)

    assert (deleted.status, deleted.json) == (200, {"name": "daily"})
    assert (again.status, again.json["error"]) == (404, "NotFoundError")
    assert api("GET", "/schedules").json == {"schedules": [], "cursor": None}


def test_schedule_created_meanwhile_is_updated(
    schedules: Schedules, scheduler: Any, stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Schedule(
        name="daily",
        when="rate(1 day)",
        time_zone="UTC",
        start=None,
        end=None,
        paused=False,
        note="mine",
        request={},
    )
    schedules.put(wanted, now=NOW)
    get, answers = schedules.get, iter([None])
    monkeypatch.setattr(schedules, "get", lambda name: next(answers, get(name)))

    schedules.put(wanted, now=NOW)

    assert stored()["Description"].endswith("mine")
