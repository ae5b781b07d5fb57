"""The machine of batches.

 Check the manifest ─► Anything to make? ─┬─► For each line ───────────────────────────────► Report the batch
                                          │    └ Write the prompt ─► … as in a single run ─► Clean up and report
                                          ├─► Write each prompt … in economy: infra/economy.py … ─► Report the batch
                                          ├─► Report the batch
                                          └─► Only checked

Input: a start of a batch (functions/batch/asked.py). Output: a BatchReport, of a dry run the Batch (functions/contract.py).
Each line is a child execution of its own, with a single run's own steps. Its failure is in the report; where more fail than are
tolerated, Step Functions stops the rest, and the report makes the execution red. Starting the same batch again goes on with it.

Transitions: for a line those of a single run but Which action?; besides, Check the manifest, Anything to make?, For each line, Report
the batch.
"""

from typing import Any

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.nag import acknowledge_wildcard
from infra.workflows.economy import Economy
from infra.data.encryption import CustomerKey
from infra.workflows.each_line import EachLine
from infra.workflows.run import LINE, START, BatchSteps, Steps, machine, run_chain, task

BATCH_TIMEOUT = Duration.days(14)
# What one start works on, and its results: no run's own staging begins so.
WORK = "staging/@*"


class BatchWorkflow(Construct):
    """A Distributed Map over the lines of a manifest, each a run."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        steps: Steps,
        batch: BatchSteps,
        bucket: s3.IBucket,
        customer_key: CustomerKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        comment = "Checks and prices every line before anything is paid"
        check = task(self, "Check the manifest", batch.batch, comment=comment, payload=START)
        report = task(self, "Report the batch", batch.batch, comment="Writes report.json and failed.jsonl; its output is the report")
        selector: dict[str, Any] = {
            "request": "{% $states.context.Map.Item.Value.request %}",
            "execution_name": "{% $states.context.Map.Item.Value.run_id %}",
            "started": "{% $states.context.Execution.StartTime %}",
        }
        # The lines bound how many pictures are made at once, so a line makes its own one after the other.
        lines = EachLine(
            self,
            "For each line",
            comment="A child execution each: a run with the line's number in its id",
            bucket=bucket,
            items="{% $states.input.todo_key %}",
            selector=selector,
            each=run_chain(self, steps, payload=LINE, at_once=1),
            too_many=report,
        )
        economy = Economy(self, "Economy", steps=steps, economy=batch.economy, bucket=bucket, selector=selector, report=report)
        choice = (
            sfn.Choice.jsonata(self, "Anything to make?", comment="Not in a dry run, and not where every line is finished")
            .when(sfn.Condition.jsonata("{% $states.input.dry_run %}"), sfn.Succeed.jsonata(self, "Only checked"))
            .when(sfn.Condition.jsonata("{% $states.input.todo = 0 %}"), report)
            .when(sfn.Condition.jsonata("{% $states.input.economy %}"), economy.begin)
            .otherwise(lines.next(report))
        )
        said = "Easel: a batch, each line a run"
        calls = (*steps.all, batch.batch, batch.economy)
        self.state_machine = machine(self, check.next(choice), comment=said, timeout=BATCH_TIMEOUT, calls=calls, customer_key=customer_key)
        if customer_key:
            customer_key.allow(self.state_machine.role, reads=("s3",), writes=("s3",))
        self._acknowledge(bucket)
        # Reader and writer are granted the whole bucket by their constructs, since the keys are known only as it runs.
        elsewhere = iam.PolicyStatement(
            effect=iam.Effect.DENY, actions=["s3:GetObject", "s3:PutObject"], not_resources=[bucket.arn_for_objects(WORK)]
        )
        self.state_machine.add_to_role_policy(elsewhere)

    def _acknowledge(self, bucket: s3.IBucket) -> None:
        """What the Distributed Map's construct grants by itself."""
        everywhere = f"arn:{Aws.PARTITION}:s3:::{bucket.bucket_name}/*"
        acknowledge_wildcard(self.state_machine.role, everywhere, "All but what a batch works on is denied by the role's next statement")
        stack = Stack.of(self)
        name = stack.split_arn(self.state_machine.state_machine_arn, ArnFormat.COLON_RESOURCE_NAME).resource_name
        for below in (":*", "/*:*"):
            executions = stack.format_arn(
                service="states", resource="execution", resource_name=f"{name}{below}", arn_format=ArnFormat.COLON_RESOURCE_NAME
            )
            acknowledge_wildcard(self.state_machine, executions, "This machine's own executions, whose names come as they start")
