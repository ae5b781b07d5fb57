"""EventBridge Scheduler in the emulator: time zones, the scheduled time, and CloudFormation."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from easel.schedules.occurrences import Occurrences
from easel.schedules.schedule import Schedule
from local.ministack.scheduler import next_time
from tests.support.emulator import CLOSED, Emulator

TIME = "<aws.scheduler.scheduled-time>"
TOKYO = ZoneInfo("Asia/Tokyo")


def schedule(emulator: Emulator, when: str, **fields: Any) -> Callable[..., list[dict[str, Any]]]:
    """Create a schedule that sends its time to a queue, and return a reader of that queue."""
    name = f"q{uuid4().hex[:8]}"
    sqs = emulator.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    emulator.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression=when,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn["QueueArn"],
            "RoleArn": "arn:aws:iam::000000000000:role/r",
            "Input": json.dumps({"time": TIME}),
        },
        **fields,
    )

    def receive(seconds: int = 20) -> list[dict[str, Any]]:
        """Return the next messages. Wait for them as long as this."""
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return receive


def soon(zone: ZoneInfo) -> datetime:
    return datetime.now(zone).replace(microsecond=0) + timedelta(seconds=2)


def test_schedule_starts_at_its_local_time(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def sent(emulator: Emulator, zone: ZoneInfo) -> Callable[..., list[dict[str, Any]]]:
        when = f"at({soon(zone):%Y-%m-%dT%H:%M:%S})"
        return schedule(emulator, when, ScheduleExpressionTimezone=zone.key)

    # As UTC, the time in Tokyo is nine hours away.
    tokyo, utc = sent(plain_emulator, TOKYO), sent(plain_emulator, ZoneInfo("UTC"))
    assert utc() == [{"time": TIME}], CLOSED
    assert tokyo(seconds=0) == [], CLOSED

    begun = datetime.now(UTC)
    (filled,) = sent(patched_emulator, TOKYO)()
    assert filled["time"].endswith("Z")
    assert abs(datetime.fromisoformat(filled["time"]) - begun) < timedelta(seconds=30)


def test_rate_begins_at_once(patched_emulator: Emulator) -> None:
    begun = datetime.now(UTC)
    (sent,) = schedule(patched_emulator, "rate(1 day)")()

    assert abs(datetime.fromisoformat(sent["time"]) - begun) < timedelta(seconds=15)


TEMPLATE = {
    "Resources": {
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "zones"}},
        "Daily": {
            "Type": "AWS::Scheduler::Schedule",
            "DependsOn": "Group",
            "Properties": {
                "Name": "daily",
                "GroupName": "zones",
                "ScheduleExpression": "cron(0 8 * * ? *)",
                "ScheduleExpressionTimezone": "Asia/Tokyo",
                "StartDate": "2027-01-01T00:00:00Z",
                "EndDate": "2028-01-01T00:00:00Z",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": "arn:aws:sqs:r:0:q", "RoleArn": "arn:aws:iam::0:role/r"},
            },
        },
    }
}


def test_cloudformation_keeps_zone_and_dates(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def deployed(emulator: Emulator) -> tuple[Any, ...]:
        cloudformation = emulator.client("cloudformation")
        cloudformation.create_stack(StackName="zones", TemplateBody=json.dumps(TEMPLATE))
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="zones", WaiterConfig={"Delay": 1}
        )
        found = emulator.client("scheduler").get_schedule(GroupName="zones", Name="daily")
        return (
            found["ScheduleExpressionTimezone"],
            *(found.get(name) for name in ("StartDate", "EndDate")),
        )

    assert deployed(plain_emulator) == ("UTC", None, None), CLOSED
    zone, start, end = deployed(patched_emulator)
    assert (zone, start.year, end.year) == ("Asia/Tokyo", 2027, 2028)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "when", ["cron(*/10 * * * ? *)", "cron(30 1-3 * * ? *)", "cron(15 2 ? * SUN *)"]
)
def test_clock_changes_agree_with_easel(zone: str, when: str) -> None:
    """Compare all times around both changes of a year as two implementations compute them."""
    created = datetime(2026, 1, 1, tzinfo=UTC)
    mine = Schedule(
        name="x",
        when=when,
        time_zone=zone,
        start=None,
        end=None,
        paused=False,
        note=None,
        request={},
    )
    occurrences = Occurrences(schedule=mine, created=created)
    for day in ((3, 7), (3, 28), (4, 4), (10, 3), (10, 24), (10, 31)):
        time = datetime(2026, *day, tzinfo=UTC)
        end = time + timedelta(days=2)
        while time < end:
            theirs = next_time(when, zone, time.timestamp())
            following = occurrences.after(time)
            assert following
            assert following.timestamp() == theirs
            time = following
