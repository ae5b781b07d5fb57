"""Promises of `customer_key`: one key encrypts all stored data, and only its users have access."""

from typing import Any

import pytest

from infra.access import grants as grants_module
from infra.access.grants import Grant, Resource
from infra.functions.catalogue import CATALOGUE, Caller, FunctionSpec
from tests.support.template import (
    BATCHES,
    ELSEWHERE,
    FUNCTIONS,
    PICTURES,
    RUNS,
    Synth,
    Template,
    many,
)

KEYED = ("layers=false", "schedule=rate(1 day)", "public_page=true", "customer_key=true")
THEIRS = ("layers=false", "customer_key=true", "existing_bucket=true", "bucket_name=mine")
READ, WRITE = "kms:Decrypt", "kms:GenerateDataKey"
LOGS = "arn:aws:logs:ap-southeast-1:AWS::AccountId"
Rights = set[tuple[str, str]]
# The service through which each function decrypts what it reads and encrypts what it writes.
RIGHTS = {
    "prompt": {(READ, "dynamodb"), (READ, "secretsmanager"), (WRITE, "s3")},
    "image": {(READ, "dynamodb"), (READ, "secretsmanager"), (READ, "s3"), (WRITE, "s3")},
    "upload": {(READ, "dynamodb"), (READ, "s3"), (WRITE, "s3")},
    "cleanup": {(READ, "dynamodb"), (READ, "s3")},
    "batch": {(READ, "dynamodb"), (READ, "s3"), (WRITE, "s3")},
    "economy": {(READ, "dynamodb"), (READ, "secretsmanager"), (READ, "s3"), (WRITE, "s3")},
    "events": {(READ, "dynamodb"), (READ, "sqs"), (WRITE, "sqs")},
    "api": {(READ, "dynamodb"), (READ, "states"), (WRITE, "states")},
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
    "sqs:SendMessage": {(READ, "sqs"), (WRITE, "sqs")},
    "states:StartExecution": {(READ, "states"), (WRITE, "states")},
    "states:DescribeExecution": {(READ, "states")},
    "states:GetExecutionHistory": {(READ, "states")},
    "states:StopExecution": {(READ, "states")},
}


@pytest.fixture
def keyed(synth: Synth) -> Template:
    return synth(*KEYED)


def key(made: Template) -> dict[str, Any]:
    ((_, found),) = made.of("AWS::KMS::Key").items()
    return found


def key_rights(made: Template, role: str) -> Rights:
    """Return a role's rights on the key, each with the service that it goes through.

    Fail if a KMS right covers anything but the key.
    """
    found: Rights = set()
    for one in made.statements(role):
        actions = many(one["Action"])
        if not any(action.startswith("kms:") for action in actions):
            continue
        assert (one["Effect"], made.text(one["Resource"])) == ("Allow", "key")
        ((_, condition),) = one["Condition"].items()
        ((name, values),) = condition.items()
        if name == "kms:ViaService":
            assert all(value.endswith(".ap-southeast-1.amazonaws.com") for value in values)
            found |= {(action, via.partition(".")[0]) for action in actions for via in values}
        else:
            what = f"{name.rpartition(':')[2]} {made.text(values)}"
            found |= {(action, what) for action in actions}
    return found


def test_key_exists_only_on_request(template: Template) -> None:
    assert template.of("AWS::KMS::Key") == {}
    assert "kms" not in str(template.body["Resources"]).lower()


def test_key_rotates_yearly_and_outlives_the_stack(keyed: Template, synth: Synth) -> None:
    assert key(keyed)["Properties"]["EnableKeyRotation"] is True
    assert key(keyed)["DeletionPolicy"] == key(keyed)["UpdateReplacePolicy"].replace(
        "Retain", "RetainExceptOnCreate"
    )

    pictures = next(
        one for name, one in keyed.of("AWS::S3::Bucket").items() if name.startswith(PICTURES)
    )
    assert key(keyed)["DeletionPolicy"] == pictures["DeletionPolicy"] == "RetainExceptOnCreate"
    assert (
        key(synth("layers=false", "customer_key=true", "retain_images=false"))["DeletionPolicy"]
        == "Delete"
    )


def test_all_stored_data_uses_the_key(keyed: Template) -> None:
    (name,) = keyed.of("AWS::KMS::Key")
    ours = {"Fn::GetAtt": [name, "Arn"]}
    (rule,) = keyed.one("AWS::S3::Bucket", PICTURES)["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]

    assert rule == {
        "BucketKeyEnabled": True,
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ours},
    }
    assert keyed.one("AWS::DynamoDB::Table")["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
        "KMSMasterKeyId": ours,
    }
    assert keyed.one("AWS::SecretsManager::Secret")["KmsKeyId"] == ours

    for kind in (
        "AWS::Logs::LogGroup",
        "AWS::StepFunctions::StateMachine",
        "AWS::SQS::Queue",
        "AWS::SNS::Topic",
    ):
        for resource, one in keyed.of(kind).items():
            properties = one["Properties"]
            assert (properties.get("EncryptionConfiguration") or properties).get(
                "KmsKeyId", properties.get("KmsMasterKeyId")
            ) == ours, resource


def test_access_log_uses_the_s3_key(keyed: Template) -> None:
    (rule,) = keyed.one("AWS::S3::Bucket", "ImagesAccessLog")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_key_policy_admits_administrators_and_four_services(keyed: Template) -> None:
    said = {}
    for one in key(keyed)["Properties"]["KeyPolicy"]["Statement"]:
        assert (one["Effect"], one["Resource"]) == ("Allow", "*")
        ((_, who),) = one["Principal"].items()
        conditions = {
            f"{test} {name}": keyed.text(value)
            for test, each in one.get("Condition", {}).items()
            for name, value in each.items()
        }
        actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
        said[keyed.text(who)] = {action.removeprefix("kms:") for action in actions}, conditions
    assert said == {
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
                "StringEquals aws:SourceAccount": "AWS::AccountId",
                "ArnLike aws:SourceArn": "arn:aws:cloudwatch:ap-southeast-1:AWS::AccountId:alarm:*",
            },
        ),
        "events.amazonaws.com": (
            {"Decrypt", "GenerateDataKey"},
            {"StringEquals aws:SourceAccount": "AWS::AccountId"},
        ),
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_has_exact_key_rights(keyed: Template, step: str) -> None:
    assert key_rights(keyed, keyed.role(step)) == RIGHTS[step]


def test_key_rights_are_exact_with_other_settings(synth: Synth) -> None:
    made = synth(*ELSEWHERE)
    for step in FUNCTIONS:
        assert key_rights(made, made.role(step)) == RIGHTS[step] - {(READ, "secretsmanager")}
    assert key_rights(made, made.role("mirror")) == {
        (READ, "dynamodb"),
        (READ, "s3"),
        (READ, "secretsmanager"),
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_every_function_right_includes_its_key_right(keyed: Template, step: str) -> None:
    role = keyed.role(step)
    granted = {action for action, _ in keyed.rights(role)}
    needed: Rights = set().union(*(NEEDS.get(action, set()) for action in granted))
    if any(action.startswith("dynamodb:") for action in granted):
        needed.add((READ, "dynamodb"))

    assert needed == RIGHTS[step]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_key_rights_follow_from_row_grants(synth: Synth, row: FunctionSpec) -> None:
    made = synth(*ELSEWHERE)
    if row.caller is Caller.CLOUDFORMATION:
        made = synth(*THEIRS)
    # A workload identity replaces the secret with the key.
    grants = [one for one in row.grants if one.resource is not Resource.OPENAI_SECRET]

    found = key_rights(made, made.role(row.name))

    derived = grants_module.key_rights(grants)
    assert found == {(action, via) for action, services in derived.items() for via in services}


def test_denials_and_other_stores_need_no_key() -> None:
    denial = Grant(("s3:GetObject",), Resource.BUCKET, deny=True)
    elsewhere = Grant(("s3:PutObject",), Resource.MIRROR_BUCKET)
    index = Grant(("dynamodb:Query",), Resource.TABLE, "/index/by_time")

    assert grants_module.key_rights([denial, elsewhere]) == {}
    assert grants_module.key_rights([denial, elsewhere, index]) == {READ: ("dynamodb",)}


@pytest.mark.parametrize("construct", SIGNERS)
def test_link_roles_have_only_their_key_rights(keyed: Template, construct: str) -> None:
    assert key_rights(keyed, keyed.role_in(construct)) == SIGNERS[construct]


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_machines_have_only_their_key_rights(keyed: Template, machine: str) -> None:
    role = keyed.machine_role(machine)
    assert key_rights(keyed, role) == A_MACHINE | (
        {(READ, "s3"), (WRITE, "s3")} if machine == BATCHES else set()
    )


def test_event_may_encrypt_a_run_input(keyed: Template) -> None:
    targets = [
        target
        for rule in keyed.of("AWS::Events::Rule").values()
        for target in rule["Properties"]["Targets"]
    ]
    starts = [target for target in targets if "RoleArn" in target]
    assert len(starts) == 2
    for target in starts:
        assert key_rights(keyed, target["RoleArn"]["Fn::GetAtt"][0]) == {
            (READ, "states"),
            (WRITE, "states"),
        }


def test_existing_bucket_keeps_its_own_key(synth: Synth) -> None:
    made = synth(*THEIRS)
    for step in FUNCTIONS:
        assert key_rights(made, made.role(step)) == {
            (action, via) for action, via in RIGHTS[step] if via != "s3"
        }
    for construct in SIGNERS:
        assert key_rights(made, made.role_in(construct)) == set()

    groups = made.of("AWS::Logs::LogGroup")
    assert all("KmsKeyId" in one["Properties"] for one in groups.values())
