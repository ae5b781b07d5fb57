"""Promises of every shape of the stack: the defaults, and every setting that adds to it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.template import (
    BATCHES,
    ELSEWHERE,
    EXISTING,
    RUNS,
    SHAPES,
    Synth,
    Template,
    many,
)

# The actions that AWS cannot limit to a resource, with the purpose of each.
IDENTITY = "a function's own identity, for OpenAI's audience alone"
ON_EVERYTHING = {
    "traces": {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
    },
    IDENTITY: {"sts:GetWebIdentityToken"},
    "a state machine's logs": {
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
        "logs:DescribeLogGroups",
    },
}
# The CDK's own function, which empties a bucket before its stack is destroyed. It exists only
# without retain_images.
EMPTIES = "CustomS3AutoDeleteObjects"
TLS_ONLY = {"Bool": {"aws:SecureTransport": "false"}}
# Each type that stores or passes on data, with the type of its policy and the policy's reference to
# it.
GUARDED = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics"),
}


@pytest.fixture(
    params=[*SHAPES, EXISTING, ELSEWHERE], ids=lambda settings: "+".join(settings[1:]) or "defaults"
)
def made(synth: Synth, request: pytest.FixtureRequest) -> Template:
    return synth(*request.param)


def identity_statements(made: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of the roles' policies, with the policy's logical id.

    Inline policies are included.
    """
    for name, one in made.body["Resources"].items():
        inline = one["Properties"].get("Policies", ()) if one["Type"] == "AWS::IAM::Role" else ()
        documents = [policy["PolicyDocument"] for policy in inline]
        if one["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            documents.append(one["Properties"]["PolicyDocument"])
        yield from (
            (name, statement) for document in documents for statement in document["Statement"]
        )


def resource_statements(made: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of the resources' own policies: what they allow, and to whom."""
    for name, one in made.body["Resources"].items():
        kind = one["Type"]
        if kind in [policy for policy, _ in GUARDED.values()]:
            yield from (
                (name, statement) for statement in one["Properties"]["PolicyDocument"]["Statement"]
            )
        if kind == "AWS::IAM::Role":
            yield from (
                (name, statement)
                for statement in one["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            )


def test_no_role_has_wildcard_permissions(made: Template) -> None:
    allowed = [(name, one) for name, one in identity_statements(made) if one["Effect"] == "Allow"]
    assert allowed
    assert [
        (name, one) for name, one in allowed if "NotAction" in one or "NotResource" in one
    ] == []
    assert [
        (name, action) for name, one in allowed for action in many(one["Action"]) if "*" in action
    ] == []

    everything = {
        action
        for _, one in allowed
        if "*" in many(one["Resource"])
        for action in many(one["Action"])
    }
    assert everything - set().union(*ON_EVERYTHING.values()) == set()


def test_no_role_has_an_aws_managed_policy(made: Template) -> None:
    managed = {
        name: one["Properties"].get("ManagedPolicyArns")
        for name, one in made.of("AWS::IAM::Role").items()
    }
    assert [
        name for name, policies in managed.items() if policies and not name.startswith(EMPTIES)
    ] == []


def test_only_cleanup_may_delete_from_bucket(made: Template) -> None:
    roles = [
        name
        for name, one in made.of("AWS::IAM::Role").items()
        if any("s3:Delete" in what for what, _ in made.rights(name))
    ]
    assert roles == [made.role("cleanup")]
    assert {what for what, _ in made.rights(roles[0]) if "Delete" in what} == {
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
    }


def test_no_resource_is_open_to_everybody(made: Template) -> None:
    allowed = [(name, one) for name, one in resource_statements(made) if one["Effect"] == "Allow"]
    assert allowed
    assert [
        name
        for name, one in allowed
        if one["Principal"] == "*" or "*" in many(one["Principal"].get("AWS", ()))
    ] == []

    loose = [
        (name, one) for name, one in allowed if any("*" in action for action in many(one["Action"]))
    ]
    assert [
        one
        for _, one in loose
        if not str(one["Principal"].get("AWS", {}).get("Fn::GetAtt", [""])[0]).startswith(EMPTIES)
    ] == []
    # A service acts for one source in this account. Roles name only the service, as AWS requires.
    services = [
        (name, one)
        for name, one in allowed
        if "Service" in one["Principal"] and "sts:AssumeRole" not in many(one["Action"])
    ]
    assert [
        name for name, one in services if "aws:SourceArn" not in str(one.get("Condition"))
    ] == []


def test_function_permissions_name_their_source(made: Template) -> None:
    permissions = [one["Properties"] for one in made.of("AWS::Lambda::Permission").values()]
    assert permissions
    assert [
        one
        for one in permissions
        if one["Principal"] == "*" or "SourceArn" not in one or "FunctionUrlAuthType" in one
    ] == []
    assert made.of("AWS::Lambda::Url") == {}


@pytest.mark.parametrize("kind", GUARDED)
def test_every_bucket_queue_and_topic_requires_tls(made: Template, kind: str) -> None:
    policy, names = GUARDED[kind]
    denied = {
        one["Ref"]
        for found in made.of(policy).values()
        for statement in found["Properties"]["PolicyDocument"]["Statement"]
        if (statement["Effect"], statement.get("Condition")) == ("Deny", TLS_ONLY)
        and statement["Principal"] in ("*", {"AWS": "*"})
        and all("*" in action or action == "sns:Publish" for action in many(statement["Action"]))
        for one in many(found["Properties"][names])
    }
    assert set(made.of(kind)) == denied


def test_every_bucket_blocks_public_access(made: Template) -> None:
    for name, one in made.of("AWS::S3::Bucket").items():
        properties = one["Properties"]
        blocked = dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"),
            True,
        )
        assert properties["PublicAccessBlockConfiguration"] == blocked, name
        assert properties["OwnershipControls"] == {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }, name
        assert "WebsiteConfiguration" not in properties, name


def test_every_bucket_queue_and_table_is_encrypted(made: Template) -> None:
    for name, one in made.of("AWS::S3::Bucket").items():
        (rule,) = one["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms"), name
    for name, one in made.of("AWS::SQS::Queue").items():
        assert (
            one["Properties"].get("SqsManagedSseEnabled") is True
            or "KmsMasterKeyId" in one["Properties"]
        ), name
    for name, one in made.of("AWS::DynamoDB::Table").items():
        # If nothing is specified, the table is encrypted with an AWS owned key.
        assert (
            one["Properties"].get("SSESpecification", {"SSEEnabled": True})["SSEEnabled"] is True
        ), name


def test_every_function_logs_into_an_expiring_group(made: Template) -> None:
    groups = made.of("AWS::Logs::LogGroup")
    assert {one["Properties"].get("RetentionInDays") for one in groups.values()} == {90}
    for name, one in made.of("AWS::Lambda::Function").items():
        if not name.startswith(EMPTIES):
            assert one["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups, name

    for name, one in made.of("AWS::StepFunctions::StateMachine").items():
        (where,) = one["Properties"]["LoggingConfiguration"]["Destinations"]
        assert where["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0] in groups, name
    for name, one in made.of("AWS::ApiGatewayV2::Stage").items():
        assert set(
            re.findall(r"\w+", str(one["Properties"]["AccessLogSettings"]["DestinationArn"]))
        ) & set(groups), name


def test_every_function_has_timeout_and_no_reservation(made: Template) -> None:
    for name, one in made.of("AWS::Lambda::Function").items():
        assert 0 < one["Properties"]["Timeout"] <= 900, name
        assert "ReservedConcurrentExecutions" not in one["Properties"], name


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_every_map_limits_its_concurrency(made: Template, machine: str) -> None:
    def maps(part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, state in part["States"].items():
            if state["Type"] == "Map":
                yield name, state
                yield from maps(state["ItemProcessor"])

    found = dict(maps(made.machine(machine)))
    assert found
    # Without a bound, or with 0, Step Functions runs as many at the same time as there are items.
    assert [
        name
        for name, state in found.items()
        if not state.get("MaxConcurrency") or state["MaxConcurrency"] == "{% 0 %}"
    ] == []


def test_undeliverable_messages_go_to_a_queue(made: Template) -> None:
    queues = made.of("AWS::SQS::Queue")
    targets = [
        (name, target)
        for name, rule in made.of("AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
    ]
    targets += [
        (name, one["Properties"]["Target"])
        for name, one in made.of("AWS::Scheduler::Schedule").items()
    ]
    assert targets
    for name, target in targets:
        assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in queues, name

    for name, one in made.of("AWS::Lambda::Permission").items():
        # The gateway waits for the response. The other services that may call a function do not.
        if one["Properties"]["Principal"] != "apigateway.amazonaws.com":
            called = made.body["Resources"][one["Properties"]["FunctionName"]["Fn::GetAtt"][0]][
                "Properties"
            ]
            assert called["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0] in queues, name
    for name, one in made.of("AWS::SNS::Subscription").items():
        # A person's mailbox is not a program that could fail and be retried.
        assert (
            one["Properties"]["Protocol"] in ("email", "email-json")
            or "RedrivePolicy" in one["Properties"]
        ), name


def test_every_alarm_notifies_somebody(made: Template) -> None:
    topics = made.of("AWS::SNS::Topic")
    alarms = made.of("AWS::CloudWatch::Alarm") | made.of("AWS::CloudWatch::CompositeAlarm")
    for name, one in alarms.items():
        assert one["Properties"].get("ActionsEnabled", True) is True, name
        told = one["Properties"].get("AlarmActions", [])
        assert told, name
        assert {action["Ref"] for action in told} <= set(topics), name
