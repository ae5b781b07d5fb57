"""What a role may do, as data.

The rights on a customer's key follow from the grants: whoever reads an object may decrypt it, and
whoever writes one may have it encrypted, through the service that stores it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Resource(StrEnum):
    """What a grant can be about. Each has one ARN in a deployment."""

    EVERYTHING = "*"
    BUCKET = "bucket"
    TABLE = "table"
    STREAM = "table's stream"
    OPENAI_SECRET = "secret with the OpenAI key"  # noqa: S105 - a name
    OPENAI_IDENTITY = "identity for OpenAI"
    MIRROR_SECRET = "secret of the mirror"  # noqa: S105 - a name
    MIRROR_BUCKET = "prefix of the mirror in S3"
    RUNS = "machine of runs"
    RUN_EXECUTIONS = "executions of runs"
    BATCHES = "machine of batches"
    BATCH_EXECUTIONS = "executions of batches"
    MAP_RUNS = "map runs of batches"
    EVENT_BUS = "default event bus"
    DEAD_LETTERS = "events that were not sent"
    READER_ROLE = "role that signs links to images"
    UPLOADER_ROLE = "role that signs links for manifests"


# A deployment may lack these. Without them, the grants about them do not exist either.
OPTIONAL = {Resource.OPENAI_SECRET, Resource.OPENAI_IDENTITY, Resource.MIRROR_BUCKET}
# The customer's key does not encrypt these.
ELSEWHERE = {Resource.MIRROR_BUCKET}

DECRYPT, DATA_KEY = "kms:Decrypt", "kms:GenerateDataKey"
# What an action needs of the key. A table is only ever decrypted, whether an item is read or
# written, so that every action of DynamoDB needs the same.
READS = {
    "s3:GetObject",
    "s3:GetObjectVersion",
    "secretsmanager:GetSecretValue",
    "sqs:SendMessage",
    "states:DescribeExecution",
    "states:GetExecutionHistory",
    "states:StartExecution",
    "states:StopExecution",
}
WRITES = {"s3:PutObject", "sqs:SendMessage", "states:StartExecution"}


@dataclass(frozen=True)
class Grant:
    """Actions on a resource, or on what is `below` it.

    `because` is why `below` has an asterisk. With `deny`, the actions are forbidden.
    """

    actions: tuple[str, ...]
    on: Resource
    below: str = ""
    because: str = ""
    conditions: Mapping[str, Any] | None = None
    deny: bool = False


def key_rights(grants: Iterable[Grant]) -> dict[str, tuple[str, ...]]:
    """Return through which services these grants need each action of the customer's key."""
    found: dict[str, set[str]] = {DECRYPT: set(), DATA_KEY: set()}
    for grant in grants:
        for action in () if grant.deny or grant.on in ELSEWHERE else grant.actions:
            service = action.partition(":")[0]
            if action in READS or service == "dynamodb":
                found[DECRYPT].add(service)
            if action in WRITES:
                found[DATA_KEY].add(service)
    return {action: tuple(sorted(services)) for action, services in found.items() if services}
