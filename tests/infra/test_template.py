"""Promises of the template: what is private, kept, bounded and allowed."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from easel.contract import settings
from easel.ledger.claims import MAX_PURCHASES
from easel.runs.executions import CHECK
from easel.contract.errors import ClaimHeldError, FinalError, RateLimitedError, RetryableError, leaves
from infra import ROOT
from infra.functions import layers
from infra.functions.function import FILES
from infra.workflows.run import SERVICE_ERRORS, THROTTLED
from local.deploy import LOCAL_DEFAULTS, LOCAL_SETTINGS, zipped
from tests.infra.conftest import BATCHES, FUNCTIONS, PICTURES, RUNS, Synth, Template, in_asset


def test_the_bucket_is_private_encrypted_and_speaks_tls_only(template: Template) -> None:
    bucket = template.one("AWS::S3::Bucket", PICTURES)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["BucketEncryption"]
    denials = [one for one in template.one("AWS::S3::BucketPolicy", PICTURES)["PolicyDocument"]["Statement"] if one["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in denials]


def test_what_was_deleted_can_be_had_back_for_thirty_days_and_staging_outlives_the_redrive_window(template: Template) -> None:
    bucket = template.one("AWS::S3::Bucket", PICTURES)
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
    more = {"api": settings.API_SETS, "events": settings.EVENTS_SETS}.get(step, ())
    assert set(function["Environment"]["Variables"]) == {*settings.STACK_SETS, *more}
    assert function["TracingConfig"] == {"Mode": "Active"}


def test_every_log_group_forgets(template: Template) -> None:
    assert {one["Properties"]["RetentionInDays"] for one in template.of("AWS::Logs::LogGroup").values()} == {90}


# Every right of every function, no more and no less: the local AWS grants all, so nothing else would notice a missing one.
EVERY_STEP = {
    ("logs:CreateLogStream", "logs"), ("logs:PutLogEvents", "logs"),
    ("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*"),
}  # fmt: skip
BUS = "arn:aws:events:ap-southeast-1:AWS::AccountId:event-bus/default"
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
    "batch": {
        ("s3:GetObject", "bucket/batches/*"), ("s3:PutObject", "bucket/batches/*"), ("s3:GetObjectVersion", "bucket/batches/*"),
        ("s3:GetObject", "bucket/staging/@*"), ("s3:PutObject", "bucket/staging/@*"), ("s3:ListBucket", "bucket"),
        ("dynamodb:GetItem", "table"), ("dynamodb:BatchGetItem", "table"), ("dynamodb:PutItem", "table"), ("dynamodb:UpdateItem", "table"),
    },
    "economy": {
        ("s3:GetObject", "bucket/staging/*"), ("s3:PutObject", "bucket/staging/*"), ("s3:ListBucket", "bucket"),
        ("secretsmanager:GetSecretValue", "secret"),
        ("dynamodb:GetItem", "table"), ("dynamodb:BatchGetItem", "table"), ("dynamodb:PutItem", "table"), ("dynamodb:UpdateItem", "table"),
        ("dynamodb:DeleteItem", "table"),
    },
    "events": {
        ("events:PutEvents", f'{BUS} if {{"StringEquals": {{"events:source": "easel"}}}}'), ("sqs:SendMessage", "queue"),
        ("dynamodb:DescribeStream", "table"), ("dynamodb:GetRecords", "table"), ("dynamodb:GetShardIterator", "table"),
        ("dynamodb:ListStreams", "table/stream/*"),
    },
    # No right to S3, to the secret, to delete: a picture is bought, stored and deleted by the steps of a run that it starts.
    "api": {
        ("states:StartExecution", ":::::stateMachine:Workflow"), ("states:ListExecutions", ":::::stateMachine:Workflow"),
        ("states:DescribeExecution", ":::::execution:Workflow:*"), ("states:GetExecutionHistory", ":::::execution:Workflow:*"),
        ("states:StopExecution", ":::::execution:Workflow:*"), ("states:RedriveExecution", ":::::execution:Workflow:*"),
        ("states:StartExecution", ":::::stateMachine:BatchWorkflow"), ("states:ListExecutions", ":::::stateMachine:BatchWorkflow"),
        ("states:DescribeExecution", ":::::execution:BatchWorkflow:*"), ("states:GetExecutionHistory", ":::::execution:BatchWorkflow:*"),
        ("states:DescribeExecution", ":::::execution:BatchWorkflow/*"), ("states:GetExecutionHistory", ":::::execution:BatchWorkflow/*"),
        ("states:ListMapRuns", ":::::execution:BatchWorkflow:*"), ("states:DescribeMapRun", ":::::mapRun:BatchWorkflow/*"),
        ("dynamodb:GetItem", "table"), ("dynamodb:BatchGetItem", "table"), ("dynamodb:Query", "table"),
        ("dynamodb:Query", "table/index/by_time"), ("dynamodb:Query", "table/index/by_folder"),
        ("dynamodb:Query", "table/index/by_topic"), ("dynamodb:Query", "table/index/by_folder_topic"),
        ("dynamodb:PutItem", "table where the key is budget*"), ("dynamodb:UpdateItem", "table where the key is budget*"),
        ("sts:AssumeRole", "Reader"), ("sts:AssumeRole", "Uploader"),
    },
}  # fmt: skip


@pytest.mark.parametrize("step", FUNCTIONS)
def test_each_function_may_do_exactly_what_it_does(template: Template, step: str) -> None:
    signers = {signer(template, name): name for name in SIGNERS}
    granted = {(action, signers.get(on, on)) for action, on in template.rights(template.role(step))}
    assert granted == EVERY_STEP | RIGHTS[step]


KEYLESS = ("layers=false", "openai_workload_identity=idp_1/sa_2")


@pytest.mark.parametrize("step", FUNCTIONS)
def test_with_a_workload_identity_there_is_no_secret_and_who_calls_openai_may_prove_who_it_is_to_openai_alone(
    synth: Synth, step: str
) -> None:
    keyless = synth(*KEYLESS)
    condition = {
        "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": "https://api.openai.com/v1"},
        "NumericLessThanEquals": {"sts:DurationSeconds": 300},
    }
    proves = ("sts:GetWebIdentityToken", f"* if {json.dumps(condition)}")
    with_key = {right for right in RIGHTS[step] if right[0] == "secretsmanager:GetSecretValue"}
    signers = {signer(keyless, name): name for name in SIGNERS}
    granted = {(action, signers.get(on, on)) for action, on in keyless.rights(keyless.role(step))}
    assert granted == (EVERY_STEP | RIGHTS[step]) - with_key | ({proves} if with_key else set())
    assert not keyless.of("AWS::SecretsManager::Secret")
    assert "secretsmanager" not in json.dumps(keyless.body)
    variables = keyless.function(step)["Environment"]["Variables"]
    assert variables[settings.WORKLOAD_IDENTITY] == "idp_1/sa_2"
    assert settings.SECRET not in variables
    assert "OpenAIKeySecret" not in keyless.body["Outputs"]


# Whoever signs links: the reader for finished pictures, the uploader for manifests, of which none starts a batch by itself.
SIGNERS = {
    "Reader": {("s3:GetObject", "bucket/*"), ("not s3:GetObject", "bucket/staging/*"), ("not s3:GetObject", "bucket/batches/*")},
    "Uploader": {
        ("s3:PutObject", "bucket/batches/*.jsonl"), ("s3:PutObject", "bucket/batches/*.csv"), ("not s3:PutObject", "bucket/batches/*/*"),
    },
}  # fmt: skip


def signer(template: Template, construct: str) -> str:
    (name,) = (name for name in template.of("AWS::IAM::Role") if name.startswith(construct))
    return name


@pytest.mark.parametrize("construct", SIGNERS)
def test_only_the_api_may_become_one_who_signs_links_and_that_one_may_do_nothing_else(template: Template, construct: str) -> None:
    name = signer(template, construct)
    role = template.of("AWS::IAM::Role")[name]["Properties"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"AWS": {"Fn::GetAtt": [template.role("api"), "Arn"]}}
    assert role["MaxSessionDuration"] == 3600
    assert template.rights(name) == SIGNERS[construct]


def test_the_machine_of_batches_reads_and_writes_only_what_a_batch_works_on(template: Template) -> None:
    role = template.one("AWS::StepFunctions::StateMachine", BATCHES)["RoleArn"]["Fn::GetAtt"][0]
    denied = {right for right in template.rights(role) if right[0].startswith("not ")}
    assert denied == {("not s3:GetObject", "all but bucket/staging/@*"), ("not s3:PutObject", "all but bucket/staging/@*")}


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_retries_are_made_from_the_classes_and_never_catch_all(template: Template, machine: str) -> None:
    retryable = {error.__name__ for error in leaves(RetryableError)}
    final = {error.__name__ for error in leaves(FinalError)}
    for name, task in template.tasks(machine).items():
        retried = [error for rule in task["Retry"] for error in rule["ErrorEquals"]]
        expected = (retryable - {ClaimHeldError.__name__}) | {*SERVICE_ERRORS, THROTTLED}
        assert set(retried) - {ClaimHeldError.__name__} == expected, name
        assert not final & set(retried)
        assert "States.ALL" not in retried
        assert "States.TaskFailed" not in retried


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
@pytest.mark.parametrize(("state", "step"), [("Write the prompt", "prompt"), ("Make the image", "image")])
def test_a_held_claim_is_waited_for_longer_than_all_leases_that_one_state_can_meet(
    template: Template, state: str, step: str, machine: str
) -> None:
    wait = next(rule for rule in template.tasks(machine)[state]["Retry"] if rule["ErrorEquals"] == [ClaimHeldError.__name__])
    assert (wait["IntervalSeconds"], wait["BackoffRate"]) == (15, 1)
    # Each of the purchases can end with the death of its function.
    assert wait["IntervalSeconds"] * wait["MaxAttempts"] > MAX_PURCHASES * template.function(step)["Timeout"]


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_a_rate_limit_is_waited_for_longer_than_openai_ever_asks(template: Template, machine: str) -> None:
    for name, task in template.tasks(machine).items():
        rule = next(rule for rule in task["Retry"] if rule["ErrorEquals"] == [RateLimitedError.__name__])
        waits = [min(rule["MaxDelaySeconds"], rule["IntervalSeconds"] * rule["BackoffRate"] ** n) for n in range(rule["MaxAttempts"])]
        assert sum(waits) / 2 > 120, name  # full jitter takes half of each on average


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_every_task_gives_up_shortly_after_its_function_would(template: Template, machine: str) -> None:
    functions = {name: one["Properties"]["Timeout"] for name, one in template.of("AWS::Lambda::Function").items()}
    for name, task in template.tasks(machine).items():
        assert task["TimeoutSeconds"] == functions[task["Arguments"]["FunctionName"]] + 10, name


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_only_what_ends_one_picture_is_caught_so_that_a_failure_stays_red_and_can_be_redriven(template: Template, machine: str) -> None:
    caught = {name: [rule["ErrorEquals"] for rule in task.get("Catch", [])] for name, task in template.tasks(machine).items()}
    one_picture = [["ContentRefusedError", "BadImageError", "OutcomeUnknownError"]]
    assert caught["Make the image"] == caught["Store the image"] == one_picture
    assert all(errors in ([], one_picture) for errors in caught.values())
    assert "Fail" not in {state["Type"] for state in template.machine(machine)["States"].values()}


def test_variations_are_bounded(template: Template) -> None:
    assert template.machine()["States"]["For each variation"]["MaxConcurrency"] == 5
    lines = template.machine(BATCHES)["States"]["For each line"]
    assert lines["MaxConcurrency"] == "{% $states.input.max_parallel_images %}"
    assert lines["ItemProcessor"]["States"]["For each variation"]["MaxConcurrency"] == 1


@pytest.mark.parametrize("machine", [RUNS, BATCHES])
def test_a_machine_ends_some_time_and_its_logs_hold_no_data(template: Template, machine: str) -> None:
    logged = template.one("AWS::StepFunctions::StateMachine", machine)["LoggingConfiguration"]
    assert logged["IncludeExecutionData"] is False
    assert template.machine(machine)["QueryLanguage"] == "JSONata"
    assert template.machine(machine)["TimeoutSeconds"] > 0


def test_the_api_reads_what_a_manifest_s_check_found_by_a_state_that_there_is(template: Template) -> None:
    assert CHECK in template.machine(BATCHES)["States"]


def test_the_flow_drawn_at_the_top_of_the_batches_names_every_state_of_their_own(template: Template) -> None:
    from infra.workflows import batch

    drawn = (batch.__doc__ or "").split("Input:")[0]
    # It may say in which other module a part of it is drawn.
    drawn += "".join(str(ast.get_docstring(ast.parse((ROOT / file).read_text()))) for file in re.findall(r"infra/\w+\.py", drawn))
    assert not [name for name in template.machine(BATCHES)["States"] if name not in drawn]


def test_the_flow_drawn_at_the_top_of_the_workflow_names_every_state(template: Template) -> None:
    from infra.workflows import run

    states = template.machine()["States"]
    names = {*states, *states["For each variation"]["ItemProcessor"]["States"]}
    drawn = (run.__doc__ or "").split("Input:")[0]
    assert not [name for name in names if name not in drawn]


def test_no_schedule_unless_one_is_set(template: Template, synth: Synth) -> None:
    assert not [name for name in template.of("AWS::Events::Rule") if name.startswith("Schedule")]
    assert synth("layers=false", "schedule=rate(1 day)").one("AWS::Events::Rule", "Schedule")["ScheduleExpression"] == "rate(1 day)"


def test_the_schedule_s_event_gives_the_run_its_id(synth: Synth) -> None:
    (target,) = synth("layers=false", "schedule=rate(1 day)").one("AWS::Events::Rule", "Schedule")["Targets"]
    assert target["InputTransformer"]["InputPathsMap"] == {"id": "$.id"}
    assert json.loads(target["InputTransformer"]["InputTemplate"]) == {"request_id": "schedule-<id>"}


def test_what_comes_into_the_inbox_starts_its_batch_in_the_version_that_came(template: Template) -> None:
    rule = template.one("AWS::Events::Rule", "BatchInbox")
    detail = rule["EventPattern"]["detail"]
    assert (template.text(detail["bucket"]["name"][0]), detail["object"]["key"]) == ("bucket", [{"prefix": "batches/inbox/"}])
    (target,) = rule["Targets"]
    assert template.text(target["Arn"]) == ":::::stateMachine:BatchWorkflow"
    assert sorted(target["InputTransformer"]["InputPathsMap"].values()) == ["$.detail.object.key", "$.detail.object.version-id"]


@pytest.mark.parametrize("construct", ["Schedule", "BatchInbox"])
def test_an_event_waits_in_a_queue_where_it_can_t_be_delivered(synth: Synth, construct: str) -> None:
    made = synth("layers=false", "schedule=rate(1 day)")
    (target,) = made.one("AWS::Events::Rule", construct)["Targets"]
    assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    (queue,) = (name for name in made.of("AWS::SQS::Queue") if name.startswith(construct))
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
    assert len(zipped(asset)) <= (300_000 if step == "api" else 60_000)
    assert {f"functions/{file}" for file in FILES[step] if "*" not in file} <= {str(file) for file in held}


@pytest.mark.parametrize("step", ["upload", "cleanup", "batch", "api"])
def test_upload_cleanup_batches_and_the_api_never_load_openai(template: Template, step: str) -> None:
    done = in_asset(template.asset(step), f"import functions.{step}.handler; print('openai' in sys.modules)")
    assert done.stdout.strip() == "False"


def test_each_function_has_the_memory_that_was_measured_for_it(template: Template) -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \|", (ROOT / "docs" / "decisions" / "0023-sizes.md").read_text(), flags=re.MULTILINE)
    assert {step: int(size) for step, size in rows} == {step: template.function(step)["MemorySize"] for step in FUNCTIONS}


def test_no_function_has_more_layers_than_lambda_takes(template: Template) -> None:
    assert max(len(template.function(step)["Layers"]) for step in FUNCTIONS) <= 5
