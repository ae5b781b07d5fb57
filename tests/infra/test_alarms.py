"""The alarms, the dashboard and the events in the template."""

import json
import re
from typing import Any

import pytest

from easel.contract import metric_names
from infra import ROOT
from tests.support.template import FUNCTIONS, Synth, Template

EVERY = {
    "Easel-RunFailed",
    "Easel-RunTimedOut",
    "Easel-BatchFailed",
    "Easel-BatchTimedOut",
    "Easel-PossiblyPaid",
    "Easel-PictureLost",
    "Easel-BudgetNearlyUsed",
    "Easel-BudgetUsedUp",
    "Easel-ModelRetiring",
    "Easel-InboxNotDelivered",
    "Easel-EventsNotDelivered",
    "Easel-ApiFailing",
}
OF_SCHEDULE = {"Easel-ScheduleNotDelivered", "Easel-NoPictureFromSchedule"}


@pytest.fixture(scope="module")
def scheduled(synth: Synth) -> Template:
    return synth("layers=false", "schedule=rate(1 day)")


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    return {
        one["Properties"]["AlarmName"]: one["Properties"]
        for one in template.of("AWS::CloudWatch::Alarm").values()
    }


def test_every_urgent_condition_has_an_alarm(template: Template, scheduled: Template) -> None:
    assert set(alarms(template)) == EVERY
    assert set(alarms(scheduled)) == EVERY | OF_SCHEDULE


def test_every_alarm_names_topic_and_explanation(scheduled: Template) -> None:
    (topic,) = scheduled.of("AWS::SNS::Topic")
    handbook = (ROOT / "docs" / "operations.md").read_text()
    headings = {
        line.removeprefix("### ").strip()
        for line in handbook.splitlines()
        if line.startswith("### ")
    }
    for name, alarm in alarms(scheduled).items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        short = name.removeprefix("Easel-")
        assert alarm["AlarmDescription"].endswith(f"docs/operations.md#{short.lower()}")
        assert short in headings, f"{name} is not explained"


def test_every_dead_letter_queue_has_an_alarm(scheduled: Template) -> None:
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for one in alarms(scheduled).values()
        for dimension in one.get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }
    assert watched == set(scheduled.of("AWS::SQS::Queue"))


def test_topic_accepts_alarms_and_mails_them(template: Template, synth: Synth) -> None:
    statements = template.one("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    (publishes,) = (one for one in statements if one["Effect"] == "Allow")
    assert (publishes["Principal"], publishes["Action"]) == (
        {"Service": "cloudwatch.amazonaws.com"},
        "sns:Publish",
    )
    assert publishes["Condition"]["StringEquals"] == {
        "aws:SourceAccount": {"Ref": "AWS::AccountId"}
    }
    assert template.text(publishes["Condition"]["ArnLike"]["aws:SourceArn"]).endswith(
        ":AWS::AccountId:alarm:*"
    )
    assert not template.of("AWS::SNS::Subscription")

    mailed = synth("layers=false", "alarm_email=ops@example.org").one("AWS::SNS::Subscription")
    assert (mailed["Protocol"], mailed["Endpoint"]) == ("email", "ops@example.org")


def test_alarms_and_dashboard_use_existing_metrics(scheduled: Template) -> None:
    files = [file for name in ("easel", "functions") for file in (ROOT / name).rglob("*.py")]
    code = "\n".join(file.read_text() for file in files if file.name != "metric_names.py")
    sends = r"(count|gauge|add_metric)\((name=)?(metric_names\.)?"
    names = vars(metric_names).items()
    sent = {value for name, value in names if re.search(rf"{sends}{name}\b", code)}
    ours = [one for one in alarms(scheduled).values() if one.get("Namespace") == "Easel"]
    asked = {one["MetricName"] for one in ours}
    asked |= {metric[1] for metric in shown(scheduled) if metric[0] == "Easel"}
    assert asked <= sent
    assert {one["MetricName"] for one in ours} == {
        metric_names.POSSIBLY_PAID,
        metric_names.LOST,
        metric_names.BUDGET_USED_PERCENT,
        metric_names.BUDGET_REFUSED,
        metric_names.MODEL_DAYS_LEFT,
        metric_names.STORED_BY_SCHEDULE,
    }

    dimensions = [one["Dimensions"] for one in ours]
    assert dimensions == [[{"Name": "service", "Value": "easel"}]] * len(dimensions)


def widgets(template: Template) -> list[dict[str, Any]]:
    parts = template.one("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    body = json.loads(
        "".join(part if isinstance(part, str) else template.text(part) for part in parts)
    )
    return list(body["widgets"])


def shown(template: Template) -> list[list[Any]]:
    return [metric for one in widgets(template) for metric in one["properties"].get("metrics", [])]


def test_dashboard_answers_three_questions_for_every_step(template: Template) -> None:
    headings = [one["properties"]["markdown"] for one in widgets(template) if one["type"] == "text"]
    assert headings == [
        "## Is it working?",
        "## What does it cost?",
        "## What is slow?",
        "## What failed, and why",
    ]
    lasted = {metric[3] for metric in shown(template) if metric[1] == "Duration"}
    assert len(lasted) == len(FUNCTIONS)

    told = {metric[1] for metric in shown(template)}
    assert {
        metric_names.STORED,
        metric_names.REFUSED,
        metric_names.POSSIBLY_PAID,
        metric_names.SPEND_USD,
        metric_names.RATE_LIMITED,
        "ExecutionsFailed",
    } <= told


@pytest.mark.parametrize(("days", "there"), [("0", False), ("3", True)])
def test_rare_schedule_alarm_needs_its_own_period(synth: Synth, days: str, there: bool) -> None:
    found = alarms(synth("layers=false", "schedule=rate(3 days)", f"schedule_alarm_days={days}"))
    assert ("Easel-NoPictureFromSchedule" in found) is there
    if there:
        alarm = found["Easel-NoPictureFromSchedule"]
        assert (alarm["EvaluationPeriods"], alarm["Period"], alarm["TreatMissingData"]) == (
            74,
            3_600,
            "breaching",
        )
        assert alarm["EvaluationPeriods"] * alarm["Period"] <= 7 * 86_400


def test_only_new_image_outcomes_leave_the_stream(template: Template) -> None:
    mapping = template.one("AWS::Lambda::EventSourceMapping")
    filters = [
        json.loads(one["Pattern"])["dynamodb"] for one in mapping["FilterCriteria"]["Filters"]
    ]
    assert [
        (one["OldImage"]["status"]["S"], one["NewImage"]["status"]["S"]) for one in filters
    ] == [
        (["staged"], ["stored"]),
        (["claimed"], ["refused"]),
    ]
    assert mapping["BatchSize"] == 10

    (queue,) = (name for name in template.of("AWS::SQS::Queue") if name.startswith("Announcements"))
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": [queue, "Arn"]
    }
    assert mapping["MaximumRecordAgeInSeconds"] == 7_200


def test_failures_of_both_machines_are_sent(template: Template) -> None:
    pattern = template.one("AWS::Events::Rule", "Announcements")["EventPattern"]
    assert pattern["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert {template.text(one) for one in pattern["detail"]["stateMachineArn"]} == {
        ":::::stateMachine:Workflow",
        ":::::stateMachine:BatchWorkflow",
    }
