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
    "the trigger of the table's stream": {"dynamodb:ListStreams"},
    "the list of schedules": {"scheduler:ListSchedules"},
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
def template(synth: Synth, request: pytest.FixtureRequest) -> Template:
    return synth(*request.param)


def identity_statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of the roles' policies, with the policy's logical id.

    Inline policies are included.
    """
    for name, resource in template.body["Resources"].items():
        inline = (
            resource["Properties"].get("Policies", ())
            if resource["Type"] == "AWS::IAM::Role"
            else ()
        )
        documents = [policy["PolicyDocument"] for policy in inline]
        if resource["Type"] in (
            "AWS::IAM::Policy",
            "AWS::IAM::ManagedPolicy",
            "AWS::IAM::RolePolicy",
        ):
            documents.append(resource["Properties"]["PolicyDocument"])
        yield from (
            (name, statement) for document in documents for statement in document["Statement"]
        )


def resource_statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every statement of the resources' own policies: what they allow, and to whom."""
    for name, resource in template.body["Resources"].items():
        kind = resource["Type"]
        if kind in [policy for policy, _ in GUARDED.values()]:
            yield from (
                (name, statement)
                for statement in resource["Properties"]["PolicyDocument"]["Statement"]
            )
        if kind == "AWS::IAM::Role":
            yield from (
                (name, statement)
                for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            )


def test_no_role_has_wildcard_permissions(template: Template) -> None:
    allowed = [
        (name, statement)
        for name, statement in identity_statements(template)
        if statement["Effect"] == "Allow"
    ]
    assert allowed
    assert [
        (name, statement)
        for name, statement in allowed
        if "NotAction" in statement or "NotResource" in statement
    ] == []
    assert [
        (name, action)
        for name, statement in allowed
        for action in many(statement["Action"])
        if "*" in action
    ] == []

    everything = {
        action
        for _, statement in allowed
        if "*" in many(statement["Resource"])
        for action in many(statement["Action"])
    }
    assert everything - set().union(*ON_EVERYTHING.values()) == set()


def test_no_role_has_an_aws_managed_policy(template: Template) -> None:
    managed = {
        name: role["Properties"].get("ManagedPolicyArns")
        for name, role in template.of("AWS::IAM::Role").items()
    }
    assert [
        name for name, policies in managed.items() if policies and not name.startswith(EMPTIES)
    ] == []


def is_private(resource: str) -> bool:
    """Return whether this is not in the bucket with copies of shared images and of the page."""
    return not resource.startswith("public bucket")


def test_only_cleanup_may_delete_from_bucket(template: Template) -> None:
    roles = [
        name
        for name, role in template.of("AWS::IAM::Role").items()
        if any("s3:Delete" in right for right, on in template.rights(name) if is_private(on))
    ]
    assert roles == [template.role("cleanup")]
    rights = {right for right, on in template.rights(roles[0]) if is_private(on)}
    assert {right for right in rights if "s3:Delete" in right} == {
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
    }


def test_no_resource_is_open_to_everybody(template: Template) -> None:
    allowed = [
        (name, statement)
        for name, statement in resource_statements(template)
        if statement["Effect"] == "Allow"
    ]
    assert allowed
    assert [
        name
        for name, statement in allowed
        if statement["Principal"] == "*" or "*" in many(statement["Principal"].get("AWS", ()))
    ] == []

    loose = [
        (name, statement)
        for name, statement in allowed
        if any("*" in action for action in many(statement["Action"]))
    ]
    assert [
        statement
        for _, statement in loose
        if not str(statement["Principal"].get("AWS", {}).get("Fn::GetAtt", [""])[0]).startswith(
            EMPTIES
        )
    ] == []
    # A service acts for one source in this account. Roles name only the service, as AWS requires.
    services = [
        (name, statement)
        for name, statement in allowed
        if "Service" in statement["Principal"] and "sts:AssumeRole" not in many(statement["Action"])
    ]
    assert [
        name
        for name, statement in services
        if "aws:sourcearn" not in str(statement.get("Condition")).lower()
    ] == []


def test_function_permissions_name_their_source(template: Template) -> None:
    permissions = [
        permission["Properties"] for permission in template.of("AWS::Lambda::Permission").values()
    ]
    assert permissions
    assert [
        permission
        for permission in permissions
        if permission["Principal"] == "*"
        or "SourceArn" not in permission
        or "FunctionUrlAuthType" in permission
    ] == []
    assert template.of("AWS::Lambda::Url") == {}


@pytest.mark.parametrize("kind", GUARDED)
def test_every_bucket_queue_and_topic_requires_tls(template: Template, kind: str) -> None:
    policy, names = GUARDED[kind]
    denied = {
        reference["Ref"]
        for resource in template.of(policy).values()
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        if (statement["Effect"], statement.get("Condition")) == ("Deny", TLS_ONLY)
        and statement["Principal"] in ("*", {"AWS": "*"})
        and all("*" in action or action == "sns:Publish" for action in many(statement["Action"]))
        for reference in many(resource["Properties"][names])
    }
    assert set(template.of(kind)) == denied


def test_every_bucket_blocks_public_access(template: Template) -> None:
    for name, bucket in template.of("AWS::S3::Bucket").items():
        properties = bucket["Properties"]
        blocked = dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"),
            True,
        )
        assert properties["PublicAccessBlockConfiguration"] == blocked, name
        assert properties["OwnershipControls"] == {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }, name
        assert "WebsiteConfiguration" not in properties, name


def test_every_bucket_queue_and_table_is_encrypted(template: Template) -> None:
    for name, resource in template.of("AWS::S3::Bucket").items():
        (rule,) = resource["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms"), name
    for name, resource in template.of("AWS::SQS::Queue").items():
        assert (
            resource["Properties"].get("SqsManagedSseEnabled") is True
            or "KmsMasterKeyId" in resource["Properties"]
        ), name
    for name, resource in template.of("AWS::DynamoDB::Table").items():
        # If nothing is specified, the table is encrypted with an AWS owned key.
        assert (
            resource["Properties"].get("SSESpecification", {"SSEEnabled": True})["SSEEnabled"]
            is True
        ), name


def test_every_function_logs_into_an_expiring_group(template: Template) -> None:
    groups = template.of("AWS::Logs::LogGroup")
    assert {group["Properties"].get("RetentionInDays") for group in groups.values()} == {90}
    for name, resource in template.of("AWS::Lambda::Function").items():
        if not name.startswith(EMPTIES):
            assert resource["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups, name

    for name, resource in template.of("AWS::StepFunctions::StateMachine").items():
        (where,) = resource["Properties"]["LoggingConfiguration"]["Destinations"]
        assert where["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0] in groups, name
    for name, resource in template.of("AWS::ApiGatewayV2::Stage").items():
        assert set(
            re.findall(r"\w+", str(resource["Properties"]["AccessLogSettings"]["DestinationArn"]))
        ) & set(groups), name


def test_every_function_has_timeout_and_no_reservation(template: Template) -> None:
    for name, function in template.of("AWS::Lambda::Function").items():
        assert 0 < function["Properties"]["Timeout"] <= 900, name
        assert "ReservedConcurrentExecutions" not in function["Properties"], name


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_every_map_limits_its_concurrency(template: Template, machine: str) -> None:
    def maps(part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, state in part["States"].items():
            if state["Type"] == "Map":
                yield name, state
                yield from maps(state["ItemProcessor"])

    states = dict(maps(template.machine(machine)))
    assert states
    # Without a bound, or with 0, Step Functions runs as many at the same time as there are items.
    assert [
        name
        for name, state in states.items()
        if not state.get("MaxConcurrency") or state["MaxConcurrency"] == "{% 0 %}"
    ] == []


def test_undeliverable_messages_go_to_a_queue(template: Template) -> None:
    queues = template.of("AWS::SQS::Queue")
    targets = [
        (name, target)
        for name, rule in template.of("AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
    ]
    targets += [
        (name, resource["Properties"]["Target"])
        for name, resource in template.of("AWS::Scheduler::Schedule").items()
    ]
    assert targets
    for name, target in targets:
        assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] in queues, name

    for name, resource in template.of("AWS::Lambda::Permission").items():
        # The gateway waits for the response. The other services that may call a function do not.
        if resource["Properties"]["Principal"] != "apigateway.amazonaws.com":
            called = template.body["Resources"][
                resource["Properties"]["FunctionName"]["Fn::GetAtt"][0]
            ]["Properties"]
            assert called["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0] in queues, name
    for name, resource in template.of("AWS::SNS::Subscription").items():
        # A person's mailbox is not a program that could fail and be retried.
        assert (
            resource["Properties"]["Protocol"] in ("email", "email-json")
            or "RedrivePolicy" in resource["Properties"]
        ), name


def test_every_alarm_notifies_somebody(template: Template) -> None:
    topics = template.of("AWS::SNS::Topic")
    alarms = template.of("AWS::CloudWatch::Alarm") | template.of("AWS::CloudWatch::CompositeAlarm")
    for name, alarm in alarms.items():
        assert alarm["Properties"].get("ActionsEnabled", True) is True, name
        actions = alarm["Properties"].get("AlarmActions", [])
        assert actions, name
        assert {action["Ref"] for action in actions} <= set(topics), name
