"""A Distributed Map over the lines of a file in the bucket's work folder: a child execution each, and its results written beside."""

from typing import Any

from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.workflows.run import INPUT

THRESHOLD = "States.ExceedToleratedFailureThreshold"


class EachLine(sfn.DistributedMap):
    """As many at once, and as many failures, as the batch's input says; where more fail, `too_many` follows."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        comment: str,
        bucket: s3.IBucket,
        items: str,
        selector: dict[str, Any] | None,
        each: sfn.IChainable,
        too_many: sfn.IChainable,
        at_once: str = "{% $states.input.max_parallel_images %}",
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            query_language=sfn.QueryLanguage.JSONATA,
            comment=comment,
            item_reader=sfn.S3JsonLItemReader(bucket=bucket, key=items),
            item_selector=selector,
            jsonata_max_concurrency=at_once,
            result_writer_v2=sfn.ResultWriterV2(
                bucket=bucket,
                prefix="{% $states.input.results_prefix %}",
                writer_config=sfn.WriterConfig(output_type=sfn.OutputType.JSONL, transformation=sfn.Transformation.NONE),
            ),
            outputs=INPUT,
        )
        self.item_processor(each)
        ended = "{% $merge([$states.input, {'ended_by': $states.errorOutput.Error}]) %}"
        self.add_catch(too_many, errors=[THRESHOLD], outputs=ended)

    def to_state_json(self, state_machine_query_language: sfn.QueryLanguage | None = None) -> Any:
        """The state, with the tolerance, for which the construct has no word."""
        state = super().to_state_json(state_machine_query_language)
        return {**state, "ToleratedFailurePercentage": "{% $states.input.tolerated_failure_percentage %}"}
