"""The machine of batches.

 Check the manifest ─► Anything to make?
   ├─► For each line ───────────────────────────────► Report the batch
   │    └ Write the prompt ─► … as in a single run ─► Clean up and report
   ├─► Write each prompt … in economy: infra/workflows/economy.py … ─► Report the batch
   ├─► Report the batch
   └─► Only checked

Input: a start of a batch (easel/request/batch_request.py). Output: a BatchReport, or a dry run's
BatchPlan (easel/contract/batch_messages.py).

Each line is a separate child execution with the steps of a single run. The report lists lines that
failed. If more lines fail than are tolerated, Step Functions stops the others, and the report fails
the execution. Another start of the same batch continues it.

Transitions: for each line as for a single run, but without Which action?. In addition: Check the
manifest, Anything to make?, For each line, Report the batch.
"""

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract.states import State
from infra.access.grants import Grant, Resource
from infra.functions.catalogue import BATCH, BATCH_WORK, ECONOMY
from infra.functions.function import Functions
from infra.nag import acknowledge_wildcard
from infra.workflows.each_line import START_OF_LINE, BatchEnd, EachLine, Lines
from infra.workflows.economy import Economy
from infra.workflows.machine import LINE, Call, Definition, make_machine, task
from infra.workflows.run import START, STEPS, run_chain

BATCH_TIMEOUT = Duration.days(14)
# The constructs of the Maps grant these on the whole bucket, because the keys are known only at run
# time.
FILES = Grant(("s3:GetObject", "s3:PutObject"), Resource.BUCKET, BATCH_WORK)
# They grant these as well, for results in several parts.
PARTS = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


class BatchWorkflow(Construct):
    """A Distributed Map over the lines of a manifest. Each line is a run."""

    def __init__(
        self, scope: Construct, construct_id: str, *, functions: Functions, bucket: s3.IBucket
    ) -> None:
        super().__init__(scope, construct_id)
        check_call = Call(
            function=functions[BATCH],
            comment="Checks and prices every line before anything is paid",
            payload=START,
        )
        report_call = Call(
            function=functions[BATCH],
            comment="Writes report.json and failed.jsonl; its output is the report",
        )
        check = task(self, State.CHECK_MANIFEST, check_call)
        report = task(self, State.REPORT_BATCH, report_call)
        end = BatchEnd(bucket, report)
        each_line = Lines(
            comment="A child execution each: a run with the line's number in its id",
            file="{% $states.input.todo_key %}",
            selector=START_OF_LINE,
        )
        lines = EachLine(self, State.EACH_LINE, each_line, end)
        # The number of lines limits how many images are made concurrently, so each line makes its
        # images one by one.
        lines.item_processor(run_chain(self, functions, payload=LINE, at_once=1))
        economy = Economy(self, "Economy", functions=functions, end=end)
        comment = "Skipped in a dry run, and if every line is finished"
        choice = (
            sfn.Choice.jsonata(self, State.ANYTHING_TO_MAKE, comment=comment)
            .when(
                sfn.Condition.jsonata("{% $states.input.dry_run %}"),
                sfn.Succeed.jsonata(self, State.ONLY_CHECKED),
            )
            .when(sfn.Condition.jsonata("{% $states.input.todo = 0 %}"), report)
            .when(sfn.Condition.jsonata("{% $states.input.economy %}"), economy.start)
            .otherwise(lines.next(report))
        )
        calls = [functions[spec] for spec in (*STEPS, BATCH, ECONOMY) if spec in functions]
        definition = Definition(
            comment="Easel: a batch, each line a run",
            chain=check.next(choice),
            timeout=BATCH_TIMEOUT,
            calls=calls,
        )
        encryption = functions.deployment.encryption
        self.state_machine = make_machine(self, definition, encryption)
        encryption.allow(self.state_machine.role, [FILES])
        self._restrict(bucket)

    def _restrict(self, bucket: s3.IBucket) -> None:
        """Deny the Distributed Map everything outside the work folder.

        Its construct grants access to the whole bucket.
        """
        role = self.state_machine.role
        everywhere = f"arn:{Aws.PARTITION}:s3:::{bucket.bucket_name}/*"
        reason = "The role's next statement denies everything except a batch's own files"
        acknowledge_wildcard(role, everywhere, reason)
        stack = Stack.of(self)
        arn = self.state_machine.state_machine_arn
        name = stack.split_arn(arn, ArnFormat.COLON_RESOURCE_NAME).resource_name
        for suffix in (":*", "/*:*"):
            executions = stack.format_arn(
                service="states",
                resource="execution",
                resource_name=f"{name}{suffix}",
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            )
            reason = (
                "This state machine's own executions, whose names are known only when they start"
            )
            acknowledge_wildcard(self.state_machine, executions, reason)
        self.state_machine.add_to_role_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=[*FILES.actions, *PARTS],
                not_resources=[f"{bucket.bucket_arn}{BATCH_WORK}"],
            )
        )
