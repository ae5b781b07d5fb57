"""The permissions of roles, as data.

Permissions on a customer's key follow from the grants. A role that reads an object may decrypt it,
and a role that writes one may encrypt it, through the service that stores it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from easel.contract.naming import REFERENCE_INBOX


class Resource(StrEnum):
    """A resource of a grant. Each has one ARN in a deployment."""

    EVERYTHING = "*"
    BUCKET = "bucket"
    TABLE = "table"
    STREAM = "table's stream"
    OPENAI_SECRET = "secret with the OpenAI key"  # noqa: S105 - a name
    OPENAI_IDENTITY = "identity for OpenAI"
    MIRROR_SECRET = "secret of the mirror"  # noqa: S105 - a name
    SIGNING_SECRET = "secret that signs webhooks"  # noqa: S105 - a name
    NOTIFICATION_TOPIC = "topic of notifications"
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
    SCHEDULES = "schedules of the group"
    SCHEDULER_ROLE = "role that starts scheduled runs"
    DELIVERY = "bucket of what is public"
    USERS = "pool of users"
    EXISTING_BUCKET = "existing bucket, to be checked"
    EXISTING_TABLE = "existing table, to be checked"


# A deployment may lack these. Grants on a missing one are dropped.
OPTIONAL = {
    Resource.OPENAI_SECRET,
    Resource.OPENAI_IDENTITY,
    Resource.SIGNING_SECRET,
    Resource.MIRROR_BUCKET,
    Resource.DELIVERY,
    Resource.EXISTING_BUCKET,
    Resource.EXISTING_TABLE,
}
# Calls on these need no right on the customer's key.
ELSEWHERE = {
    Resource.USERS,
    Resource.MIRROR_BUCKET,
    Resource.DELIVERY,
    Resource.EXISTING_BUCKET,
    Resource.EXISTING_TABLE,
}

DECRYPT, DATA_KEY = "kms:Decrypt", "kms:GenerateDataKey"
# These actions need the key. A table needs only kms:Decrypt, even for writes, so all actions of
# DynamoDB count as reads.
READS = {
    "s3:GetObject",
    "s3:GetObjectVersion",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "sqs:SendMessage",
    "states:DescribeExecution",
    "states:GetExecutionHistory",
    "states:StopExecution",
}
WRITES = {"s3:PutObject", "sns:Publish", "sqs:SendMessage"}


@dataclass(frozen=True)
class Grant:
    """Actions on a resource, or on the `path` below it, which may contain asterisks.

    `reason` is the reason for an asterisk in `path`. If `deny` is set, the actions are forbidden.
    """

    actions: tuple[str, ...]
    resource: Resource
    path: str = ""
    reason: str = ""
    conditions: Mapping[str, Any] | None = None
    deny: bool = False


def read_images(action: str, *, reason: str) -> tuple[Grant, ...]:
    """Return the grants to read images in any folder, but no unfinished ones and no manifests."""
    not_images = ("staging", "batches", REFERENCE_INBOX.rstrip("/"))
    return (
        Grant((action,), Resource.BUCKET, "/*", reason),
        *(Grant((action,), Resource.BUCKET, f"/{prefix}/*", deny=True) for prefix in not_images),
    )


def bucket_key_actions(grants: Iterable[Grant]) -> tuple[str, ...]:
    """Return the actions on a bucket's key that the grants need, if its owner encrypts it."""
    actions = {action for grant in grants if not grant.deny for action in grant.actions}
    objects = {action for action in actions if action.startswith("s3:")}
    needs = ((DECRYPT, READS), (DATA_KEY, WRITES))
    return tuple(key_action for key_action, users in needs if objects & users)


def key_rights(grants: Iterable[Grant]) -> dict[str, tuple[str, ...]]:
    """Return for each action of the customer's key the services through which it is needed."""
    services_by_action: dict[str, set[str]] = {DECRYPT: set(), DATA_KEY: set()}
    for grant in grants:
        for action in () if grant.deny or grant.resource in ELSEWHERE else grant.actions:
            service = action.partition(":")[0]
            if action in READS or service == "dynamodb":
                services_by_action[DECRYPT].add(service)
            if action in WRITES:
                services_by_action[DATA_KEY].add(service)
    return {
        action: tuple(sorted(services))
        for action, services in services_by_action.items()
        if services
    }
