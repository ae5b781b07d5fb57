"""The exact permissions of each role.

The local AWS finds a missing permission. Only these tests notice one that is too wide.
"""

import json
import re

import pytest

from easel.contract import settings
from tests.support.template import BATCHES, EVERY_FUNCTION, FUNCTIONS, RUNS, SHAPES, Synth, Template

Rights = set[tuple[str, str]]
KEYLESS = ("layers=false", "openai_workload_identity=idp_1/sa_2")


def may(service: str, resource: str, *actions: str) -> Rights:
    return {(f"{service}:{action}", resource) for action in actions}


def denied(service: str, resource: str, *actions: str) -> Rights:
    return {(f"not {action}", on) for action, on in may(service, resource, *actions)}


def on_table(*actions: str) -> Rights:
    return may("dynamodb", "table", *actions)


def images(action: str) -> Rights:
    """Return the rights to read images in any folder, but no other files."""
    files = ("staging", "batches", "references/inbox")
    deny = {right for name in files for right in denied("s3", f"bucket/{name}/*", action)}
    return may("s3", "bucket/*", action) | deny


STAGING = may("s3", "bucket/staging/*", "PutObject", "GetObject")
FIND = may("s3", "bucket", "ListBucket")
OPENAI_KEY = may("secretsmanager", "secret", "GetSecretValue")
TAG_UPLOADS = may("s3", "bucket/references/*", "PutObjectTagging") | may(
    "s3", "bucket/thumbnails/references/*", "PutObjectTagging"
)
BUS = "arn:aws:events:ap-southeast-1:AWS::AccountId:event-bus/default"
FROM_EASEL = {
    "ForAllValues:StringEquals": {"events:source": "easel"},
    "Null": {"events:source": "false"},
}
SENDS = f"{BUS} if {json.dumps(FROM_EASEL)}"
SCHEDULES = "arn:aws:scheduler:ap-southeast-1:AWS::AccountId:schedule/Easel"
TO_SCHEDULER = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
WRITTEN_BY_API = "table where the key is budget* limits people presets upload#*"
NOTES = {
    "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["run#*"]},
    "ForAllValues:StringEquals": {
        "dynamodb:Attributes": ["pk", "sk", "status", "favourite", "hidden", "tags"]
    },
}
USERS = "SignInUsers1801E146"
EXECUTION = ":::::execution"
RIGHTS = {
    "prompt": may("s3", "bucket/*/", "PutObject")
    | images("GetObject")
    | TAG_UPLOADS
    | FIND
    | OPENAI_KEY
    | on_table("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
    | on_table("ConditionCheckItem"),
    "image": STAGING
    | images("GetObjectVersion")
    | FIND
    | OPENAI_KEY
    | on_table("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
    "upload": may("s3", "bucket/*", "PutObject", "GetObject")
    | FIND
    | on_table("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
    "cleanup": may("s3", "bucket/*", "GetObject", "GetObjectVersion", "PutObject")
    | may("s3", "bucket/*", "DeleteObject", "DeleteObjectVersion")
    | TAG_UPLOADS
    | may("s3", "bucket", "ListBucket", "ListBucketVersions")
    | on_table("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
    "batch": may("s3", "bucket/batches/*", "GetObject", "GetObjectVersion", "PutObject")
    | may("s3", "bucket/staging/@*", "GetObject", "PutObject")
    | may("s3", "bucket/*", "GetObject")
    | denied("s3", "bucket/references/inbox/*", "GetObject")
    | FIND
    | on_table("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"),
    "economy": STAGING
    | images("GetObjectVersion")
    | FIND
    | OPENAI_KEY
    | on_table("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"),
    "references": may("s3", "bucket/references/inbox/*", "GetObject")
    | may("s3", "bucket/references/*", "PutObject", "PutObjectTagging", "GetObject")
    | may("s3", "bucket/thumbnails/references/*", "PutObject", "PutObjectTagging")
    | FIND
    | may("sqs", "queue", "SendMessage")
    | may("dynamodb", "table where the key is upload#*", "GetItem", "PutItem", "UpdateItem"),
    "events": may("events", SENDS, "PutEvents")
    | may("states", f"{EXECUTION}:Workflow:*", "DescribeExecution")
    | may("states", f"{EXECUTION}:BatchWorkflow:*", "DescribeExecution")
    | on_table("Query")
    | may("sqs", "queue", "SendMessage")
    | on_table("DescribeStream", "GetRecords", "GetShardIterator")
    | may("dynamodb", "*", "ListStreams"),
    "index": may(
        "dynamodb", "table where the key is run#* search#*", "GetItem", "BatchGetItem", "Query"
    )
    | may("dynamodb", "table where the key is search#*", "PutItem", "UpdateItem")
    | may("dynamodb", "table where the key is charges#* spending#*", "UpdateItem", "DeleteItem")
    | may("dynamodb", "table/index/by_time", "Query")
    | may("sqs", "queue", "SendMessage")
    | on_table("DescribeStream", "GetRecords", "GetShardIterator")
    | may("dynamodb", "*", "ListStreams"),
    # It has no rights on images or secrets and deletes nothing: the steps of a run that it starts
    # do that.
    "api": may("states", ":::::stateMachine:Workflow", "StartExecution", "ListExecutions")
    | may("states", f"{EXECUTION}:Workflow:*", "DescribeExecution", "GetExecutionHistory")
    | may("states", f"{EXECUTION}:Workflow:*", "StopExecution", "RedriveExecution")
    | may("states", ":::::stateMachine:BatchWorkflow", "StartExecution", "ListExecutions")
    | may("states", f"{EXECUTION}:BatchWorkflow:*", "DescribeExecution", "GetExecutionHistory")
    | may("states", f"{EXECUTION}:BatchWorkflow:*", "ListMapRuns", "StopExecution")
    | may("states", f"{EXECUTION}:BatchWorkflow/*", "DescribeExecution", "GetExecutionHistory")
    | may("states", ":::::mapRun:BatchWorkflow/*", "DescribeMapRun", "ListExecutions")
    | may("s3", "bucket/staging/@*/lines.jsonl", "GetObject")
    | may("s3", "bucket/staging/@*/problems.jsonl", "GetObject")
    | may("s3", "bucket/batches/*/failures.jsonl", "GetObject")
    | FIND
    | on_table("GetItem", "BatchGetItem", "Query")
    | may("dynamodb", "table/index/by_time", "Query")
    | may("dynamodb", "table/index/by_folder", "Query")
    | may("dynamodb", "table/index/by_topic", "Query")
    | may("dynamodb", "table/index/by_folder_topic", "Query")
    | may("dynamodb", WRITTEN_BY_API, "PutItem", "UpdateItem", "DeleteItem")
    | may("dynamodb", f"table if {json.dumps(NOTES)}", "UpdateItem")
    | may("cognito-idp", USERS, "ListUsers")
    | may("scheduler", f"{SCHEDULES}/*", "GetSchedule", "CreateSchedule")
    | may("scheduler", f"{SCHEDULES}/*", "UpdateSchedule", "DeleteSchedule")
    | may("scheduler", "*", "ListSchedules")
    | may("iam", f"Schedules if {json.dumps(TO_SCHEDULER)}", "PassRole")
    | may("sts", "Reader", "AssumeRole")
    | may("sts", "Uploader", "AssumeRole"),
}
# The reader signs links to finished images, and the uploader signs links for manifests and
# uploads. Neither starts a batch.
SIGNERS = {
    "Reader": images("GetObject"),
    "Uploader": may("s3", "bucket/batches/*.jsonl", "PutObject")
    | may("s3", "bucket/batches/*.csv", "PutObject")
    | may("s3", "bucket/references/inbox/*", "PutObject")
    | denied("s3", "bucket/batches/*/*", "PutObject"),
}


def granted_rights(template: Template, function: str) -> Rights:
    """Return a function's rights. Other roles are listed by their construct."""
    others = {template.role_in(name): name for name in (*SIGNERS, "Schedules")}
    rights = template.rights(template.role(function))
    return {
        (action, on.replace((role := on.partition(" ")[0]), others.get(role, role)))
        for action, on in rights
    }


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_has_exact_permissions(template: Template, step: str) -> None:
    assert granted_rights(template, step) == EVERY_FUNCTION | RIGHTS[step]


@pytest.mark.parametrize("step", FUNCTIONS)
def test_identity_token_is_only_for_openai(synth: Synth, step: str) -> None:
    keyless = synth(*KEYLESS)
    condition = {
        "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": "https://api.openai.com/v1"},
        "NumericLessThanEquals": {"sts:DurationSeconds": 300},
    }
    proves = ("sts:GetWebIdentityToken", f"* if {json.dumps(condition)}")
    calls_openai = step in ("prompt", "image", "economy")

    rights = (EVERY_FUNCTION | RIGHTS[step]) - OPENAI_KEY
    assert granted_rights(keyless, step) == rights | ({proves} if calls_openai else set())
    variables = keyless.environment(step)
    assert variables.get(settings.WORKLOAD_IDENTITY) == ("idp_1/sa_2" if calls_openai else None)
    assert settings.SECRET not in variables


def test_workload_identity_needs_no_secret(synth: Synth) -> None:
    keyless = synth(*KEYLESS)

    assert not keyless.of("AWS::SecretsManager::Secret")
    assert "secretsmanager" not in json.dumps(keyless.body)
    assert "OpenAIKeySecret" not in keyless.body["Outputs"]


@pytest.mark.parametrize("construct", SIGNERS)
def test_only_api_assumes_roles_that_sign_links(template: Template, construct: str) -> None:
    name = template.role_in(construct)
    role = template.of("AWS::IAM::Role")[name]["Properties"]

    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"AWS": {"Fn::GetAtt": [template.role("api"), "Arn"]}}
    assert role["MaxSessionDuration"] == 3600
    assert template.rights(name) == SIGNERS[construct]


DENIED_TO_BATCH = denied(
    "s3",
    "all but bucket/staging/@*",
    *("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts"),
)


def test_batch_machine_accesses_only_its_files(template: Template) -> None:
    rights = template.rights(template.machine_role(BATCHES))

    denials = {right for right in rights if right[0].startswith("not ")}
    assert denials == DENIED_TO_BATCH


# What the machines do in addition to calling functions.
TRACED_AND_LOGGED = may(
    "xray",
    "*",
    *("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets"),
) | may(
    "logs",
    "*",
    *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery"),
    *("ListLogDeliveries", "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"),
)
ANY_OBJECT = "arn:AWS::Partition:s3:::bucket/*"
ANY_EXECUTION = "arn:aws:states:ap-southeast-1:AWS::AccountId:execution:BatchWorkflow"
OF_A_BATCH = (
    may("s3", ANY_OBJECT, "GetObject", "PutObject", "AbortMultipartUpload")
    | may("s3", ANY_OBJECT, "ListMultipartUploadParts")
    | DENIED_TO_BATCH
    | may("states", ":::::stateMachine:BatchWorkflow", "StartExecution")
    | may("states", f"{ANY_EXECUTION}:*", "DescribeExecution", "StopExecution")
    | may("states", f"{ANY_EXECUTION}/*:*", "RedriveExecution")
)
CALLS = {
    RUNS: ("prompt", "image", "upload", "cleanup"),
    BATCHES: ("prompt", "image", "upload", "cleanup", "batch", "economy"),
}


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_machine_calls_only_its_own_functions(template: Template, machine: str) -> None:
    function = re.compile(r"(\w+?)Function[0-9A-F]{8}")
    rights = {
        (action, function.sub(lambda match: match[1].lower(), on))
        for action, on in template.rights(template.machine_role(machine))
    }

    calls = {
        ("lambda:InvokeFunction", step + version)
        for step in CALLS[machine]
        for version in ("", ":*")
    }
    extra = OF_A_BATCH if machine == BATCHES else set()
    assert rights == calls | TRACED_AND_LOGGED | extra


def test_event_reaches_only_its_target(synth: Synth) -> None:
    for shape in SHAPES:
        template = synth(*shape)
        roles = set(template.of("AWS::IAM::Role"))
        roles -= {template.role(function) for function in FUNCTIONS}
        roles -= {template.machine_role(machine) for machine in (RUNS, BATCHES)}
        for rule in template.of("AWS::Events::Rule").values():
            (target,) = rule["Properties"]["Targets"]
            if "RoleArn" not in target:  # a function, which admits the rule by a permission
                continue
            role = target["RoleArn"]["Fn::GetAtt"][0]
            rights = {right for right in template.rights(role) if not right[0].startswith("kms:")}
            action = "states:StartExecution"
            if role.startswith("Channels"):  # of notifications
                is_mail = "MailRole" in role
                action = "sns:Publish" if is_mail else "events:InvokeApiDestination"
            assert rights == {(action, template.text(target["Arn"]))}
            (trusted,) = template.of("AWS::IAM::Role")[role]["Properties"][
                "AssumeRolePolicyDocument"
            ]["Statement"]
            own_account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
            assert trusted["Condition"] == own_account
            roles.remove(role)
        left = {re.sub(r"(Provider)?Role\w+$", "", name) for name in roles}
        others = {
            "Reader",
            "Uploader",
            "Schedules",
            "Site",
            "CustomS3AutoDeleteObjectsCustomResource",
        }
        assert left <= others
