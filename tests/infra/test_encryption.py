"""Promises of `customer_key`: one key encrypts all stored data, and only its users have access."""

from typing import Any

import pytest

from infra.access import grants as grants_module
from infra.access.grants import Grant, Resource
from infra.functions.catalogue import CATALOGUE, Caller, FunctionSpec
from tests.support.template import (
    BATCHES,
    ELSEWHERE,
    EVERYTHING,
    FUNCTIONS,
    KEYED,
    PICTURES,
    RUNS,
    THEIRS,
    Synth,
    Template,
    many,
)

READ, WRITE = "kms:Decrypt", "kms:GenerateDataKey"
LOGS = "arn:aws:logs:ap-southeast-1:AWS::AccountId"
Rights = set[tuple[str, str]]
# The service through which each function decrypts what it reads and encrypts what it writes.
RIGHTS = {
    "prompt": {(READ, "dynamodb"), (READ, "secretsmanager"), (READ, "s3"), (WRITE, "s3")},
    "image": {(READ, "dynamodb"), (READ, "secretsmanager"), (READ, "s3"), (WRITE, "s3")},
    "upload": {(READ, "dynamodb"), (READ, "s3"), (WRITE, "s3")},
    "cleanup": {(READ, "dynamodb"), (READ, "s3"), (WRITE, "s3")},
    "batch": {(READ, "dynamodb"), (READ, "s3"), (WRITE, "s3")},
    "economy": {(READ, "dynamodb"), (READ, "secretsmanager"), (READ, "s3"), (WRITE, "s3")},
    "references": {(READ, "dynamodb"), (READ, "s3"), (WRITE, "s3"), (READ, "sqs"), (WRITE, "sqs")},
    "events": {(READ, "dynamodb"), (READ, "states"), (READ, "sqs"), (WRITE, "sqs")},
    "index": {(READ, "dynamodb"), (READ, "sqs"), (WRITE, "sqs")},
    "api": {(READ, "dynamodb"), (READ, "states"), (READ, "s3")},
}
SIGNERS = {"Reader": {(READ, "s3")}, "Uploader": {(WRITE, "s3")}}
A_MACHINE = {
    (READ, "stateMachineArn arn:aws:states:ap-southeast-1:AWS::AccountId:stateMachine:*"),
    (WRITE, "stateMachineArn arn:aws:states:ap-southeast-1:AWS::AccountId:stateMachine:*"),
    (WRITE, "SourceArn arn:aws:logs:ap-southeast-1:AWS::AccountId:*"),
}
# The rights on the key that each other right needs if the key encrypts its resource.
NEEDS = {
    "s3:GetObject": {(READ, "s3")},
    "s3:GetObjectVersion": {(READ, "s3")},
    "s3:PutObject": {(WRITE, "s3")},
    "secretsmanager:GetSecretValue": {(READ, "secretsmanager")},
    "sns:Publish": {(READ, "sns"), (WRITE, "sns")},
    "sqs:SendMessage": {(READ, "sqs"), (WRITE, "sqs")},
    "states:DescribeExecution": {(READ, "states")},
    "states:GetExecutionHistory": {(READ, "states")},
    "states:StopExecution": {(READ, "states")},
}


@pytest.fixture
def key_template(synth: Synth) -> Template:
    return synth(*KEYED)


def key(template: Template) -> dict[str, Any]:
    ((_, resource),) = template.of("AWS::KMS::Key").items()
    return resource


def key_rights(template: Template, role: str) -> Rights:
    """Return a role's rights on the key, each with the service that it goes through.

    Fail if a KMS right covers anything but the key.
    """
    rights: Rights = set()
    for statement in template.statements(role):
        actions = many(statement["Action"])
        if not any(action.startswith("kms:") for action in actions):
            continue
        assert (statement["Effect"], template.text(statement["Resource"])) == ("Allow", "key")
        ((_, condition),) = statement["Condition"].items()
        ((name, values),) = condition.items()
        if name == "kms:ViaService":
            assert all(value.endswith(".ap-southeast-1.amazonaws.com") for value in values)
            rights |= {(action, via.partition(".")[0]) for action in actions for via in values}
        else:
            right = f"{name.rpartition(':')[2]} {template.text(values)}"
            rights |= {(action, right) for action in actions}
    return rights


def test_key_exists_only_on_request(template: Template) -> None:
    assert template.of("AWS::KMS::Key") == {}
    assert "kms" not in str(template.body["Resources"]).lower()


def test_key_rotates_yearly_and_outlives_the_stack(key_template: Template, synth: Synth) -> None:
    assert key(key_template)["Properties"]["EnableKeyRotation"] is True
    assert key(key_template)["DeletionPolicy"] == key(key_template)["UpdateReplacePolicy"].replace(
        "Retain", "RetainExceptOnCreate"
    )

    pictures = next(
        bucket
        for name, bucket in key_template.of("AWS::S3::Bucket").items()
        if name.startswith(PICTURES)
    )
    assert (
        key(key_template)["DeletionPolicy"] == pictures["DeletionPolicy"] == "RetainExceptOnCreate"
    )
    assert key(synth(*EVERYTHING))["DeletionPolicy"] == "Delete"


def test_all_stored_data_uses_the_key(key_template: Template) -> None:
    (name,) = key_template.of("AWS::KMS::Key")
    ours = {"Fn::GetAtt": [name, "Arn"]}
    (rule,) = key_template.resource("AWS::S3::Bucket", PICTURES)["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]

    assert rule == {
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ours},
    }
    assert key_template.resource("AWS::DynamoDB::Table")["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": ours,
    }
    assert key_template.resource("AWS::SecretsManager::Secret")["KmsKeyId"] == ours

    for kind in (
        "AWS::Logs::LogGroup",
        "AWS::StepFunctions::StateMachine",
        "AWS::SQS::Queue",
        "AWS::SNS::Topic",
    ):
        for resource, body in key_template.of(kind).items():
            properties = body["Properties"]
            assert (properties.get("EncryptionConfiguration") or properties).get(
                "KmsKeyId", properties.get("KmsMasterKeyId")
            ) == ours, resource


def test_access_log_uses_the_s3_key(key_template: Template) -> None:
    (rule,) = key_template.resource("AWS::S3::Bucket", "ImagesAccessLog")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_key_policy_admits_administrators_and_four_services(key_template: Template) -> None:
    grants = {}
    for statement in key(key_template)["Properties"]["KeyPolicy"]["Statement"]:
        assert (statement["Effect"], statement["Resource"]) == ("Allow", "*")
        ((_, principal),) = statement["Principal"].items()
        conditions = {
            f"{test} {name}": key_template.text(value)
            for test, each in statement.get("Condition", {}).items()
            for name, value in each.items()
        }
        actions = (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
        grants[key_template.text(principal)] = (
            {action.removeprefix("kms:") for action in actions},
            conditions,
        )
    assert grants == {
        "arn:aws:iam::AWS::AccountId:root": ({"*"}, {}),
        "logs.ap-southeast-1.amazonaws.com": (
            {
                "Encrypt",
                "Decrypt",
                "ReEncryptFrom",
                "ReEncryptTo",
                "GenerateDataKey",
                "GenerateDataKeyWithoutPlaintext",
                "DescribeKey",
            },
            {"ArnLike kms:EncryptionContext:aws:logs:arn": f"{LOGS}:log-group:*"},
        ),
        "delivery.logs.amazonaws.com": (
            {"Decrypt"},
            {"StringEquals kms:EncryptionContext:SourceArn": f"{LOGS}:*"},
        ),
        "cloudwatch.amazonaws.com": (
            {"Decrypt", "GenerateDataKey"},
            {
                "ArnLike kms:EncryptionContext:aws:sns:topicArn": (
                    "arn:aws:sns:ap-southeast-1:AWS::AccountId:Easel-*"
                ),
            },
        ),
        "events.amazonaws.com": (
            {"Decrypt", "GenerateDataKey"},
            {
                "ArnLike kms:EncryptionContext:aws:sqs:arn": (
                    "arn:aws:sqs:ap-southeast-1:AWS::AccountId:Easel-*"
                ),
            },
        ),
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_has_exact_key_rights(key_template: Template, step: str) -> None:
    assert key_rights(key_template, key_template.role(step)) == RIGHTS[step]


def test_key_rights_are_exact_with_other_settings(synth: Synth) -> None:
    template = synth(*ELSEWHERE)
    for step in FUNCTIONS:
        assert key_rights(template, template.role(step)) == RIGHTS[step] - {
            (READ, "secretsmanager")
        }
    assert key_rights(template, template.role("mirror")) == {
        (READ, "dynamodb"),
        (READ, "s3"),
        (READ, "secretsmanager"),
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_every_function_right_includes_its_key_right(key_template: Template, step: str) -> None:
    role = key_template.role(step)
    granted = {action for action, _ in key_template.rights(role)}
    needed: Rights = set().union(*(NEEDS.get(action, set()) for action in granted))
    if any(action.startswith("dynamodb:") for action in granted):
        needed.add((READ, "dynamodb"))

    assert needed == RIGHTS[step]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_key_rights_follow_from_row_grants(synth: Synth, row: FunctionSpec) -> None:
    template = synth(*ELSEWHERE)
    if row.caller is Caller.CLOUDFORMATION:
        template = synth(*(EVERYTHING if row.only_with else THEIRS))
    if row.name == "events":  # webhooks have a signing key
        template = synth(*EVERYTHING)
    # A workload identity replaces the secret with the key.
    grants = [grant for grant in row.grants if grant.resource is not Resource.OPENAI_SECRET]

    rights = key_rights(template, template.role(row.name))

    derived = grants_module.key_rights(grants)
    assert rights == {(action, via) for action, services in derived.items() for via in services}


def test_denials_and_other_stores_need_no_key() -> None:
    denial = Grant(("s3:GetObject",), Resource.BUCKET, deny=True)
    elsewhere = Grant(("s3:PutObject",), Resource.MIRROR_BUCKET)
    index = Grant(("dynamodb:Query",), Resource.TABLE, "/index/by_time")

    assert grants_module.key_rights([denial, elsewhere]) == {}
    assert grants_module.key_rights([denial, elsewhere, index]) == {READ: ("dynamodb",)}


@pytest.mark.parametrize("construct", SIGNERS)
def test_link_roles_have_only_their_key_rights(key_template: Template, construct: str) -> None:
    assert key_rights(key_template, key_template.role_in(construct)) == SIGNERS[construct]


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_machines_have_only_their_key_rights(key_template: Template, machine: str) -> None:
    role = key_template.machine_role(machine)
    assert key_rights(key_template, role) == A_MACHINE | (
        {(READ, "s3"), (WRITE, "s3")} if machine == BATCHES else set()
    )


def test_starting_a_run_needs_no_key(key_template: Template) -> None:
    targets = [
        target
        for rule in key_template.of("AWS::Events::Rule").values()
        for target in rule["Properties"]["Targets"]
    ]
    starts = [target for target in targets if "RoleArn" in target]
    assert len(starts) == 2
    for target in starts:
        assert key_rights(key_template, target["RoleArn"]["Fn::GetAtt"][0]) == set()


def test_existing_bucket_keeps_its_own_key(synth: Synth) -> None:
    template = synth(*THEIRS)
    for step in FUNCTIONS:
        assert key_rights(template, template.role(step)) == {
            (action, via) for action, via in RIGHTS[step] if via != "s3"
        }
    for construct in SIGNERS:
        assert key_rights(template, template.role_in(construct)) == set()

    groups = template.of("AWS::Logs::LogGroup")
    assert all("KmsKeyId" in group["Properties"] for group in groups.values())
