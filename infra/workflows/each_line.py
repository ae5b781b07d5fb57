"""A Distributed Map over the lines of a file in a batch's work folder.

Each line is a child execution, and the results are written next to the file.
"""

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract.states import State
from infra.workflows.machine import INPUT

THRESHOLD = "States.ExceedToleratedFailureThreshold"
AS_BATCH_ASKS = "{% $states.input.max_parallel_images %}"
START_OF_LINE: dict[str, Any] = {
    "request": "{% $states.context.Map.Item.Value.request %}",
    "execution_name": "{% $states.context.Map.Item.Value.run_id %}",
    "started": "{% $states.context.Execution.StartTime %}",
}


@dataclass(frozen=True)
class BatchEnd:
    """What all Maps of a batch share: its bucket, and the next state after a failed Map."""

    bucket: s3.IBucket
    report: sfn.IChainable


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The file with the lines, the input of a line's execution, and how many run concurrently."""

    comment: str
    file: str
    selector: dict[str, Any] | None = None
    at_once: str = AS_BATCH_ASKS


class EachLine(sfn.DistributedMap):
    """A Map that tolerates as many failed lines as the batch's input allows.

    If more lines fail, the batch is reported.
    """

    def __init__(self, scope: Construct, name: State, lines: Lines, end: BatchEnd) -> None:
        super().__init__(
            scope,
            name,
            query_language=sfn.QueryLanguage.JSONATA,
            comment=lines.comment,
            item_reader=sfn.S3JsonLItemReader(bucket=end.bucket, key=lines.file),
            item_selector=lines.selector,
            jsonata_max_concurrency=lines.at_once,
            result_writer_v2=sfn.ResultWriterV2(
                bucket=end.bucket,
                prefix="{% $states.input.results_prefix %}",
                writer_config=sfn.WriterConfig(
                    output_type=sfn.OutputType.JSONL, transformation=sfn.Transformation.NONE
                ),
            ),
            outputs=INPUT,
        )
        ended_by = "{% $merge([$states.input, {'ended_by': $states.errorOutput.Error}]) %}"
        self.add_catch(end.report, errors=[THRESHOLD], outputs=ended_by)

    def to_state_json(self, state_machine_query_language: sfn.QueryLanguage | None = None) -> Any:
        """Return the state with the tolerance, because the construct has no property for it."""
        state = super().to_state_json(state_machine_query_language)
        tolerance = "{% $states.input.tolerated_failure_percentage %}"
        return {**state, "ToleratedFailurePercentage": tolerance}
