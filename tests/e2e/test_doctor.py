"""`easel doctor` on the local stack: a healthy one, and one with a single fault at a time."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from cli.doctor.deployment import Deployment
from cli.target import LOCAL_ACCESS, Access
from local import stack
from local.stack import Local
from tests.support.command_line import easel
from tests.support.local_stack import LocalStack, free_port
from tests.support.loopback import Quiet, serving

LINE = re.compile(r"^(ok|not checked|warning|problem) +(\S.*?)  +(\S.*)$", re.MULTILINE)
# The local AWS has no Service Quotas, and it sends no mail.
NOT_HERE = {"Step Functions quota", "Alarm mail"}
ALARM = "Easel-BatchTimedOut"  # no other test triggers it


def verdicts(output: str) -> dict[str, str]:
    """Return the verdict of each check by its name."""
    return {name: verdict for verdict, name, _ in LINE.findall(output)}


def records(aws: LocalStack) -> int:
    """Return the number of items in the table."""
    return int(aws.dynamodb.scan(TableName=aws.outputs["table"], Select="COUNT")["Count"])


def deployment(aws: LocalStack) -> Deployment:
    return Deployment(Access(**{name: aws.outputs[name] for name in LOCAL_ACCESS}))


def test_healthy_stack_has_nothing_to_fix(local: Local, tmp_path: Path) -> None:
    # Other tests leave alarms behind on the shared stack.
    healthy = LocalStack(stack.up(local))
    before = records(healthy)
    # As on AWS, a function is pending for a moment after it was created.
    healthy.until(lambda: {each["State"] for each in deployment(healthy).functions} == {"Active"})

    result = easel(healthy, tmp_path, "doctor")

    assert result.returncode == 0, result.stdout + result.stderr
    seen = verdicts(result.stdout)
    assert {name for name, verdict in seen.items() if verdict != "ok"} == NOT_HERE
    assert result.stdout.endswith(f"{len(seen)} checks: {len(seen) - 2} ok, 2 not checked\n")
    assert "the run would cost up to $" in result.stdout
    assert (healthy.charges()["chat"], healthy.charges()["images"]) == (0, 0)
    assert records(healthy) == before


@contextmanager
def secret_without_value(aws: LocalStack) -> Iterator[None]:
    secrets, name = aws.client("secretsmanager"), deployment(aws).output("OpenAIKeySecret")
    stages = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    (version,) = (version for version, names in stages.items() if "AWSCURRENT" in names)
    # AWS would refuse this. A secret there begins without a value.
    change = {"SecretId": name, "VersionStage": "AWSCURRENT"}
    secrets.update_secret_version_stage(**change, RemoveFromVersionId=version)
    yield
    secrets.update_secret_version_stage(**change, MoveToVersionId=version)


@contextmanager
def ringing_alarm(aws: LocalStack) -> Iterator[None]:
    change = aws.client("cloudwatch").set_alarm_state
    change(AlarmName=ALARM, StateValue="ALARM", StateReason="test")
    yield
    change(AlarmName=ALARM, StateValue="OK", StateReason="test")


@contextmanager
def undelivered_event(aws: LocalStack) -> Iterator[None]:
    queues = deployment(aws).of_kind("AWS::SQS::Queue")
    (url,) = (queue.id for queue in queues if queue.name.startswith("BatchInbox"))
    sqs = aws.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    yield
    sqs.purge_queue(QueueUrl=url)


@contextmanager
def suspended_versions(aws: LocalStack) -> Iterator[None]:
    def change(status: str) -> None:
        aws.s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": status})

    change("Suspended")
    yield
    change("Enabled")


@contextmanager
def disabled_recovery(aws: LocalStack) -> Iterator[None]:
    def change(*, enabled: bool) -> None:
        aws.dynamodb.update_continuous_backups(
            TableName=aws.outputs["table"],
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )

    change(enabled=False)
    yield
    change(enabled=True)


Fault = Callable[[LocalStack], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "check", "fix"),
    [
        (secret_without_value, "OpenAI key", "make secret TARGET=local"),
        (ringing_alarm, "Alarms", "docs/operations.md#batchtimedout"),
        (undelivered_event, "Dead letters", "docs/operations.md#inboxnotdelivered"),
        (suspended_versions, "Bucket versions", "aws s3api put-bucket-versioning --bucket"),
        (disabled_recovery, "Table recovery", "aws dynamodb update-continuous-backups"),
    ],
)
def test_fault_is_named_with_its_fix(
    aws: LocalStack, tmp_path: Path, fault: Fault, check: str, fix: str
) -> None:
    with fault(aws):
        result = easel(aws, tmp_path, "doctor")
    afterwards = easel(aws, tmp_path, "doctor")

    assert result.returncode == 1
    assert verdicts(result.stdout)[check] == "problem"
    assert fix in result.stdout
    assert "problem" in result.stdout.splitlines()[-1]
    # An earlier test may have left another alarm or event behind.
    assert fix not in afterwards.stdout


def test_unconfirmed_subscription_is_a_problem(aws: LocalStack, tmp_path: Path) -> None:
    topic, sns = deployment(aws).output("AlarmTopic"), aws.client("sns")
    received: list[dict[str, Any]] = []

    class Mailbox(Quiet):
        """The address that receives the request to confirm."""

        def do_POST(self: BaseHTTPRequestHandler) -> None:  # noqa: N802
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with serving(Mailbox) as url:
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
        aws.until(lambda: bool(received))
        pending = easel(aws, tmp_path, "doctor")
        arn = sns.confirm_subscription(TopicArn=topic, Token=received[0]["Token"])[
            "SubscriptionArn"
        ]
        confirmed = easel(aws, tmp_path, "doctor")
        sns.unsubscribe(SubscriptionArn=arn)

    assert verdicts(pending.stdout)["Alarm mail"] == "problem"
    assert f"{url} has not confirmed the subscription" in pending.stdout
    assert verdicts(confirmed.stdout)["Alarm mail"] == "ok"


def test_unreachable_stack_is_a_problem(aws: LocalStack, tmp_path: Path) -> None:
    result = easel(aws, tmp_path, "doctor", endpoint=f"http://127.0.0.1:{free_port()}")

    assert result.returncode == 1
    seen = verdicts(result.stdout)
    assert {name for name, verdict in seen.items() if verdict == "problem"} == {
        "Clock",
        "Credentials",
    }
