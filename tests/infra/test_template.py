"""Promises of the template: what is private, kept, limited and allowed."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from easel.contract.errors import (
    ClaimHeldError,
    FinalError,
    RateLimitedError,
    RetryableError,
    leaves,
)
from easel.contract.states import State
from easel.ledger.claims import MAX_PURCHASES
from infra import ROOT
from infra.functions import layers
from infra.workflows.machine import SERVICE_ERRORS, THROTTLED
from local.deploy import LOCAL_DEFAULTS, LOCAL_SETTINGS
from tests.support.template import (
    BATCHES,
    EVERYTHING,
    EXISTING,
    FUNCTIONS,
    PICTURES,
    RUNS,
    Synth,
    Template,
)

# If a resource's logical id changes, CloudFormation replaces it and deletes its data.
DATA_IDS = {
    "ImagesBucket4B6DB8E1": "AWS::S3::Bucket",
    "RecordsTableC9B7A30B": "AWS::DynamoDB::Table",
    "SignInUsers1801E146": "AWS::Cognito::UserPool",
    "OpenAIKeySecretAB698378": "AWS::SecretsManager::Secret",
}
PINNED_IN = ((), EXISTING, ("layers=false", "retain_images=false"))


def test_bucket_is_private_encrypted_and_tls_only(template: Template) -> None:
    bucket = template.resource("AWS::S3::Bucket", PICTURES)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["BucketEncryption"]

    denials = [
        statement
        for statement in template.resource("AWS::S3::BucketPolicy", PICTURES)["PolicyDocument"][
            "Statement"
        ]
        if statement["Effect"] == "Deny"
    ]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [
        statement["Condition"] for statement in denials
    ]


def test_deletes_are_recoverable_for_thirty_days(template: Template) -> None:
    bucket = template.resource("AWS::S3::Bucket", PICTURES)
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}

    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert (rules["staging"]["Prefix"], rules["staging"]["ExpirationInDays"]) == ("staging/", 30)
    assert rules["staging"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {
        "DaysAfterInitiation": 1
    }
    assert rules["deleted-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


@pytest.mark.parametrize(
    "kind", ["AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool"]
)
def test_data_outlives_the_stack_by_default(template: Template, synth: Synth, kind: str) -> None:
    kept = {resource["DeletionPolicy"] for resource in template.of(kind).values()}
    # A protected resource cannot be deleted when a first deployment rolls back.
    assert kept == {"RetainExceptOnCreate" if kind == "AWS::S3::Bucket" else "Retain"}
    assert {resource["DeletionPolicy"] for resource in synth(*EVERYTHING).of(kind).values()} == {
        "Delete"
    }


def test_table_and_users_are_protected_by_default(template: Template, synth: Synth) -> None:
    for variant, table, users in (
        (template, True, "ACTIVE"),
        (synth(*EVERYTHING), False, "INACTIVE"),
    ):
        records = variant.resource("AWS::DynamoDB::Table")
        pool = variant.resource("AWS::Cognito::UserPool")
        assert records.get("DeletionProtectionEnabled", False) is table
        assert pool.get("DeletionProtection", "INACTIVE") == users


def test_kept_resources_are_found_by_their_tag(synth: Synth) -> None:
    template = synth(*EVERYTHING)
    tag = {"Key": "application", "Value": "easel"}
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"):
        for resource in template.of(kind).values():
            assert tag in resource["Properties"]["Tags"], kind
    pool = template.resource("AWS::Cognito::UserPool")
    assert pool["UserPoolTags"]["application"] == "easel"


def test_log_groups_of_services_have_vended_names(template: Template) -> None:
    """Any other name would add an entry to the account's log resource policy."""
    functions = {
        function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        for function in template.of("AWS::Lambda::Function").values()
        if "LoggingConfig" in function["Properties"]
    }
    groups = template.of("AWS::Logs::LogGroup")
    names = [groups[name]["Properties"]["LogGroupName"] for name in groups.keys() - functions]

    assert sorted(names) == [
        "/aws/vendedlogs/apigateway/Easel",
        "/aws/vendedlogs/states/Easel/BatchWorkflow",
        "/aws/vendedlogs/states/Easel/Workflow",
    ]


def test_table_is_on_demand_with_recovery_and_indexes(template: Template) -> None:
    table = template.resource("AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {
        "by_time",
        "by_folder",
        "by_topic",
        "by_folder_topic",
    }


def test_secret_has_no_value_in_the_template(template: Template) -> None:
    secret = template.resource("AWS::SecretsManager::Secret")
    assert "SecretString" not in secret
    assert "GenerateSecretString" not in secret
    for step in FUNCTIONS:
        assert "OPENAI_API_KEY" not in template.environment(step)


def test_every_log_group_expires(template: Template) -> None:
    assert {
        group["Properties"]["RetentionInDays"]
        for group in template.of("AWS::Logs::LogGroup").values()
    } == {90}


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_retries_match_the_error_classes(template: Template, machine: str) -> None:
    retryable = {error.__name__ for error in leaves(RetryableError)}
    final = {error.__name__ for error in leaves(FinalError)}
    for name, task in template.tasks(machine).items():
        retried = [error for rule in task["Retry"] for error in rule["ErrorEquals"]]
        expected = (retryable - {ClaimHeldError.__name__}) | {*SERVICE_ERRORS, THROTTLED}
        assert set(retried) - {ClaimHeldError.__name__} == expected, name
        assert not final & set(retried)
        assert "Runtime.OutOfMemory" in retried
        assert "States.ALL" not in retried
        assert "States.TaskFailed" not in retried


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
@pytest.mark.parametrize(
    ("state", "step"), [("Write the prompt", "prompt"), ("Make the image", "image")]
)
def test_held_claim_wait_outlasts_all_leases(
    template: Template, state: str, step: str, machine: str
) -> None:
    wait = next(
        rule
        for rule in template.tasks(machine)[state]["Retry"]
        if rule["ErrorEquals"] == [ClaimHeldError.__name__]
    )
    assert (wait["IntervalSeconds"], wait["BackoffRate"]) == (15, 1)
    # Each of the purchases can end with the death of its function.
    assert (
        wait["IntervalSeconds"] * wait["MaxAttempts"]
        > MAX_PURCHASES * template.function(step)["Timeout"]
    )


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_rate_limit_wait_is_long_enough(template: Template, machine: str) -> None:
    for name, task in template.tasks(machine).items():
        rule = next(
            rule for rule in task["Retry"] if rule["ErrorEquals"] == [RateLimitedError.__name__]
        )
        waits = [
            min(rule["MaxDelaySeconds"], rule["IntervalSeconds"] * rule["BackoffRate"] ** n)
            for n in range(rule["MaxAttempts"])
        ]
        assert sum(waits) / 2 > 120, name  # full jitter waits half of each on average


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_task_timeout_slightly_exceeds_function_timeout(template: Template, machine: str) -> None:
    functions = {
        name: function["Properties"]["Timeout"]
        for name, function in template.of("AWS::Lambda::Function").items()
    }
    for name, task in template.tasks(machine).items():
        assert task["TimeoutSeconds"] == functions[task["Arguments"]["FunctionName"]] + 10, name


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_only_single_image_errors_are_caught(template: Template, machine: str) -> None:
    caught = {
        name: [rule["ErrorEquals"] for rule in task.get("Catch", [])]
        for name, task in template.tasks(machine).items()
    }
    one_picture = [
        ["ContentRefusedError", "BadImageError", "OutcomeUnknownError", "ReferenceGoneError"]
    ]

    assert caught["Make the image"] == caught["Store the image"] == one_picture
    assert all(errors in ([], one_picture) for errors in caught.values())
    assert "Fail" not in {state["Type"] for state in template.machine(machine)["States"].values()}


def test_variations_are_limited(template: Template) -> None:
    assert template.machine()["States"]["For each variation"]["MaxConcurrency"] == 5
    lines = template.machine(BATCHES)["States"]["For each line"]
    assert lines["MaxConcurrency"] == "{% $states.input.max_parallel_images %}"
    assert lines["ItemProcessor"]["States"]["For each variation"]["MaxConcurrency"] == 1


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_machine_has_timeout_and_logs_no_data(template: Template, machine: str) -> None:
    logged = template.resource("AWS::StepFunctions::StateMachine", machine)["LoggingConfiguration"]
    assert logged["IncludeExecutionData"] is False
    assert template.machine(machine)["QueryLanguage"] == "JSONata"
    assert template.machine(machine)["TimeoutSeconds"] > 0


def test_api_reads_results_by_existing_state_name(template: Template) -> None:
    assert State.CHECK_MANIFEST in template.machine(BATCHES)["States"]


def test_batch_flow_drawing_names_every_state(template: Template) -> None:
    from infra.workflows import batch

    drawn = (batch.__doc__ or "").split("Input:")[0]
    # It may name another module that draws a part of it.
    drawn += "".join(
        str(ast.get_docstring(ast.parse((ROOT / file).read_text())))
        for file in re.findall(r"infra/[\w/]+\.py", drawn)
    )
    assert not [name for name in template.machine(BATCHES)["States"] if name not in drawn]


def test_workflow_drawing_names_every_state(template: Template) -> None:
    from infra.workflows import run

    states = template.machine()["States"]
    names = {*states, *states["For each variation"]["ItemProcessor"]["States"]}
    drawn = (run.__doc__ or "").split("Input:")[0]
    assert not [name for name in names if name not in drawn]


def test_schedule_exists_only_if_set(template: Template, synth: Synth) -> None:
    assert not [name for name in template.of("AWS::Events::Rule") if name.startswith("Schedule")]
    rule = synth(*EVERYTHING).resource("AWS::Events::Rule", "Schedule")
    assert rule["ScheduleExpression"] == "rate(1 day)"


def test_schedule_event_sets_the_run_id(synth: Synth) -> None:
    (target,) = synth(*EVERYTHING).resource("AWS::Events::Rule", "Schedule")["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"time": "$.time"}
    assert json.loads(target["InputTransformer"]["InputTemplate"]) == {
        "request_id": "schedule-<time>"
    }


def test_inbox_file_starts_batch_in_its_version(template: Template) -> None:
    rule = template.resource("AWS::Events::Rule", "BatchInbox")
    detail = rule["EventPattern"]["detail"]
    assert (template.text(detail["bucket"]["name"][0]), detail["object"]["key"]) == (
        "bucket",
        [{"wildcard": "batches/inbox/*.jsonl"}, {"wildcard": "batches/inbox/*.csv"}],
    )

    (target,) = rule["Targets"]
    assert template.text(target["Arn"]) == ":::::stateMachine:BatchWorkflow"
    assert sorted(target["InputTransformer"]["InputPathsMap"].values()) == [
        "$.detail.object.key",
        "$.detail.object.version-id",
    ]


@pytest.mark.parametrize("construct", ["Schedule", "BatchInbox"])
def test_undeliverable_event_waits_in_a_queue(synth: Synth, construct: str) -> None:
    template = synth(*EVERYTHING)
    (target,) = template.resource("AWS::Events::Rule", construct)["Targets"]
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0

    start = f"{construct}DeadLetters"
    (queue,) = (name for name in template.of("AWS::SQS::Queue") if name.startswith(start))
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": [queue, "Arn"]}


def test_local_template_differs_only_in_layers_and_bytecode(synth: Synth) -> None:
    def without_layers(body: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: resource
            for name, resource in body["Resources"].items()
            if resource["Type"] != "AWS::Lambda::LayerVersion"
        }
        for resource in kept.values():
            resource.get("Properties", {}).pop("Layers", None)
            if resource["Type"] == "AWS::Lambda::Function":
                resource["Properties"].pop("Code")
        return body | {"Resources": kept}

    def sources(template: Template, name: str) -> dict[Path, bytes]:
        asset = template.asset(name)
        files = (file for file in asset.rglob("*") if file.is_file() and file.suffix != ".pyc")
        return {file.relative_to(asset): file.read_bytes() for file in files}

    with_page, here = synth(*LOCAL_DEFAULTS), synth(*LOCAL_DEFAULTS, *LOCAL_SETTINGS)
    deployed, local = (json.loads(json.dumps(variant.body)) for variant in (with_page, here))

    assert len(with_page.of("AWS::Lambda::LayerVersion")) == len(layers.NAMES)
    assert without_layers(deployed) == without_layers(local)
    for step in FUNCTIONS:
        assert sources(with_page, step) == sources(here, step)


@pytest.mark.parametrize("settings", PINNED_IN, ids=["defaults", "adopting", "not-retained"])
def test_resources_with_data_keep_their_logical_ids(
    synth: Synth, settings: tuple[str, ...]
) -> None:
    resources = synth(*settings).body["Resources"]

    kinds = {name: resources[name]["Type"] for name in DATA_IDS if name in resources}

    # An adopted bucket is not a resource of the stack.
    adopted = {"ImagesBucket4B6DB8E1"} if "existing_bucket=true" in settings else set()
    assert kinds == {name: kind for name, kind in DATA_IDS.items() if name not in adopted}
