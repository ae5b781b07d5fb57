"""The alarms, the dashboard and the events in the template."""

import json
import re
from typing import Any

import pytest

from easel.contract import metric_names
from infra import ROOT
from tests.support.template import EVERYTHING, FUNCTIONS, Synth, Template

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
    "Easel-UploadsNotDelivered",
    "Easel-SchedulesNotDelivered",
    "Easel-EventsNotDelivered",
    "Easel-IndexNotDelivered",
    "Easel-ApiFailing",
}
OF_SCHEDULE = {"Easel-ScheduleNotDelivered", "Easel-NoPictureFromSchedule"}

OF_CHANNELS = {"Easel-NotificationsNotDelivered"}


@pytest.fixture(scope="module")
def scheduled(synth: Synth) -> Template:
    return synth(*EVERYTHING)


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    return {
        alarm["Properties"]["AlarmName"]: alarm["Properties"]
        for alarm in template.of("AWS::CloudWatch::Alarm").values()
    }


def test_every_urgent_condition_has_an_alarm(template: Template, scheduled: Template) -> None:
    assert set(alarms(template)) == EVERY
    assert set(alarms(scheduled)) == EVERY | OF_SCHEDULE | OF_CHANNELS


def test_cost_page_counts_the_alarms() -> None:
    page = (ROOT / "docs" / "cost.md").read_text()
    more = len(EVERY | OF_SCHEDULE)
    assert f"| {len(EVERY)} alarms ({more} with a schedule), $0.10 each |" in page


def test_every_alarm_names_topic_and_explanation(scheduled: Template) -> None:
    (topic,) = (name for name in scheduled.of("AWS::SNS::Topic") if name.startswith("Alarms"))
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
        for alarm in alarms(scheduled).values()
        for dimension in alarm.get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    }
    assert watched == set(scheduled.of("AWS::SQS::Queue"))


def test_topic_accepts_alarms_and_mails_them(template: Template, synth: Synth) -> None:
    statements = template.resource("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    (publishes,) = (statement for statement in statements if statement["Effect"] == "Allow")
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

    mailed = synth(*EVERYTHING).resource("AWS::SNS::Subscription", "Alarms")
    assert (mailed["Protocol"], mailed["Endpoint"]) == ("email", "ops@example.org")


def test_alarms_and_dashboard_use_existing_metrics(scheduled: Template) -> None:
    files = [file for name in ("easel", "functions") for file in (ROOT / name).rglob("*.py")]
    code = "\n".join(file.read_text() for file in files if file.name != "metric_names.py")
    sends = r"(count|gauge|add_metric)\((name=)?(metric_names\.)?"
    names = vars(metric_names).items()
    sent = {value for name, value in names if re.search(rf"{sends}{name}\b", code)}
    ours = [alarm for alarm in alarms(scheduled).values() if alarm.get("Namespace") == "Easel"]
    metrics = {alarm["MetricName"] for alarm in ours}
    metrics |= {metric[1] for metric in shown_metrics(scheduled) if metric[0] == "Easel"}
    assert metrics <= sent
    assert {alarm["MetricName"] for alarm in ours} == {
        metric_names.POSSIBLY_PAID,
        metric_names.LOST,
        metric_names.BUDGET_USED_PERCENT,
        metric_names.BUDGET_REFUSED,
        metric_names.MODEL_DAYS_LEFT,
        metric_names.STORED_BY_SCHEDULE,
    }

    dimensions = [alarm["Dimensions"] for alarm in ours]
    assert dimensions == [[{"Name": "service", "Value": "easel"}]] * len(dimensions)


def widgets(template: Template) -> list[dict[str, Any]]:
    parts = template.resource("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    body = json.loads(
        "".join(part if isinstance(part, str) else template.text(part) for part in parts)
    )
    return list(body["widgets"])


def shown_metrics(template: Template) -> list[list[Any]]:
    return [
        metric for widget in widgets(template) for metric in widget["properties"].get("metrics", [])
    ]


def test_dashboard_answers_three_questions_for_every_step(template: Template) -> None:
    headings = [
        widget["properties"]["markdown"] for widget in widgets(template) if widget["type"] == "text"
    ]
    assert headings == [
        "## Is it working?",
        "## What does it cost?",
        "## What is slow?",
        "## What failed, and why",
    ]
    lasted = {metric[3] for metric in shown_metrics(template) if metric[1] == "Duration"}
    assert len(lasted) == len(FUNCTIONS)

    metrics = {metric[1] for metric in shown_metrics(template)}
    assert {
        metric_names.STORED,
        metric_names.REFUSED,
        metric_names.POSSIBLY_PAID,
        metric_names.SPEND_USD,
        metric_names.RATE_LIMITED,
        "ExecutionsFailed",
    } <= metrics


@pytest.mark.parametrize(("days", "expected"), [("0", False), ("3", True)])
def test_rare_schedule_alarm_needs_its_own_period(synth: Synth, days: str, expected: bool) -> None:
    alarms_by_name = alarms(
        synth("layers=false", "schedule=rate(3 days)", f"schedule_alarm_days={days}")
    )
    assert ("Easel-NoPictureFromSchedule" in alarms_by_name) is expected
    if expected:
        alarm = alarms_by_name["Easel-NoPictureFromSchedule"]
        assert (alarm["EvaluationPeriods"], alarm["Period"], alarm["TreatMissingData"]) == (
            74,
            3_600,
            "breaching",
        )
        assert alarm["EvaluationPeriods"] * alarm["Period"] <= 7 * 86_400


def test_only_new_image_outcomes_leave_the_stream(template: Template) -> None:
    mapping = template.resource("AWS::Lambda::EventSourceMapping", "Events")
    filters = [
        json.loads(pattern["Pattern"])["dynamodb"]
        for pattern in mapping["FilterCriteria"]["Filters"]
    ]
    assert [
        (pattern["OldImage"]["status"]["S"], pattern["NewImage"]["status"]["S"])
        for pattern in filters
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


def test_index_sees_changes_of_images_and_rebuild_steps(template: Template) -> None:
    mapping = template.resource("AWS::Lambda::EventSourceMapping", "Index")
    filters = [json.loads(each["Pattern"]) for each in mapping["FilterCriteria"]["Filters"]]

    keys = [pattern["dynamodb"]["Keys"] for pattern in filters]
    assert keys == [
        {"sk": {"S": [{"prefix": "image#"}]}},
        {"pk": {"S": ["search#rebuild"]}},
        {"pk": {"S": [{"prefix": "charges#"}]}},
    ]
    statuses = filters[0]["dynamodb"]["NewImage"]["status"]["S"]
    assert statuses == ["stored", "deleted", "purged"]
    # A new trigger may miss changes after its creation, so it begins with older ones.
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    (queue,) = (name for name in template.of("AWS::SQS::Queue") if name.startswith("SearchIndex"))
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": [queue, "Arn"]
    }


def test_rebuild_waits_for_its_trigger(template: Template) -> None:
    ((_, rebuild),) = template.of("Custom::SearchIndex").items()
    (mapping,) = (
        name for name in template.of("AWS::Lambda::EventSourceMapping") if name.startswith("Index")
    )

    assert mapping in rebuild["DependsOn"]
    assert rebuild["Properties"]["Version"] == "1"


def test_ends_of_both_machines_are_sent(template: Template) -> None:
    pattern = template.resource("AWS::Events::Rule", "Announcements")["EventPattern"]
    assert pattern["detail"]["status"] == ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    assert {template.text(arn) for arn in pattern["detail"]["stateMachineArn"]} == {
        ":::::stateMachine:Workflow",
        ":::::stateMachine:BatchWorkflow",
    }
