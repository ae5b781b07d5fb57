"""Promises of `customer_key`: one key encrypts all that is kept, for those alone who need it."""

from typing import Any

import pytest

from infra.access import grants as grants_module
from infra.access.grants import Grant, Resource
from infra.functions.catalogue import CATALOGUE, Caller, Row
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
# Through which service each function decrypts what it reads, and encrypts what it writes.
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
# What a right needs of the key, if the key encrypts what it is about.
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
    """Return what a role may use the key for, and through which service.

    A right on anything but the key fails.
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


def test_there_is_no_key_and_no_right_to_one_unless_it_is_asked_for(template: Template) -> None:
    assert template.of("AWS::KMS::Key") == {}
    assert "kms" not in str(template.body["Resources"]).lower()


def test_the_key_turns_every_year_and_outlives_the_stack_as_the_pictures_do(
    keyed: Template, synth: Synth
) -> None:
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


def test_all_that_is_kept_is_under_the_key(keyed: Template) -> None:
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


def test_the_access_log_has_s3_s_own_key_since_s3_delivers_to_no_other(keyed: Template) -> None:
    (rule,) = keyed.one("AWS::S3::Bucket", "ImagesAccessLog")["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_the_key_s_policy_lets_in_the_account_s_administrators_and_four_services_for_this_account(
    keyed: Template,
) -> None:
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
def test_each_function_may_use_the_key_for_exactly_what_it_does(keyed: Template, step: str) -> None:
    assert key_rights(keyed, keyed.role(step)) == RIGHTS[step]


def test_without_a_key_of_openai_s_and_with_a_mirror_the_rights_are_as_exact(synth: Synth) -> None:
    made = synth(*ELSEWHERE)
    for step in FUNCTIONS:
        assert key_rights(made, made.role(step)) == RIGHTS[step] - {(READ, "secretsmanager")}
    assert key_rights(made, made.role("mirror")) == {
        (READ, "dynamodb"),
        (READ, "s3"),
        (READ, "secretsmanager"),
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_no_right_of_a_function_is_without_what_it_needs_of_the_key(
    keyed: Template, step: str
) -> None:
    role = keyed.role(step)
    granted = {action for action, _ in keyed.rights(role)}
    needed: Rights = set().union(*(NEEDS.get(action, set()) for action in granted))
    if any(action.startswith("dynamodb:") for action in granted):
        needed.add((READ, "dynamodb"))
    assert needed == RIGHTS[step]


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_rights_on_the_key_follow_from_the_grants_of_a_row(synth: Synth, row: Row) -> None:
    made = synth(*ELSEWHERE)
    if row.caller is Caller.CLOUDFORMATION:
        made = synth(*THEIRS)
    # A workload identity takes the place of the key in a secret.
    grants = [one for one in row.grants if one.on is not Resource.OPENAI_SECRET]

    found = key_rights(made, made.role(row.name))

    derived = grants_module.key_rights(grants)
    assert found == {(action, via) for action, services in derived.items() for via in services}


def test_a_denial_and_another_store_need_nothing_of_the_key() -> None:
    denial = Grant(("s3:GetObject",), Resource.BUCKET, deny=True)
    elsewhere = Grant(("s3:PutObject",), Resource.MIRROR_BUCKET)
    index = Grant(("dynamodb:Query",), Resource.TABLE, "/index/by_time")

    assert grants_module.key_rights([denial, elsewhere]) == {}
    assert grants_module.key_rights([denial, elsewhere, index]) == {READ: ("dynamodb",)}


@pytest.mark.parametrize("construct", SIGNERS)
def test_who_signs_links_may_use_the_key_for_those_alone(keyed: Template, construct: str) -> None:
    assert key_rights(keyed, keyed.role_in(construct)) == SIGNERS[construct]


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_a_machine_may_use_the_key_for_its_own_data_and_a_batch_for_its_files(
    keyed: Template, machine: str
) -> None:
    role = keyed.machine_role(machine)
    assert key_rights(keyed, role) == A_MACHINE | (
        {(READ, "s3"), (WRITE, "s3")} if machine == BATCHES else set()
    )


def test_an_event_may_have_the_input_of_a_run_encrypted(keyed: Template) -> None:
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


def test_somebody_s_own_bucket_keeps_its_own_key(synth: Synth) -> None:
    made = synth(*THEIRS)
    for step in FUNCTIONS:
        assert key_rights(made, made.role(step)) == {
            (action, via) for action, via in RIGHTS[step] if via != "s3"
        }
    for construct in SIGNERS:
        assert key_rights(made, made.role_in(construct)) == set()
    groups = made.of("AWS::Logs::LogGroup")
    assert all("KmsKeyId" in one["Properties"] for one in groups.values())
