"""A deployed stack on AWS in prepared answers, for what the local AWS does not have."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from cli.doctor.account import TRANSITIONS_QUOTA
from cli.doctor.data import BLOCKS
from cli.doctor.operations import COUNTS
from cli.doctor.stack import checkout_version
from cli.target import Access
from easel.contract import settings
from easel.ledger.budget import month_of
from easel.ledger.shards import MONTH
from tests.support.loopback import Quiet, serving

REGION, ACCOUNT = "ap-southeast-1", "123456789012"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:easel"
BUCKET, ALARM = "images", "Easel-RunFailed"
RULES: tuple[dict[str, Any], ...] = (
    {"Status": "Enabled", "Filter": {"Prefix": "staging/"}, "Expiration": {"Days": 30}},
    {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
    {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
)


@dataclass(frozen=True, kw_only=True)
class FakeAws(Access):
    """AWS with a prepared answer for each operation, such as "sts.get_caller_identity".

    An answer that is an error is raised, and one that is a function is called with the parameters.
    `url` serves the API, the page and the clock. `calls` lists the operations that were called.
    """

    url: str
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return FakeClient(service, self)


class FakeClient:
    """A client for one service, which also pages through its answers."""

    def __init__(self, service: str, aws: FakeAws) -> None:
        self._service, self._aws = service, aws
        self.meta = SimpleNamespace(endpoint_url=aws.url)

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            self._aws.calls.append(f"{self._service}.{operation}")
            answer = self._aws.answers[self._aws.calls[-1]]
            if isinstance(answer, Exception):
                raise answer
            return answer(**parameters) if callable(answer) else answer

        return call

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **call: [getattr(self, operation)(**call)])


@contextmanager
def fake_aws(*, seconds_ahead: float = 0, data_status: int = 401) -> Iterator[FakeAws]:
    """Yield a healthy stack on AWS.

    The clock of AWS is ahead by `seconds_ahead`, and data routes answer with `data_status`.
    """

    class Site(Quiet):
        """The API, the page and the clock."""

        def date_time_string(self, _timestamp: float | None = None) -> str:
            moment = datetime.now(UTC) + timedelta(seconds=seconds_ahead)
            return format_datetime(moment, usegmt=True)

        def do_GET(self) -> None:  # noqa: N802
            pages = {
                "/": (200, "text/html", b"<html>"),
                "/openapi.json": (200, "", b'{"paths":{}}'),
            }
            status, kind, body = pages.get(self.path, (data_status, "", b""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:  # noqa: N802
            # As AWS answers at the root of its endpoints. The client has to stay there.
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()

    with serving(Site) as url:
        yield FakeAws(endpoint=None, region=REGION, url=url, answers=healthy(f"{url}/"))


def refuses(code: str, operation: str = "Operation") -> ClientError:
    """Return the error that boto3 raises for an answer with this code."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def healthy(api_url: str) -> dict[str, Any]:
    """Return the answers of a stack without problems."""
    subscription = {"SubscriptionArn": "arn:aws:sns:1", "Endpoint": "ops@example.org"}
    return {
        "sts.get_caller_identity": {"Arn": f"arn:aws:iam::{ACCOUNT}:user/ada", "Account": ACCOUNT},
        "cloudformation.describe_stacks": {"Stacks": [stack(api_url)]},
        "cloudformation.list_stack_resources": {"StackResourceSummaries": resources()},
        "lambda.get_function_configuration": function,
        "lambda.get_account_settings": {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}},
        "service-quotas.list_service_quotas": {
            "Quotas": [{"QuotaName": TRANSITIONS_QUOTA, "Value": 800.0}]
        },
        "secretsmanager.describe_secret": {"VersionIdsToStages": {"1": ["AWSCURRENT"]}},
        "sns.list_subscriptions_by_topic": {"Subscriptions": [subscription]},
        "cloudwatch.describe_alarms": {"MetricAlarms": [{"AlarmName": ALARM, "StateValue": "OK"}]},
        "sqs.get_queue_attributes": {"Attributes": dict.fromkeys(COUNTS, "0")},
        "cognito-idp.list_users": {"Users": [{"Username": "ada"}]},
        "s3.get_bucket_versioning": {"Status": "Enabled"},
        "s3.get_public_access_block": {
            "PublicAccessBlockConfiguration": dict.fromkeys(BLOCKS, True)
        },
        "s3.get_bucket_lifecycle_configuration": {"Rules": RULES},
        "dynamodb.describe_table": {
            "Table": {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}
        },
        "dynamodb.describe_continuous_backups": recovery("ENABLED"),
        "dynamodb.batch_get_item": month(committed=0, cap=25_000_000),
        "stepfunctions.start_execution": {"executionArn": f"{MACHINE}:doctor"},
        "stepfunctions.describe_execution": execution("SUCCEEDED"),
    }


def stack(api_url: str, *, without: tuple[str, ...] = (), **changes: str) -> dict[str, Any]:
    """Return the description of the stack, with changed outputs."""
    links = dict.fromkeys(("StartHere", "PicturesHere", "DashboardHere"), "https://console.example")
    outputs = links | {
        "Bucket": BUCKET,
        "Table": "records",
        "MonthlyBudgetUsd": "25",
        "StateMachineArn": MACHINE,
        "BatchStateMachineArn": f"{MACHINE}-batch",
        "ApiUrl": api_url,
        "UserPoolId": f"{REGION}_1",
        "PageClientId": "page",
        "SignInUrl": "https://easel.example",
        "AlarmTopic": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms",
        "OpenAIKeySecret": "key",
        "Version": checkout_version(),
    }
    shown = {name: text for name, text in (outputs | changes).items() if name not in without}
    return {
        "StackName": "Easel",
        "StackStatus": "UPDATE_COMPLETE",
        "Outputs": [{"OutputKey": name, "OutputValue": text} for name, text in shown.items()],
    }


def resources() -> list[dict[str, str]]:
    """Return the resources of the stack that the checks look for."""
    names = ("LogicalResourceId", "ResourceType", "PhysicalResourceId")
    entries = (
        ("ImagesBucket1", "AWS::S3::Bucket", BUCKET),
        ("PromptFunction1", "AWS::Lambda::Function", "prompt"),
        ("ImageFunction1", "AWS::Lambda::Function", "image"),
        ("AlarmsRunFailed1", "AWS::CloudWatch::Alarm", ALARM),
        ("BatchInboxDeadLetters1", "AWS::SQS::Queue", "https://sqs.example/inbox"),
    )
    return [dict(zip(names, entry, strict=True)) for entry in entries]


def function(FunctionName: str, **changes: str) -> dict[str, Any]:  # noqa: N803 - AWS's own word
    """Return the configuration of a function, with changed settings or environment."""
    variables = {
        settings.CHAT_MODEL: "gpt-6-luna",
        settings.IMAGE_MODEL: "gpt-image-2.6-flare",
        settings.UNPRICED_MODELS: "refuse",
        settings.MAX_PARALLEL_IMAGES: "5",
    }
    return {
        "FunctionName": FunctionName,
        "Handler": f"functions.{FunctionName}.handler",
        "Runtime": "python3.14",
        "State": changes.pop("State", "Active"),
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": variables | changes},
    }


def recovery(status: str) -> dict[str, Any]:
    """Return the description of a table's point-in-time recovery."""
    about = {"PointInTimeRecoveryStatus": status}
    return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": about}}


def month(*, committed: int, cap: int) -> dict[str, Any]:
    """Return the items of the month's budget: its head, and the one shard that was used."""
    name = f"budget#{month_of(datetime.now(UTC))}"
    head = {"pk": name, "sk": MONTH, "limit": cap, "setting": 25_000_000, "version": 1}
    shard = {"pk": f"{name}#00", "sk": MONTH, "committed": committed, "spent": committed}
    serialize = TypeSerializer().serialize
    items = [
        {attribute: serialize(value) for attribute, value in item.items()} for item in (head, shard)
    ]
    return {"Responses": {"records": items}, "UnprocessedKeys": {}}


def execution(status: str, **more: str) -> dict[str, Any]:
    """Return the description of the dry run's execution."""
    return {
        "executionArn": f"{MACHINE.replace(':stateMachine:', ':execution:')}:doctor",
        "status": status,
        "startDate": datetime.now(UTC),
        "input": '{"dry_run": true}',
        "output": '{"estimate_usd": 0.0174}',
        **more,
    }
