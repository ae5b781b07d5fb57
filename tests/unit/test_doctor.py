"""`easel doctor` with a stack on AWS in prepared answers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from rich.console import Console

from cli.doctor import screen
from cli.doctor.account import TRANSITIONS_QUOTA
from cli.doctor.catalogue import CHECKS, examine, examine_all
from cli.doctor.deployment import Deployment
from cli.doctor.finding import Finding, Verdict, not_checked, ok, problem, warning
from easel.contract import settings
from local.deploy import ROOT
from tests.support import fake_aws
from tests.support.fake_aws import FakeAws, function, refuses, stack

NOT_CHECKED, WARNING, PROBLEM = Verdict.NOT_CHECKED, Verdict.WARNING, Verdict.PROBLEM
UNKNOWN_MODEL = {settings.IMAGE_MODEL: "gpt-image-9"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    monkeypatch.setenv("AWS_REGION", fake_aws.REGION)
    with fake_aws.fake_aws() as healthy:
        yield healthy


def examined_alone(aws: FakeAws, name: str) -> Finding:
    """Return the finding of the check with this name."""
    (check,) = (check for check in CHECKS if check.name == name)
    return examine(check, Deployment(aws))


def examined(aws: FakeAws) -> dict[str, Finding]:
    """Return every check's finding by its name."""
    return {check.name: finding for check, finding in examine_all(Deployment(aws))}


def test_healthy_stack_passes_every_check(aws: FakeAws) -> None:
    findings = examined(aws)

    assert {name: finding for name, finding in findings.items() if finding.fix} == {}
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}
    assert "$0.0174" in findings["Dry run"].seen


@pytest.mark.parametrize(
    ("operation", "answer", "check", "verdict", "expected"),
    [
        (
            "lambda.get_account_settings",
            {"AccountLimit": {"UnreservedConcurrentExecutions": 10}},
            "Lambda quota",
            WARNING,
            "--quota-code L-B99A9384 --desired-value 1000 --region ap-southeast-1",
        ),
        (
            "service-quotas.list_service_quotas",
            {"Quotas": [{"QuotaName": TRANSITIONS_QUOTA, "Value": 5.0}]},
            "Step Functions quota",
            WARNING,
            "servicequotas/home/services/states/quotas",
        ),
        (
            "service-quotas.list_service_quotas",
            refuses("NoSuchResourceException"),
            "Step Functions quota",
            NOT_CHECKED,
            "NoSuchResourceException",
        ),
        (
            "cloudformation.describe_stacks",
            {"Stacks": [stack("https://easel.example/") | {"StackStatus": "ROLLBACK_COMPLETE"}]},
            "Stack",
            PROBLEM,
            "describe-stack-events",
        ),
        (
            "cloudformation.describe_stacks",
            {"Stacks": [stack("https://easel.example/", without=("Table", "OpenAIKeySecret"))]},
            "Stack",
            PROBLEM,
            "has no output OpenAIKeySecret, Table",
        ),
        (
            "cloudformation.describe_stacks",
            {"Stacks": [stack("http://easel.example/")]},
            "API",
            PROBLEM,
            "is not encrypted",
        ),
        (
            "cloudformation.describe_stacks",
            {"Stacks": [stack("https://easel.example/", Version="0.0.1")]},
            "Version",
            WARNING,
            "0.0.1 is deployed",
        ),
        (
            "cloudformation.describe_stacks",
            {"Stacks": [stack("https://easel.example/", OpenAIWorkloadIdentity="idp_1/sa_1")]},
            "OpenAI key",
            Verdict.OK,
            "none is needed",
        ),
        (
            "lambda.get_function_configuration",
            lambda **call: function(**call, State="Failed"),
            "Functions",
            PROBLEM,
            "image: Failed",
        ),
        (
            "lambda.get_function_configuration",
            lambda **call: function(**call, **UNKNOWN_MODEL),
            "Models",
            PROBLEM,
            "gpt-image-9 has no known price, so its runs are refused",
        ),
        (
            "lambda.get_function_configuration",
            lambda **call: function(**call, **UNKNOWN_MODEL | {settings.UNPRICED_MODELS: "allow"}),
            "Models",
            WARNING,
            "the cap does not cover it",
        ),
        (
            "lambda.get_function_configuration",
            lambda **call: function(**call, **{settings.IMAGE_MODEL: "dall-e-3"}),
            "Models",
            PROBLEM,
            'make deploy CONTEXT="-c image_model=gpt-image-2.6-flare"',
        ),
        ("secretsmanager.describe_secret", {}, "OpenAI key", PROBLEM, "make secret TARGET=aws"),
        (
            "sns.list_subscriptions_by_topic",
            {"Subscriptions": []},
            "Alarm mail",
            WARNING,
            "-c alarm_email=",
        ),
        (
            "cloudwatch.describe_alarms",
            {"MetricAlarms": []},
            "Alarms",
            PROBLEM,
            "deleted by hand: Easel-RunFailed",
        ),
        ("cognito-idp.list_users", {"Users": []}, "Users", WARNING, "make user EMAIL=… TARGET=aws"),
        (
            "s3.get_public_access_block",
            refuses("NoSuchPublicAccessBlockConfiguration"),
            "Bucket privacy",
            PROBLEM,
            "aws s3api put-public-access-block --bucket images",
        ),
        (
            "s3.get_bucket_lifecycle_configuration",
            {"Rules": fake_aws.RULES[:1]},
            "Bucket lifecycle",
            PROBLEM,
            "has no rule to delete old versions, end unfinished uploads",
        ),
        (
            "dynamodb.describe_table",
            {"Table": {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": False}},
            "Table",
            WARNING,
            "aws dynamodb update-table --table-name records --deletion-protection-enabled",
        ),
        (
            "dynamodb.describe_continuous_backups",
            fake_aws.recovery("DISABLED"),
            "Table recovery",
            PROBLEM,
            "PointInTimeRecoveryEnabled=true",
        ),
        (
            "dynamodb.batch_get_item",
            fake_aws.month(committed=20_000_000, cap=25_000_000),
            "Budget",
            WARNING,
            "$5.0000 left of $25.0000",
        ),
        (
            "stepfunctions.describe_execution",
            fake_aws.execution("FAILED", error="ConfigError", cause="{}"),
            "Dry run",
            PROBLEM,
            "docs/operations.md#runfailed",
        ),
    ],
)
def test_each_fault_is_reported_with_its_fix(
    aws: FakeAws, operation: str, answer: Any, check: str, verdict: Verdict, expected: str
) -> None:
    aws.answers[operation] = answer

    finding = examined_alone(aws, check)

    assert finding.verdict == verdict
    assert expected in f"{finding.seen} → {finding.fix}"


@pytest.mark.parametrize("operation", ["get_bucket_versioning", "get_public_access_block"])
def test_existing_bucket_gets_warnings_only(aws: FakeAws, operation: str) -> None:
    own = fake_aws.resources()
    others = [entry for entry in own if entry["ResourceType"] != "AWS::S3::Bucket"]
    aws.answers["cloudformation.list_stack_resources"] = {"StackResourceSummaries": others}
    aws.answers[f"s3.{operation}"] = {}

    verdicts = [finding.verdict for finding in examined(aws).values()]

    assert (verdicts.count(WARNING), verdicts.count(PROBLEM)) == (1, 0)


@pytest.mark.parametrize(("seconds", "verdict"), [(-70, PROBLEM), (70, PROBLEM), (30, Verdict.OK)])
def test_clock_is_compared_with_aws(seconds: float, verdict: Verdict) -> None:
    with fake_aws.fake_aws(seconds_ahead=seconds) as aws:
        finding = examined_alone(aws, "Clock")

    assert finding.verdict == verdict
    assert ("behind" if seconds > 0 else "ahead of") in finding.seen


@pytest.mark.parametrize(("status", "verdict"), [(200, PROBLEM), (503, NOT_CHECKED)])
def test_data_without_token_must_be_refused(status: int, verdict: Verdict) -> None:
    with fake_aws.fake_aws(data_status=status) as aws:
        assert examined_alone(aws, "Tokens").verdict == verdict


@pytest.mark.parametrize(
    ("operation", "code", "check", "action"),
    [
        ("sqs.get_queue_attributes", "AccessDenied", "Dead letters", "sqs:GetQueueAttributes"),
        ("sns.list_subscriptions_by_topic", "AuthorizationError", "Alarm mail", "sns:List"),
        ("dynamodb.batch_get_item", "AccessDeniedException", "Budget", "dynamodb:BatchGet"),
        ("cloudformation.describe_stacks", "AccessDenied", "Table", "cloudformation:Describe"),
        ("stepfunctions.start_execution", "AccessDeniedException", "Dry run", "states:Start"),
    ],
)
def test_denied_call_names_the_missing_action(
    aws: FakeAws, operation: str, code: str, check: str, action: str
) -> None:
    aws.answers[operation] = refuses(code)

    findings = examined(aws)

    assert findings[check].verdict == NOT_CHECKED
    assert findings[check].seen.startswith(f"needs {action}")
    assert PROBLEM not in {finding.verdict for finding in findings.values()}


def test_missing_stack_is_the_only_problem(aws: FakeAws) -> None:
    aws.answers["cloudformation.describe_stacks"] = refuses("ValidationError")

    findings = examined(aws)

    problems = [name for name, finding in findings.items() if finding.verdict == PROBLEM]
    assert problems == ["Stack"]
    assert findings["Clock"].verdict == findings["Credentials"].verdict == Verdict.OK
    assert findings["Dry run"] == not_checked("there is no stack Easel in ap-southeast-1")


def test_missing_credentials_are_the_only_problem(aws: FakeAws) -> None:
    aws.answers["sts.get_caller_identity"] = NoCredentialsError()

    findings = examined(aws)

    problems = [name for name, finding in findings.items() if finding.verdict == PROBLEM]
    assert problems == ["Credentials"]
    assert findings["Table"] == not_checked("see Credentials")


def test_unset_region_of_cli_is_a_warning(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    finding = examined_alone(aws, "Credentials")

    assert (finding.verdict, finding.fix) == (WARNING, "export AWS_REGION=ap-southeast-1")


@pytest.mark.parametrize("error", [KeyError("Table"), refuses("InternalError"), OSError("gone")])
def test_error_of_a_check_hides_no_other(aws: FakeAws, error: Exception) -> None:
    aws.answers["dynamodb.describe_table"] = error

    findings = examined(aws)

    assert findings.pop("Table").verdict == PROBLEM
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}


def test_problems_are_shown_last_with_summary() -> None:
    results = (problem("no value", "make secret"), ok("fine"), warning("slow", "wait"))
    console = Console(width=20)

    with console.capture() as captured:
        screen.show(list(zip(CHECKS, (*results, not_checked("no right")), strict=False)), console)

    *lines, summary = captured.get().splitlines()
    assert [line[:11].strip() for line in lines if line.strip()[0] != "→"] == list(Verdict)
    assert lines[-1].strip() == "→ make secret"
    assert summary == "4 checks: 1 ok, 1 not checked, 1 warning, 1 problem"


def test_every_page_in_a_fix_exists() -> None:
    code = "".join(path.read_text() for path in (ROOT / "cli" / "doctor").glob("*.py"))

    places = set(re.findall(r"(docs/[\w-]+\.md)#([\w-]+)", code))

    assert len(places) > 1
    for page, anchor in places:
        headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), flags=re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
