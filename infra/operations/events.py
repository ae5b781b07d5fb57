"""The events: ImageStored, ImageRefused and RunFailed on the account's default bus, for others to build on.

Pictures are told of from the table's stream and failures from Step Functions' own events: no step of a run has to do it, and a
function that dies once its work is in the table keeps nothing from being told. What can't be sent waits in a queue.
"""

import json
from collections.abc import Sequence
from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract.metric_names import SOURCE
from infra.nag import acknowledge_wildcard
from infra.triggers.dead_letters import MOST_RETRIES, dead_letters
from infra.functions.function import StepFunction

UNSUCCESSFUL = ("FAILED", "TIMED_OUT", "ABORTED")
AT_ONCE = 10  # as many as EventBridge takes in one call
# What ends a picture, and where it was before: a picture that is restored is stored, too, and is nothing new.
ENDS = {"stored": "staged", "refused": "claimed"}


class Events(Construct):
    """The queue of what could not be sent, and what feeds the function that sends."""

    function: StepFunction

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey | None) -> None:
        super().__init__(scope, construct_id)
        # EventBridge's rule, the stream and Lambda's own asynchronous calls leave here what they give up on.
        self.dead_letters = dead_letters(self, key, of_function=True)

    def feed(self, function: StepFunction, *, table: dynamodb.Table, machines: Sequence[sfn.IStateMachine]) -> None:
        """Have the function told of pictures and of failed executions, and let it send events."""
        self.function = function
        bus = Stack.of(self).format_arn(service="events", resource="event-bus", resource_name="default")
        own = {"StringEquals": {"events:source": SOURCE}}
        function.role.add_to_principal_policy(iam.PolicyStatement(actions=["events:PutEvents"], resources=[bus], conditions=own))
        self._read(table, function)
        events.Rule(
            self,
            "Failures",
            description="Easel: runs and batches that ended without success",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"status": list(UNSUCCESSFUL), "stateMachineArn": [one.state_machine_arn for one in machines]},
            ),
            targets=[
                targets.LambdaFunction(
                    function.function, retry_attempts=MOST_RETRIES, max_event_age=Duration.hours(2), dead_letter_queue=self.dead_letters
                )
            ],
        )

    def _read(self, table: dynamodb.Table, function: StepFunction) -> None:
        stream = str(table.table_stream_arn)
        read = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
        function.role.add_to_principal_policy(iam.PolicyStatement(actions=read, resources=[stream]))
        streams = f"{table.table_arn}/stream/*"
        function.role.add_to_principal_policy(iam.PolicyStatement(actions=["dynamodb:ListStreams"], resources=[streams]))
        acknowledge_wildcard(function.role, streams, "Listing is asked of all streams that a table ever had: their names end in a time")
        mapping = function.function.add_event_source_mapping(
            "Pictures",
            event_source_arn=stream,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=AT_ONCE,
            max_batching_window=Duration.seconds(1),
            bisect_batch_on_error=True,
            # However often that is within the time: the stream goes no further meanwhile.
            max_record_age=Duration.hours(2),
            filters=[
                {
                    "pattern": json.dumps(
                        {
                            "eventName": ["MODIFY"],
                            "dynamodb": {
                                "Keys": {"sk": {"S": [{"prefix": "image#"}]}},
                                "NewImage": {"status": {"S": [now]}},
                                "OldImage": {"status": {"S": [before]}},
                            },
                        }
                    )
                }
                for now, before in ENDS.items()
            ],
        )
        resource = cast("lambda_.CfnEventSourceMapping", mapping.node.default_child)
        resource.destination_config = lambda_.CfnEventSourceMapping.DestinationConfigProperty(
            on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=self.dead_letters.queue_arn)
        )
