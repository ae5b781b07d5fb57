"""IAM in the emulator: what a role may do follows from its policies, as on AWS."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.ministack.iam import DECISIONS
from tests.support.emulator import CLOSED, REGION, Emulator, Launcher, policy

ACCOUNT = "000000000000"
ARN = f"{REGION}:{ACCOUNT}"
DENIED = {"AccessDenied", "AccessDeniedException"}
Statement = dict[str, Any]


def client(emulator: Emulator, service: str, *statements: Statement) -> Any:
    """Return a client with the credentials of a new role that has these statements."""
    iam, name = emulator.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    account = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust = policy({"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
    session = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="test")
    credentials = session["Credentials"]
    return boto3.client(  # type: ignore[call-overload]  # any service
        service,
        endpoint_url=f"http://127.0.0.1:{emulator.port}",
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def allow(action: str, resource: str, **condition: Any) -> Statement:
    more = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def is_denied(call: Callable[..., Any], **parameters: Any) -> bool:
    """Return whether IAM denies a call. Any other error means that IAM allowed it."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"] in DENIED
    return False


def test_loopback_counts_as_tls(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    def denied(emulator: Emulator) -> bool:
        emulator.create_bucket("tls-only")
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        everything = {"Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::tls-only/*"}
        rule = policy({"Effect": "Deny", **everything, "Condition": insecure})
        emulator.s3.put_bucket_policy(Bucket="tls-only", Policy=rule)
        s3 = client(emulator, "s3", allow("s3:PutObject", "arn:aws:s3:::tls-only/*"))
        return is_denied(s3.put_object, Bucket="tls-only", Key="a")

    assert denied(plain_emulator), CLOSED
    assert not denied(patched_emulator)


def test_key_keeps_its_closing_slash(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    def denied(emulator: Emulator, key: str) -> bool:
        s3 = client(emulator, "s3", allow("s3:PutObject", "arn:aws:s3:::markers/*/"))
        return is_denied(s3.put_object, Bucket="markers", Key=key)

    for emulator in (plain_emulator, patched_emulator):
        emulator.create_bucket("markers")

    assert denied(plain_emulator, "folder/"), CLOSED
    assert not denied(patched_emulator, "folder/")
    assert denied(patched_emulator, "folder/image.png")


def test_secret_is_matched_by_its_ref(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    def denied(emulator: Emulator, name: str) -> bool:
        secrets = client(emulator, "secretsmanager", allow("secretsmanager:GetSecretValue", "mine"))
        return is_denied(secrets.get_secret_value, SecretId=name)

    for emulator in (plain_emulator, patched_emulator):
        for name in ("mine", "yours"):
            emulator.client("secretsmanager").create_secret(Name=name, SecretString="key")

    assert denied(plain_emulator, "mine"), CLOSED
    assert not denied(patched_emulator, "mine")
    assert denied(patched_emulator, "yours")


def test_map_run_is_a_resource(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    def denied(emulator: Emulator, machine: str) -> bool:
        right = allow("states:DescribeMapRun", f"arn:aws:states:{ARN}:mapRun:mine/*")
        states = client(emulator, "stepfunctions", right)
        map_run = f"arn:aws:states:{ARN}:mapRun:{machine}/lines:{uuid.uuid4()}"
        return is_denied(states.describe_map_run, mapRunArn=map_run)

    assert denied(plain_emulator, "mine"), CLOSED
    assert not denied(patched_emulator, "mine")
    assert denied(patched_emulator, "yours")


def test_schedule_is_matched_by_its_group(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def denied(emulator: Emulator, group: str) -> set[bool]:
        right = allow("scheduler:*", f"arn:aws:scheduler:{ARN}:schedule/mine/*")
        scheduler = client(emulator, "scheduler", right)
        target = {"Arn": f"arn:aws:sqs:{ARN}:q", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}
        schedule = {"Name": "daily", "GroupName": group, "Target": target}
        schedule |= {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}}
        return {
            is_denied(scheduler.create_schedule, **schedule),
            is_denied(scheduler.get_schedule, Name="daily", GroupName=group),
        }

    assert denied(plain_emulator, "mine") == {True}, CLOSED
    assert denied(patched_emulator, "mine") == {False}
    assert denied(patched_emulator, "yours") == {True}


def put_event(emulator: Emulator, source: str) -> bool:
    """Return whether a role that may send only Easel's events is denied to send this one."""
    condition = {
        "ForAllValues:StringEquals": {"events:source": "easel"},
        "Null": {"events:source": "false"},
    }
    right = allow("events:PutEvents", f"arn:aws:events:{ARN}:event-bus/default", **condition)
    event = {"Source": source, "DetailType": "Test", "Detail": "{}"}
    return is_denied(client(emulator, "events", right).put_events, Entries=[event])


def ask_for_token(emulator: Emulator, audience: str) -> bool:
    condition = {
        "ForAnyValue:StringEquals": {"sts:IdentityTokenAudience": "openai"},
        "NumericLessThanEquals": {"sts:DurationSeconds": 300},
    }
    sts = client(emulator, "sts", allow("sts:GetWebIdentityToken", "*", **condition))
    return is_denied(
        sts.get_web_identity_token,
        Audience=[audience],
        SigningAlgorithm="RS256",
        DurationSeconds=60,
    )


def put_item(emulator: Emulator, key: str) -> bool:
    item = {"pk": {"S": key}, "sk": {"S": "any"}}
    return is_denied(budget_client(emulator).put_item, TableName="records", Item=item)


def transact(emulator: Emulator, key: str) -> bool:
    item = {"pk": {"S": key}, "sk": {"S": "any"}}
    put = {"Put": {"TableName": "records", "Item": item}}
    return is_denied(budget_client(emulator).transact_write_items, TransactItems=[put])


def budget_client(emulator: Emulator) -> Any:
    condition = {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["budget*"]}}
    table = f"arn:aws:dynamodb:{ARN}:table/records"
    return client(emulator, "dynamodb", allow("dynamodb:PutItem", table, **condition))


@pytest.mark.parametrize(
    ("denies", "allowed", "refused"),
    [
        (put_event, "easel", "someone"),
        (ask_for_token, "openai", "elsewhere"),
        (put_item, "budget#2026-11", "run#1"),
        (transact, "budget#2026-11", "run#1"),
    ],
)
def test_conditions_apply_to_the_request(
    plain_emulator: Emulator,
    patched_emulator: Emulator,
    denies: Callable[[Emulator, str], bool],
    allowed: str,
    refused: str,
) -> None:
    assert denies(plain_emulator, allowed), CLOSED
    assert not denies(patched_emulator, allowed)
    assert denies(patched_emulator, refused)


def test_denial_names_role_action_and_resource(launch: Launcher, tmp_path: Path) -> None:
    emulator = launch(tmp_path)
    emulator.create_bucket("private")
    s3 = client(emulator, "s3", allow("s3:GetObject", "arn:aws:s3:::private/*"))

    assert is_denied(s3.put_object, Bucket="private", Key="a")

    (line,) = (
        line for line in (tmp_path / "emulator.log").read_text().splitlines() if "denied" in line
    )
    assert "role-" in line
    assert "may not s3:PutObject on arn:aws:s3:::private/a" in line
    decisions = Path(os.environ[DECISIONS], f"{emulator.pid}.jsonl").read_text().splitlines()
    last = json.loads(decisions[-1])
    assert (last["action"], last["decision"]) == ("s3:PutObject", "ImplicitDeny")
