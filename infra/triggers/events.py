"""The events for subscribers on the default event bus: about images, runs and batches.

Events about images come from the table's stream, and events about failures from Step Functions. No
step of a run has to send them, so no event is lost if a function dies after its write to the table.
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
from easel.schedules.scheduler import MOST_RETRIES
from infra.access.grants import Resource
from infra.functions.catalogue import EVENTS
from infra.functions.function import DeployedFunction, Functions
from infra.triggers.starts import RETRY_FOR, dead_letters
from infra.workflows.machine import Machines

ENDED = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMED_OUT,
    ExecutionStatus.ABORTED,
)
AT_ONCE = 10  # the limit of EventBridge in one call
# This maps an image's new status to its previous one. A restored image is also stored, but it is
# not new.
ENDS = {Status.STORED: Status.STAGED, Status.REFUSED: Status.CLAIMED}


class Announcements(Construct):
    """The function that sends events, its triggers, and the queue of events it could not send.

    EventBridge's rule, the stream and Lambda's asynchronous calls put events there when they give
    up.
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
            "Endings",
            description="Easel: runs and batches that have ended",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "status": list(ENDED),
                    # The line of a batch has its machine's ARN with the name of the Map, so it does
                    # not match: a batch is announced once.
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
            # The number of retries within this time is not limited, and the stream waits meanwhile.
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
    """Return the filter for images that change from one status to another."""
    return {
        "eventName": ["MODIFY"],
        "dynamodb": {
            "Keys": {"sk": {"S": [{"prefix": "image#"}]}},
            "NewImage": {"status": {"S": [new]}},
            "OldImage": {"status": {"S": [old]}},
        },
    }
