"""Promises of the template: what is private, kept, bounded and allowed."""

import json
from pathlib import Path
from typing import Any

import pytest

from functions import settings
from functions.adapters.claims import MAX_PURCHASES
from functions.errors import ClaimHeldError, FinalError, RateLimitedError, RetryableError, leaves
from infra import layers
from infra.function import FILES
from infra.workflow import SERVICE_ERRORS
from local.deploy import LOCAL_DEFAULTS, LOCAL_SETTINGS, zipped
from tests.infra.conftest import FUNCTIONS, Synth, Template, in_asset


def test_the_bucket_is_private_encrypted_and_speaks_tls_only(template: Template) -> None:
    bucket = template.one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["BucketEncryption"]
    denials = [one for one in template.one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"] if one["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in denials]


def test_what_was_deleted_can_be_had_back_for_thirty_days_and_staging_outlives_the_redrive_window(template: Template) -> None:
    bucket = template.one("AWS::S3::Bucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert (rules["staging"]["Prefix"], rules["staging"]["ExpirationInDays"]) == ("staging/", 30)
    assert rules["staging"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["deleted-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


@pytest.mark.parametrize("kind", ["AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Cognito::UserPool"])
def test_pictures_records_and_users_outlive_the_stack_unless_told_otherwise(template: Template, synth: Synth, kind: str) -> None:
    assert {one["DeletionPolicy"] for one in template.of(kind).values()} == {"RetainExceptOnCreate"}
    assert {one["DeletionPolicy"] for one in synth("layers=false", "retain_images=false").of(kind).values()} == {"Delete"}


def test_the_table_is_on_demand_with_recovery_and_the_gallery_s_orders(template: Template) -> None:
    table = template.one("AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"by_time", "by_folder", "by_topic", "by_folder_topic"}


def test_the_secret_has_no_value_and_no_function_carries_one(template: Template) -> None:
    secret = template.one("AWS::SecretsManager::Secret")
    assert "SecretString" not in secret
    assert "GenerateSecretString" not in secret
    for step in FUNCTIONS:
        assert "OPENAI_API_KEY" not in template.function(step)["Environment"]["Variables"]


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_has_its_own_role_and_log_group_and_the_settings_that_it_reads(template: Template, step: str) -> None:
    function = template.function(step)
    others = [template.function(other) for other in FUNCTIONS if other != step]
    assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
    assert function["Role"] not in [other["Role"] for other in others]
    assert function["LoggingConfig"] not in [other["LoggingConfig"] for other in others]
    told = (*settings.STACK_SETS, *settings.API_SETS) if step == "api" else settings.STACK_SETS
    assert set(function["Environment"]["Variables"]) == set(told)
    assert function["TracingConfig"] == {"Mode": "Active"}


def test_every_log_group_forgets(template: Template) -> None:
    assert {one["Properties"]["RetentionInDays"] for one in template.of("AWS::Logs::LogGroup").values()} == {90}


# Every right of every function, no more and no less: the local AWS grants all, so nothing else would notice a missing one.
EVERY_STEP = {
    ("logs:CreateLogStream", "logs"), ("logs:PutLogEvents", "logs"),
    ("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*"),
}  # fmt: skip
RIGHTS = {
    "prompt": {
        ("s3:PutObject", "bucket/*/"), ("secretsmanager:GetSecretValue", "secret"),
        ("dynamodb:GetItem", "table"), ("dynamodb:PutItem", "table"), ("dynamodb:UpdateItem", "table"), ("dynamodb:DeleteItem", "table"),
    },
    "image": {
        ("s3:PutObject", "bucket/staging/*"), ("s3:GetObject", "bucket/staging/*"), ("s3:ListBucket", "bucket"),
        ("secretsmanager:GetSecretValue", "secret"),
        ("dynamodb:GetItem", "table"), ("dynamodb:PutItem", "table"), ("dynamodb:UpdateItem", "table"), ("dynamodb:DeleteItem", "table"),
        ("dynamodb:Query", "table"),
    },
    "upload": {
        ("s3:PutObject", "bucket/*"), ("s3:GetObject", "bucket/*"), ("s3:ListBucket", "bucket"),
        ("dynamodb:GetItem", "table"), ("dynamodb:PutItem", "table"), ("dynamodb:UpdateItem", "table"), ("dynamodb:Query", "table"),
    },
    "cleanup": {
        ("s3:GetObject", "bucket/*"), ("s3:DeleteObject", "bucket/*"), ("s3:ListBucket", "bucket"),
        ("s3:GetObjectVersion", "bucket/*"), ("s3:DeleteObjectVersion", "bucket/*"), ("s3:ListBucketVersions", "bucket"),
        ("dynamodb:GetItem", "table"), ("dynamodb:UpdateItem", "table"), ("dynamodb:Query", "table"),
    },
    # No right to S3, to the secret, to delete: a picture is bought, stored and deleted by the steps of a run that it starts.
    "api": {
        ("states:StartExecution", ":stateMachine:machine"), ("states:ListExecutions", ":stateMachine:machine"),
        ("states:DescribeExecution", ":execution:machine:*"), ("states:GetExecutionHistory", ":execution:machine:*"),
        ("states:StopExecution", ":execution:machine:*"), ("states:RedriveExecution", ":execution:machine:*"),
        ("dynamodb:GetItem", "table"), ("dynamodb:BatchGetItem", "table"), ("dynamodb:Query", "table"),
        ("dynamodb:Query", "table/index/by_time"), ("dynamodb:Query", "table/index/by_folder"),
        ("dynamodb:Query", "table/index/by_topic"), ("dynamodb:Query", "table/index/by_folder_topic"),
        ("dynamodb:PutItem", "table where the key is budget*"), ("dynamodb:UpdateItem", "table where the key is budget*"),
        ("sts:AssumeRole", "reader"),
    },
}  # fmt: skip


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_may_do_exactly_what_it_does(template: Template, step: str) -> None:
    (reader,) = (name for name in template.of("AWS::IAM::Role") if name.startswith("Reader"))
    granted = {(action, "reader" if on == reader else on) for action, on in template.rights(template.role(step))}
    assert granted == EVERY_STEP | RIGHTS[step]


def test_only_the_api_may_become_the_reader_which_reads_finished_pictures_and_nothing_else(template: Template) -> None:
    (name,) = (name for name in template.of("AWS::IAM::Role") if name.startswith("Reader"))
    role = template.of("AWS::IAM::Role")[name]["Properties"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"AWS": {"Fn::GetAtt": [template.role("api"), "Arn"]}}
    assert role["MaxSessionDuration"] == 3600
    unfinished = {("not s3:GetObject", "bucket/staging/*"), ("not s3:GetObject", "bucket/batches/*")}
    assert template.rights(name) == {("s3:GetObject", "bucket/*"), *unfinished}


def test_retries_are_made_from_the_classes_and_never_catch_all(template: Template) -> None:
    retryable = {error.__name__ for error in leaves(RetryableError)}
    final = {error.__name__ for error in leaves(FinalError)}
    for name, task in template.tasks().items():
        retried = [error for rule in task["Retry"] for error in rule["ErrorEquals"]]
        expected = (retryable - {ClaimHeldError.__name__}) | set(SERVICE_ERRORS)
        assert set(retried) - {ClaimHeldError.__name__} == expected, name
        assert not final & set(retried)
        assert "States.ALL" not in retried
        assert "States.TaskFailed" not in retried


@pytest.mark.parametrize(("state", "step"), [("Write the prompt", "prompt"), ("Make the image", "image")])
def test_a_held_claim_is_waited_for_longer_than_all_leases_that_one_state_can_meet(template: Template, state: str, step: str) -> None:
    wait = next(rule for rule in template.tasks()[state]["Retry"] if rule["ErrorEquals"] == [ClaimHeldError.__name__])
    assert (wait["IntervalSeconds"], wait["BackoffRate"]) == (15, 1)
    # Each of the purchases can end with the death of its function.
    assert wait["IntervalSeconds"] * wait["MaxAttempts"] > MAX_PURCHASES * template.function(step)["Timeout"]


def test_a_rate_limit_is_waited_for_longer_than_openai_ever_asks(template: Template) -> None:
    for name, task in template.tasks().items():
        rule = next(rule for rule in task["Retry"] if rule["ErrorEquals"] == [RateLimitedError.__name__])
        waits = [min(rule["MaxDelaySeconds"], rule["IntervalSeconds"] * rule["BackoffRate"] ** n) for n in range(rule["MaxAttempts"])]
        assert sum(waits) / 2 > 120, name  # full jitter takes half of each on average


def test_every_task_gives_up_shortly_after_its_function_would(template: Template) -> None:
    functions = {name: template.function(step)["Timeout"] for name, step in STATES.items()}
    assert {name: task["TimeoutSeconds"] for name, task in template.tasks().items()} == {
        name: timeout + 10 for name, timeout in functions.items()
    }


STATES = {
    "Write the prompt": "prompt",
    "Make the image": "image",
    "Store the image": "upload",
    "Clean up and report": "cleanup",
    "Delete or restore": "cleanup",
}


def test_only_what_ends_one_picture_is_caught_so_that_a_failure_stays_red_and_can_be_redriven(template: Template) -> None:
    caught = {name: [rule["ErrorEquals"] for rule in task.get("Catch", [])] for name, task in template.tasks().items()}
    one_picture = [["ContentRefusedError", "BadImageError", "OutcomeUnknownError"]]
    assert {name: errors for name, errors in caught.items() if errors} == {"Make the image": one_picture, "Store the image": one_picture}
    assert "Fail" not in {state["Type"] for state in template.machine()["States"].values()}


def test_variations_are_bounded_and_logs_hold_no_data(template: Template) -> None:
    assert template.machine()["States"]["For each variation"]["MaxConcurrency"] == 5
    machine = template.one("AWS::StepFunctions::StateMachine")
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert template.machine()["QueryLanguage"] == "JSONata"
    assert template.machine()["TimeoutSeconds"] > 0


def test_the_flow_drawn_at_the_top_of_the_workflow_names_every_state(template: Template) -> None:
    from infra import workflow

    states = template.machine()["States"]
    names = {*states, *states["For each variation"]["ItemProcessor"]["States"]}
    drawn = (workflow.__doc__ or "").split("Input:")[0]
    assert not [name for name in names if name not in drawn]


def test_no_schedule_unless_one_is_set(template: Template, synth: Synth) -> None:
    assert not template.of("AWS::Events::Rule")
    assert synth("layers=false", "schedule=rate(1 day)").one("AWS::Events::Rule")["ScheduleExpression"] == "rate(1 day)"


def test_the_schedule_s_event_gives_the_run_its_id_and_waits_in_a_queue_where_it_can_t_be_delivered(synth: Synth) -> None:
    scheduled = synth("layers=false", "schedule=rate(1 day)")
    (target,) = scheduled.one("AWS::Events::Rule")["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"id": "$.id"}
    assert json.loads(target["InputTransformer"]["InputTemplate"].replace("<id>", '"<id>"').replace('""', '"')) == {"request_id": "<id>"}
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    queue = next(iter(scheduled.of("AWS::SQS::Queue")))
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": [queue, "Arn"]}


def test_the_local_template_is_the_deployed_one_with_the_page_but_for_the_layers(synth: Synth) -> None:
    def without_layers(body: dict[str, Any]) -> dict[str, Any]:
        kept = {name: one for name, one in body["Resources"].items() if one["Type"] != "AWS::Lambda::LayerVersion"}
        for one in kept.values():
            one.get("Properties", {}).pop("Layers", None)
        return body | {"Resources": kept}

    with_page = synth("public_page=true")
    deployed, local = (json.loads(json.dumps(one.body)) for one in (with_page, synth(*LOCAL_DEFAULTS, *LOCAL_SETTINGS)))
    assert len(with_page.of("AWS::Lambda::LayerVersion")) == len(layers.NAMES)
    assert without_layers(deployed) == local


@pytest.mark.parametrize("step", FUNCTIONS)
def test_an_asset_holds_what_its_handler_imports_and_nothing_else(template: Template, step: str) -> None:
    asset = template.asset(step)
    # What the environment's libraries load has no part in it: only modules of ours are looked at.
    ours = "(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'functions')"
    done = in_asset(asset, f"import functions.{step}.handler; print(*{ours})")
    loaded = {Path(file).relative_to(asset) for file in done.stdout.split()}
    held = {file.relative_to(asset) for file in asset.rglob("*") if file.is_file()}
    code = {file for file in held if not file.is_relative_to("functions/api/web")}  # the page's files are data
    assert code - loaded <= {Path("functions/models.toml")}
    assert len(zipped(asset)) < (500_000 if step == "api" else 60_000)
    assert {f"functions/{file}" for file in FILES[step] if "*" not in file} <= {str(file) for file in held}


@pytest.mark.parametrize("step", ["upload", "cleanup", "api"])
def test_upload_cleanup_and_the_api_never_load_openai(template: Template, step: str) -> None:
    done = in_asset(template.asset(step), f"import functions.{step}.handler; print('openai' in sys.modules)")
    assert done.stdout.strip() == "False"
