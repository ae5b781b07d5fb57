"""What the person on call sees, and what other programs receive.

These are the alarm, the log line with the reason, and the events.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.test_failures import IMAGES, SMALL, openai_error
from tests.support.local_stack import LocalStack

Messages = Callable[[], list[dict[str, Any]]]


def queue(aws: LocalStack) -> tuple[str, str, Messages]:
    """Create a queue, and return its URL, its ARN, and a function that reads it.

    The function returns all messages received so far.
    """
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=f"seen-{uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    senders = ["sns.amazonaws.com", "events.amazonaws.com"]
    admission = {
        "Effect": "Allow",
        "Principal": {"Service": senders},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [admission]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    received: list[dict[str, Any]] = []

    def messages() -> list[dict[str, Any]]:
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                received.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return received

    return url, arn, messages


@pytest.fixture
def wait_for_event(aws: LocalStack) -> Iterator[Callable[[str, str], dict[str, Any]]]:
    """Yield a function that waits for an event of this name and run, and returns its detail."""
    url, arn, messages = queue(aws)
    events, name = aws.client("events"), f"seen-{uuid4().hex[:8]}"
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["easel"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "seen", "Arn": arn}])

    def waiting(kind: str, run_id: str) -> dict[str, Any]:
        def matching_details() -> list[dict[str, Any]]:
            return [
                message["detail"]
                for message in messages()
                if message["detail-type"] == kind and message["detail"]["run_id"] == run_id
            ]

        aws.until(lambda: bool(matching_details()))
        (detail,) = matching_details()
        return dict(detail)

    yield waiting
    events.remove_targets(Rule=name, Ids=["seen"])
    events.delete_rule(Name=name)
    aws.client("sqs").delete_queue(QueueUrl=url)


def failures(aws: LocalStack, *, since: float) -> list[dict[str, str]]:
    """Return the rows of the dashboard's own query, newest first."""
    logs = aws.client("logs")
    body = json.loads(
        aws.client("cloudwatch").get_dashboard(DashboardName=f"Easel-{aws.outputs['region']}")[
            "DashboardBody"
        ]
    )
    source = next(
        widget["properties"]["query"]
        for widget in body["widgets"]
        if widget["properties"].get("title") == "Failures"
    )
    groups = re.findall(r"SOURCE '(.*?)'", source)
    query = source.rpartition("SOURCE")[2].partition(" | ")[2]
    started = logs.start_query(
        logGroupNames=groups, startTime=int(since), endTime=int(time.time()) + 1, queryString=query
    )
    rows = logs.get_query_results(queryId=started["queryId"])["results"]
    return [{cell["field"]: cell["value"] for cell in row} for row in rows]


def test_dashboard_query_shows_cause_of_failed_run(aws: LocalStack) -> None:
    aws.script(
        {"path": IMAGES, "status": 429, "body": openai_error("insufficient_quota"), "times": 9}
    )
    start_time = time.time()

    execution = aws.run({"folder_name": "cause", **SMALL})
    first = next(
        row
        for row in failures(aws, since=start_time - 1)
        if row["run_id"] == execution["name"] and row["step"] == "image"
    )

    assert (first["level"], first["step"], first["error"]) == (
        "ERROR",
        "image",
        "QuotaExhaustedError",
    )
    assert "the account has no credit left" in first["message"]
    assert first["openai_request_id"]

    aws.until(
        lambda: any(
            row["run_id"] == execution["name"] and row["step"] == "events"
            for row in failures(aws, since=start_time - 1)
        )
    )
    print(f"from the fault to its cause in the dashboard's query: {time.time() - start_time:.1f} s")


@pytest.fixture
def wait_for_alarm(aws: LocalStack) -> Iterator[Callable[[str], None]]:
    """Yield a function that waits until an alarm arrives through the topic.

    An earlier test may have triggered the alarms, so they are reset first.
    """
    url, arn, messages = queue(aws)
    topic = next(
        entry["TopicArn"]
        for entry in aws.client("sns").list_topics()["Topics"]
        if "Alarms" in entry["TopicArn"]
    )
    subscribed = aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)[
        "SubscriptionArn"
    ]
    for name in ("Easel-PossiblyPaid", "Easel-RunFailed"):
        aws.client("cloudwatch").set_alarm_state(
            AlarmName=name, StateValue="OK", StateReason="test"
        )
    yield lambda name: aws.until(lambda: any(name in message["Message"] for message in messages()))
    aws.client("sns").unsubscribe(SubscriptionArn=subscribed)
    aws.client("sqs").delete_queue(QueueUrl=url)


def test_alarm_fires_for_possibly_paid_call(
    aws: LocalStack, wait_for_alarm: Callable[[str], None]
) -> None:
    aws.script({"path": IMAGES, "cut": True, "times": 1})
    start_time = time.time()

    execution = aws.run({"folder_name": "rings", **SMALL})
    wait_for_alarm("Easel-PossiblyPaid")
    (row,) = [
        row
        for row in failures(aws, since=start_time - 1)
        if row["run_id"] == execution["name"] and row["message"] == "possibly paid"
    ]

    assert (row["step"], row["level"]) == ("image", "WARNING")


def test_alarm_fires_for_failed_run(aws: LocalStack, wait_for_alarm: Callable[[str], None]) -> None:
    cloudwatch = aws.client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["Easel-RunFailed"])["MetricAlarms"]
    query = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions")} | {
        "Period": 3600,
        "Statistics": ["Sum"],
    }

    def count_failures() -> float:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            **query, StartTime=now - timedelta(hours=2), EndTime=now + timedelta(hours=2)
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    before, start_time = count_failures(), time.time()
    aws.run({"folder_name": "../elsewhere"})
    wait_for_alarm("Easel-RunFailed")
    aws.until(lambda: count_failures() == before + 1)  # by the same metric that the alarm uses
    print(f"from the fault to its alarm at the topic: {time.time() - start_time:.1f} s")


def test_stored_image_event_has_all_details(
    aws: LocalStack, wait_for_event: Callable[[str, str], dict[str, Any]]
) -> None:
    execution = aws.run({"folder_name": "told", "prompt": "A kite", **SMALL})
    detail, (picture,) = (
        wait_for_event("ImageStored", execution["name"]),
        execution["report"]["pictures"],
    )

    assert (detail["id"], detail["key"], detail["bytes"]) == (
        picture["id"],
        picture["key"],
        picture["bytes"],
    )
    assert (detail["bucket"], detail["folder"], detail["cost_usd"]) == (
        aws.bucket,
        "told",
        picture["cost_usd"],
    )
    assert (
        aws.s3.head_object(Bucket=detail["bucket"], Key=detail["key"])["ContentLength"]
        == detail["bytes"]
    )
    assert "prompt" not in detail


def test_refused_image_event_has_the_reason(
    aws: LocalStack, wait_for_event: Callable[[str, str], dict[str, Any]]
) -> None:
    aws.script(
        {"path": IMAGES, "status": 400, "body": openai_error("moderation_blocked"), "times": 1}
    )
    execution = aws.run({"folder_name": "told", **SMALL})
    assert wait_for_event("ImageRefused", execution["name"])["refusal"] == "moderation_blocked"


def test_failed_run_event_names_id_for_redrive(
    aws: LocalStack, wait_for_event: Callable[[str, str], dict[str, Any]]
) -> None:
    aws.script(
        {"path": IMAGES, "status": 429, "body": openai_error("insufficient_quota"), "times": 9}
    )
    run_id = f"told-{uuid4().hex[:8]}"

    execution = aws.run({"request_id": run_id, "folder_name": "told", **SMALL})
    detail = wait_for_event("RunFailed", run_id)

    assert (detail["kind"], detail["status"], detail["error"]) == (
        "run",
        "FAILED",
        "QuotaExhaustedError",
    )
    assert detail["execution"] == execution["executionArn"]
    assert "the account has no credit left" in detail["message"]


def test_restored_image_sends_no_new_event(
    aws: LocalStack, wait_for_event: Callable[[str, str], dict[str, Any]]
) -> None:
    first = aws.run({"folder_name": "restored", **SMALL})
    key = first["report"]["pictures"][0]["key"]
    assert wait_for_event("ImageStored", first["name"])
    for action in ({"action": "delete_image", "confirm": True}, {"action": "restore_image"}):
        assert aws.run({**action, "image_key": key})["status"] == "SUCCEEDED"

    second = aws.run({"folder_name": "restored", **SMALL})
    assert wait_for_event("ImageStored", second["name"])
    # Events arrive in the stream's order, so an event for the restored image would already be here.
    assert wait_for_event("ImageStored", first["name"])
