"""What each function may do: exact actions on exact prefixes. Only cleanup may delete."""

from typing import Any

from aws_cdk import Fn
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn

from infra.nag import acknowledge_wildcard
from infra.workflows.batch import WORK
from infra.functions.function import StepFunction
from infra.data.openai_key import OpenAIIdentity, OpenAIKey
from infra.data.records import INDEXES
from infra.workflows.run import BatchSteps, Steps

STAGED = "What is staged stands under the run's id, which comes as the run starts"
EXECUTIONS = "Executions of this one machine, whose names come as they start"
Account = OpenAIKey | OpenAIIdentity


def of_steps(steps: Steps, *, bucket: s3.IBucket, table: dynamodb.ITable, account: Account) -> None:
    """The steps of a run."""
    objects = bucket.arn_for_objects
    transact = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    for step in (steps.prompt, steps.image):
        account.grant(step.role)
    # A key that ends in a slash is a folder marker.
    allow(
        steps.prompt,
        ["s3:PutObject"],
        objects("*/"),
        because="Requests name the folders; it puts only their markers, which end in a slash",
    )
    allow(steps.prompt, transact, table.table_arn)
    allow(steps.image, ["s3:PutObject", "s3:GetObject"], objects("staging/*"), because=STAGED)
    allow(steps.image, [*transact, "dynamodb:Query"], table.table_arn)
    allow(steps.upload, ["s3:PutObject", "s3:GetObject"], objects("*"), because="Requests name the folder of a finished picture")
    allow(steps.upload, ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"], table.table_arn)
    swept = ["s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    allow(steps.cleanup, swept, objects("*"), because="Requests name the picture or the folder to delete; the only role that deletes")
    allow(steps.cleanup, ["s3:ListBucketVersions"], bucket.bucket_arn)
    allow(steps.cleanup, ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"], table.table_arn)
    # Without the right to list, S3 answers 403 and not 404 for an object that is not there.
    for step in (steps.image, steps.upload, steps.cleanup):
        allow(step, ["s3:ListBucket"], bucket.bucket_arn)


def of_batch_steps(of_batches: BatchSteps, *, bucket: s3.IBucket, table: dynamodb.ITable, account: Account) -> None:
    """Batch reads manifests and writes what becomes of them; economy buys, so it may what the image step may."""
    objects = bucket.arn_for_objects
    batch, economy = of_batches.batch, of_batches.economy
    account.grant(economy.role)
    allow(economy, ["s3:PutObject", "s3:GetObject"], objects("staging/*"), because=STAGED)
    allow(economy, ["s3:ListBucket"], bucket.bucket_arn)
    change = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    allow(economy, ["dynamodb:GetItem", "dynamodb:BatchGetItem", *change], table.table_arn)
    for prefix in ("batches/*", WORK):
        allow(batch, ["s3:GetObject", "s3:PutObject"], objects(prefix), because="A batch's own files, below its name")
    allow(batch, ["s3:GetObjectVersion"], objects("batches/*"))
    allow(batch, ["s3:ListBucket"], bucket.bucket_arn)
    allow(batch, ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], table.table_arn)


def of_api(api: StepFunction, *, runs: sfn.IStateMachine, batches: sfn.IStateMachine, table: dynamodb.ITable) -> None:
    """It reads the table and handles executions: what is paid for, written or deleted is done by the steps that those start."""
    _of_api_batches(api, batches.state_machine_arn)
    machine = runs.state_machine_arn
    allow(api, ["states:StartExecution", "states:ListExecutions"], machine)
    handled = ["DescribeExecution", "GetExecutionHistory", "StopExecution", "RedriveExecution"]
    executions = f"{Fn.join(':execution:', Fn.split(':stateMachine:', machine, 2))}:*"
    allow(api, [f"states:{action}" for action in handled], executions, because=EXECUTIONS)
    allow(api, ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], table.table_arn)
    for index in INDEXES:
        allow(api, ["dynamodb:Query"], f"{table.table_arn}/index/{index}")
    # A month's first reader writes its budget, and nothing else.
    budget = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["budget*"]}}
    allow(api, ["dynamodb:PutItem", "dynamodb:UpdateItem"], table.table_arn, conditions=budget)


def _of_api_batches(api: StepFunction, machine: str) -> None:
    """It starts batches, and looks at them and their lines."""
    allow(api, ["states:StartExecution", "states:ListExecutions"], machine)
    looked = ["states:DescribeExecution", "states:GetExecutionHistory", "states:ListMapRuns"]
    allow(api, looked, f"{Fn.join(':execution:', Fn.split(':stateMachine:', machine, 2))}:*", because=EXECUTIONS)
    # A line's execution has the label of its Map in its ARN.
    lines = f"{Fn.join(':execution:', Fn.split(':stateMachine:', machine, 2))}/*"
    allow(api, ["states:DescribeExecution", "states:GetExecutionHistory"], lines, because=EXECUTIONS)
    # A Map Run's ARN goes on with the label of its Map.
    map_runs = f"{Fn.join(':mapRun:', Fn.split(':stateMachine:', machine, 2))}/*"
    allow(api, ["states:DescribeMapRun"], map_runs, because=EXECUTIONS)


def allow(
    step: StepFunction, actions: list[str], resource: str, *, conditions: dict[str, Any] | None = None, because: str | None = None
) -> None:
    """Grant it; `because` says why the resource has an asterisk."""
    if because:
        acknowledge_wildcard(step.role, resource, because)
    step.role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions))
