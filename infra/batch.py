"""The machine of batches.

 Check the manifest ─► Anything to make? ─┬─► For each line ─────────────────────────────────► Report the batch
                                          │    └ Write the prompt ─► … as in a single run ─► Clean up and report
                                          ├─► Report the batch
                                          └─► Only checked

Input: a start of a batch (functions/batch/asked.py). Output: a BatchReport, of a dry run the Batch (functions/contract.py).
Each line is a child execution of its own, with a single run's own steps. Its failure is in the report; where more fail than are
tolerated, Step Functions stops the rest, and the report makes the execution red. Starting the same batch again goes on with it.

Transitions: for a line those of a single run but Which action?; besides, Check the manifest, Anything to make?, For each line, Report
the batch.
"""

from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.function import StepFunction
from infra.workflow import INPUT, START, Steps, machine, run_chain, task

BATCH_TIMEOUT = Duration.days(14)
THRESHOLD = "States.ExceedToleratedFailureThreshold"
# What one start works on, and its results: no run's own staging begins so.
WORK = "staging/@*"


class BatchWorkflow(Construct):
    """A Distributed Map over the lines of a manifest, each a run."""

    def __init__(self, scope: Construct, construct_id: str, *, steps: Steps, batch: StepFunction, bucket: s3.IBucket) -> None:
        super().__init__(scope, construct_id)
        check = task(self, "Check the manifest", batch, comment="Checks and prices every line before anything is paid", payload=START)
        report = task(self, "Report the batch", batch, comment="Writes report.json and failed.jsonl; its output is the report")
        lines = _Lines(
            self,
            "For each line",
            query_language=sfn.QueryLanguage.JSONATA,
            comment="A child execution each: a run with the line's number in its id",
            item_reader=sfn.S3JsonLItemReader(bucket=bucket, key="{% $states.input.todo_key %}"),
            item_selector={
                "request": "{% $states.context.Map.Item.Value.request %}",
                "execution_name": "{% $states.context.Map.Item.Value.run_id %}",
                "started": "{% $states.context.Execution.StartTime %}",
            },
            jsonata_max_concurrency="{% $states.input.max_parallel_images %}",
            result_writer_v2=sfn.ResultWriterV2(
                bucket=bucket,
                prefix="{% $states.input.results_prefix %}",
                writer_config=sfn.WriterConfig(output_type=sfn.OutputType.JSONL, transformation=sfn.Transformation.NONE),
            ),
            outputs=INPUT,
        )
        # The lines bound how many pictures are made at once, so a line makes its own one after the other.
        lines.item_processor(run_chain(self, steps, payload=None, at_once=1))
        ended = "{% $merge([$states.input, {'ended_by': $states.errorOutput.Error}]) %}"
        lines.add_catch(report, errors=[THRESHOLD], outputs=ended)
        choice = (
            sfn.Choice.jsonata(self, "Anything to make?", comment="Not in a dry run, and not where every line is finished")
            .when(sfn.Condition.jsonata("{% $states.input.dry_run %}"), sfn.Succeed.jsonata(self, "Only checked"))
            .when(sfn.Condition.jsonata("{% $states.input.todo > 0 %}"), lines.next(report))
            .otherwise(report)
        )
        self.state_machine = machine(self, check.next(choice), comment="Easel: a batch, each line a run", timeout=BATCH_TIMEOUT)
        # Reader and writer are granted the whole bucket by their constructs, since the keys are known only as it runs.
        elsewhere = iam.PolicyStatement(
            effect=iam.Effect.DENY, actions=["s3:GetObject", "s3:PutObject"], not_resources=[bucket.arn_for_objects(WORK)]
        )
        self.state_machine.add_to_role_policy(elsewhere)


class _Lines(sfn.DistributedMap):
    """A Distributed Map whose tolerance the input says, for which the construct has no word."""

    def to_state_json(self, state_machine_query_language: sfn.QueryLanguage | None = None) -> Any:
        """The state, with the tolerance."""
        state = super().to_state_json(state_machine_query_language)
        return {**state, "ToleratedFailurePercentage": "{% $states.input.tolerated_failure_percentage %}"}
