"""The events for others: ImageStored, ImageRefused and RunFailed, on the account's default bus.

Images are announced from the table's stream, and failures from Step Functions' own events. No step
of a run has to send them, and a function that dies after its work is in the table loses none.
Events that cannot be sent wait in a queue.
"""

import json
from typing import cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from easel.contract.states import ExecutionStatus
from easel.contract.status import Status
from infra.access.grants import Resource
from infra.functions.catalogue import EVENTS
from infra.functions.function import DeployedFunction, Functions
from infra.triggers.starts import MOST_RETRIES, RETRY_FOR, dead_letters
from infra.workflows.machine import Machines

UNSUCCESSFUL = (
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMED_OUT,
    ExecutionStatus.ABORTED,
)
AT_ONCE = 10  # as many as EventBridge takes in one call
# What ends an image, and its status before. A restored image is stored as well, and is not new.
ENDS = {Status.STORED: Status.STAGED, Status.REFUSED: Status.CLAIMED}


class Announcements(Construct):
    """The function that sends the events, what calls it, and the queue of what it could not send.

    EventBridge's rule, the stream and Lambda's asynchronous calls leave there what they give up on.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, functions: Functions, machines: Machines
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letters(self, functions.deployment.encryption, of_function=True)
        bus = Stack.of(self).format_arn(
            service="events", resource="event-bus", resource_name="default"
        )
        functions.deployment.arns |= {
            Resource.EVENT_BUS: bus,
            Resource.DEAD_LETTERS: self.dead_letters.queue_arn,
        }
        function = functions.begin(EVENTS).build()
        self._read(function, functions.deployment.arns[Resource.STREAM])
        events.Rule(
            self,
            "Failures",
            description="Easel: runs and batches that did not succeed",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "status": list(UNSUCCESSFUL),
                    "stateMachineArn": list(machines.variables().values()),
                },
            ),
            targets=[
                targets.LambdaFunction(
                    function.function,
                    retry_attempts=MOST_RETRIES,
                    max_event_age=RETRY_FOR,
                    dead_letter_queue=self.dead_letters,
                )
            ],
        )

    def _read(self, function: DeployedFunction, stream: str) -> None:
        mapping = function.function.add_event_source_mapping(
            "Pictures",
            event_source_arn=stream,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=AT_ONCE,
            max_batching_window=Duration.seconds(1),
            bisect_batch_on_error=True,
            # It is retried within this time however often, and the stream waits for it.
            max_record_age=RETRY_FOR,
            filters=[{"pattern": json.dumps(_change(old, new))} for new, old in ENDS.items()],
        )
        resource = cast("lambda_.CfnEventSourceMapping", mapping.node.default_child)
        resource.destination_config = lambda_.CfnEventSourceMapping.DestinationConfigProperty(
            on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(
                destination=self.dead_letters.queue_arn
            )
        )


def _change(old: Status, new: Status) -> dict[str, object]:
    """Return the filter for images whose status changes."""
    return {
        "eventName": ["MODIFY"],
        "dynamodb": {
            "Keys": {"sk": {"S": [{"prefix": "image#"}]}},
            "NewImage": {"status": {"S": [new]}},
            "OldImage": {"status": {"S": [old]}},
        },
    }
