"""The function that keeps the index of the search and the sums of spending, and its triggers.

The table's stream triggers it after each change of an image. Unlike events, the index begins with
the oldest change in the stream: Lambda may miss changes while a trigger is new, and repeated ones
do no harm. Images from before the search are found by a rebuild, which each deployment with another
form of documents starts.
"""

import json
from typing import cast

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from easel.contract import settings
from easel.contract.status import Status
from easel.ledger.charges import PREFIX
from easel.search.indexing import DOCUMENT_VERSION, REBUILD
from infra.access.grants import Resource
from infra.functions.catalogue import INDEX
from infra.functions.function import Functions
from infra.triggers.starts import RETRY_FOR, dead_letters

AT_ONCE = 100
# An image is searchable from when it is stored. Deletes and restores change it later.
SEARCHED = (Status.STORED, Status.DELETED, Status.PURGED)


class SearchIndex(Construct):
    """The function `index`, its triggers, and the queue of changes that it gave up on."""

    def __init__(self, scope: Construct, construct_id: str, *, functions: Functions) -> None:
        super().__init__(scope, construct_id)
        deployment = functions.deployment
        self.dead_letters = dead_letters(self, deployment.encryption, of_function=True)
        deployment.arns |= {Resource.DEAD_LETTERS: self.dead_letters.queue_arn}
        function = functions.begin(INDEX).build()
        mapping = function.function.add_event_source_mapping(
            "Changes",
            event_source_arn=deployment.arns[Resource.STREAM],
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=AT_ONCE,
            max_batching_window=Duration.seconds(1),
            bisect_batch_on_error=True,
            max_record_age=RETRY_FOR,
            filters=[{"pattern": json.dumps(pattern)} for pattern in (IMAGES, STEPS, CHARGES)],
        )
        resource = cast("lambda_.CfnEventSourceMapping", mapping.node.default_child)
        resource.destination_config = lambda_.CfnEventSourceMapping.DestinationConfigProperty(
            on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(
                destination=self.dead_letters.queue_arn
            )
        )
        rebuild = CustomResource(
            self,
            "Rebuild",
            service_token=function.function.function_arn,
            service_timeout=Duration.minutes(2),
            resource_type="Custom::SearchIndex",
            properties={
                "Table": deployment.variables[settings.TABLE],
                "Version": str(DOCUMENT_VERSION),
            },
        )
        # The rebuild's first step is a change in the stream.
        rebuild.node.add_dependency(function.role, mapping)


IMAGES = {
    "dynamodb": {
        "Keys": {"sk": {"S": [{"prefix": "image#"}]}},
        "NewImage": {"status": {"S": list(SEARCHED)}},
    },
}
CHARGES = {
    "eventName": ["INSERT"],
    "dynamodb": {"Keys": {"pk": {"S": [{"prefix": PREFIX}]}}},
}
STEPS = {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": {"pk": {"S": [REBUILD[0]]}}}}
