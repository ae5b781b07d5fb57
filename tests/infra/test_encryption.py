"""Promises of `customer_key`: all that is kept is under one key, and who may use it is who has to."""

from typing import Any

import pytest

from tests.infra.conftest import BATCHES, ELSEWHERE, FUNCTIONS, PICTURES, RUNS, Synth, Template

KEYED = ("layers=false", "schedule=rate(1 day)", "public_page=true", "customer_key=true")
THEIRS = ("layers=false", "customer_key=true", "existing_bucket=true", "bucket_name=mine")
READ, WRITE = "kms:Decrypt", "kms:GenerateDataKey"
Rights = set[tuple[str, str]]
# Through which service each may have what it reads decrypted, and what it writes encrypted: no more and no less.
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
# What each right of a role needs of the key, where what it is about is under it.
NEEDS = {
    "s3:GetObject": (READ, "s3"), "s3:GetObjectVersion": (READ, "s3"), "s3:PutObject": (WRITE, "s3"),
    "secretsmanager:GetSecretValue": (READ, "secretsmanager"), "sqs:SendMessage": (WRITE, "sqs"),
    "states:StartExecution": (WRITE, "states"), "states:DescribeExecution": (READ, "states"),
    "states:GetExecutionHistory": (READ, "states"), "states:StopExecution": (READ, "states"),
}  # fmt: skip


@pytest.fixture
def keyed(synth: Synth) -> Template:
    return synth(*KEYED)


def key(made: Template) -> dict[str, Any]:
    ((_, found),) = made.of("AWS::KMS::Key").items()
    return found


def key_rights(made: Template, role: str) -> Rights:
    """What a role may have the key do, and through which service or for what; on anything but the key, this fails."""
    found: Rights = set()
    for policy in made.of("AWS::IAM::Policy").values():
        if {"Ref": role} not in policy["Properties"]["Roles"]:
            continue
        for one in policy["Properties"]["PolicyDocument"]["Statement"]:
            actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
            if not any(action.startswith("kms:") for action in actions):
                continue
            assert (one["Effect"], made.text(one["Resource"])) == ("Allow", "key")
            ((_, condition),) = one["Condition"].items()
            ((name, values),) = condition.items()
            if name == "kms:ViaService":
                assert all(value.endswith(".ap-southeast-1.amazonaws.com") for value in values)
                found |= {(action, value.partition(".")[0]) for action in actions for value in values}
            else:
                found |= {(action, f"{name.rpartition(':')[2]} {made.text(values)}") for action in actions}
    return found


def role_of(made: Template, construct: str) -> str:
    (name,) = (name for name in made.of("AWS::IAM::Role") if name.startswith(construct))
    return name


def test_there_is_no_key_and_no_right_to_one_unless_it_is_asked_for(template: Template) -> None:
    assert template.of("AWS::KMS::Key") == {}
    assert "kms" not in str(template.body["Resources"]).lower()


def test_the_key_turns_every_year_and_outlives_the_stack_as_the_pictures_do(keyed: Template, synth: Synth) -> None:
    assert key(keyed)["Properties"]["EnableKeyRotation"] is True
    assert key(keyed)["DeletionPolicy"] == key(keyed)["UpdateReplacePolicy"].replace("Retain", "RetainExceptOnCreate")
    pictures = next(one for name, one in keyed.of("AWS::S3::Bucket").items() if name.startswith(PICTURES))
    assert key(keyed)["DeletionPolicy"] == pictures["DeletionPolicy"] == "RetainExceptOnCreate"
    assert key(synth("layers=false", "customer_key=true", "retain_images=false"))["DeletionPolicy"] == "Delete"


def test_all_that_is_kept_is_under_the_key(keyed: Template) -> None:
    (name,) = keyed.of("AWS::KMS::Key")
    ours = {"Fn::GetAtt": [name, "Arn"]}
    (rule,) = keyed.one("AWS::S3::Bucket", PICTURES)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ours}}
    assert keyed.one("AWS::DynamoDB::Table")["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": ours}
    assert keyed.one("AWS::SecretsManager::Secret")["KmsKeyId"] == ours
    for kind in ("AWS::Logs::LogGroup", "AWS::StepFunctions::StateMachine", "AWS::SQS::Queue", "AWS::SNS::Topic"):
        for resource, one in keyed.of(kind).items():
            properties = one["Properties"]
            assert (properties.get("EncryptionConfiguration") or properties).get("KmsKeyId", properties.get("KmsMasterKeyId")) == ours, (
                resource
            )


def test_the_access_log_has_s3_s_own_key_since_s3_delivers_to_no_other(keyed: Template) -> None:
    (rule,) = keyed.one("AWS::S3::Bucket", "ImagesAccessLog")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_the_key_s_policy_lets_in_the_account_s_administrators_and_four_services_for_this_account(keyed: Template) -> None:
    said = {}
    for one in key(keyed)["Properties"]["KeyPolicy"]["Statement"]:
        assert (one["Effect"], one["Resource"]) == ("Allow", "*")
        ((_, who),) = one["Principal"].items()
        conditions = {
            f"{test} {name}": keyed.text(value) for test, each in one.get("Condition", {}).items() for name, value in each.items()
        }
        actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
        said[keyed.text(who)] = {action.removeprefix("kms:") for action in actions}, conditions
    assert said == {
        "arn:aws:iam::AWS::AccountId:root": ({"*"}, {}),
        "logs.ap-southeast-1.amazonaws.com": (
            {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey"},
            {"ArnLike kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:ap-southeast-1:AWS::AccountId:log-group:*"},
        ),
        "delivery.logs.amazonaws.com": (
            {"Decrypt"},
            {"StringEquals kms:EncryptionContext:SourceArn": "arn:aws:logs:ap-southeast-1:AWS::AccountId:*"},
        ),
        "cloudwatch.amazonaws.com": (
            {"Decrypt", "GenerateDataKey"},
            {
                "StringEquals aws:SourceAccount": "AWS::AccountId",
                "ArnLike aws:SourceArn": "arn:aws:cloudwatch:ap-southeast-1:AWS::AccountId:alarm:*",
            },
        ),
        "events.amazonaws.com": ({"Decrypt", "GenerateDataKey"}, {"StringEquals aws:SourceAccount": "AWS::AccountId"}),
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_may_use_the_key_for_exactly_what_it_does(keyed: Template, step: str) -> None:
    assert key_rights(keyed, keyed.role(step)) == RIGHTS[step]


def test_without_a_key_of_openai_s_and_with_a_mirror_the_rights_are_as_exact(synth: Synth) -> None:
    made = synth(*ELSEWHERE)
    for step in FUNCTIONS:
        assert key_rights(made, made.role(step)) == RIGHTS[step] - {(READ, "secretsmanager")}
    assert key_rights(made, made.role("mirror")) == {(READ, "dynamodb"), (READ, "s3"), (READ, "secretsmanager")}


@pytest.mark.parametrize("step", FUNCTIONS)
def test_no_right_of_a_function_is_without_what_it_needs_of_the_key(keyed: Template, step: str) -> None:
    role = keyed.role(step)
    granted = {action for action, _ in keyed.rights(role)}
    needed = {NEEDS[action] for action in granted & set(NEEDS)}
    needed |= {(READ, "dynamodb")} if any(action.startswith("dynamodb:") for action in granted) else set()
    needed |= {(READ, via) for via in ("states", "sqs") if (WRITE, via) in needed}
    assert needed == RIGHTS[step]


@pytest.mark.parametrize("construct", SIGNERS)
def test_who_signs_links_may_use_the_key_for_those_alone(keyed: Template, construct: str) -> None:
    assert key_rights(keyed, role_of(keyed, construct)) == SIGNERS[construct]


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_a_machine_may_use_the_key_for_its_own_data_and_a_batch_for_its_files(keyed: Template, machine: str) -> None:
    role = keyed.one("AWS::StepFunctions::StateMachine", machine)["RoleArn"]["Fn::GetAtt"][0]
    assert key_rights(keyed, role) == A_MACHINE | ({(READ, "s3"), (WRITE, "s3")} if machine == BATCHES else set())


def test_an_event_may_have_the_input_of_a_run_encrypted(keyed: Template) -> None:
    targets = [target for rule in keyed.of("AWS::Events::Rule").values() for target in rule["Properties"]["Targets"]]
    starts = [target for target in targets if "RoleArn" in target]
    assert len(starts) == 2
    for target in starts:
        assert key_rights(keyed, target["RoleArn"]["Fn::GetAtt"][0]) == {(READ, "states"), (WRITE, "states")}


def test_somebody_s_own_bucket_keeps_its_own_key(synth: Synth) -> None:
    made = synth(*THEIRS)
    for step in FUNCTIONS:
        assert key_rights(made, made.role(step)) == {(action, via) for action, via in RIGHTS[step] if via != "s3"}
    for construct in SIGNERS:
        assert key_rights(made, role_of(made, construct)) == set()
    groups = made.of("AWS::Logs::LogGroup")
    assert all("KmsKeyId" in one["Properties"] for one in groups.values())
