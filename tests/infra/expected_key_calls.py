"""The uses of the customer's key: by services for themselves, and through services for a role.

test_iam_proof.py decides each of them by the policies of a template.
"""

from tests.infra.expected_calls import (
    BATCHES_MACHINE,
    CHAT,
    CLOUDWATCH,
    EVENTS,
    INBOX,
    MAIL,
    READER,
    RUNS_MACHINE,
    SCHEDULE,
    SCHEDULES,
    SHOP,
    THEIR_PLACE,
    UPLOADER,
    Expected,
    calls,
)
from tests.support import template
from tests.support.policies import (
    ADMINISTRATOR,
    REGION,
    STRANGER,
    Call,
    Context,
)
from tests.support.template import KEY_OF_OURS, KEY_OF_THEIRS, THEIRS

DECRYPT, DATA_KEY = "kms:Decrypt", "kms:GenerateDataKey"
USE = f"{DECRYPT} {DATA_KEY}"
LOGS, DELIVERY = f"logs.{REGION}.amazonaws.com", "delivery.logs.amazonaws.com"


def via(service: str, region: str = REGION) -> Context:
    """Return the key with which KMS names the service that calls for a role."""
    return {"kms:ViaService": f"{service}.{region}.amazonaws.com"}


def encrypted(key: str, value: str) -> Context:
    """Return the key of a request with an encryption context."""
    return {f"kms:EncryptionContext:{key}": value}


MACHINE = "aws:states:stateMachineArn"
RUN, LINE = encrypted(MACHINE, "{runs}"), encrypted(MACHINE, "{batches}/EachLine")
OTHER_RUN = encrypted(MACHINE, f"arn:aws:states:{THEIR_PLACE}:stateMachine:x")
# The service itself sends the asterisk.
LOG = encrypted("SourceArn", "arn:aws:logs:{here}:*")
OTHER_LOG = encrypted("SourceArn", f"arn:aws:logs:{THEIR_PLACE}:*")
MACHINES = Expected(
    allowed=[
        *calls(RUNS_MACHINE, USE, "{key}", context=RUN),
        *calls(RUNS_MACHINE, DATA_KEY, "{key}", context=LOG),
        *calls(BATCHES_MACHINE, USE, "{key}", context=LINE),
        *calls(BATCHES_MACHINE, USE, "{key}", context=via("s3")),
        *calls(BATCHES_MACHINE, DATA_KEY, "{key}", context=LOG),
    ],
    refused=[
        *calls(RUNS_MACHINE, USE, "{key}"),
        *calls(RUNS_MACHINE, USE, "{key}", context=OTHER_RUN),
        *calls(RUNS_MACHINE, USE, "{key}", context=via("s3")),
        *calls(RUNS_MACHINE, DECRYPT, "{key}", context=LOG),
        *calls(RUNS_MACHINE, DATA_KEY, "{key}", context=OTHER_LOG),
        *calls(RUNS_MACHINE, "kms:Encrypt kms:CreateGrant", "{key}", context=RUN),
        *calls(BATCHES_MACHINE, USE, "{key}"),
        *calls(BATCHES_MACHINE, USE, "{key}", context=OTHER_RUN),
        *calls(BATCHES_MACHINE, USE, "{key}", context=via("s3", "us-east-1")),
        *calls(BATCHES_MACHINE, USE, "{key}", context=via("dynamodb")),
        *calls(BATCHES_MACHINE, DATA_KEY, "{key}", context=OTHER_LOG),
    ],
)
GROUP = encrypted("aws:logs:arn", "arn:aws:logs:{here}:log-group:EventsLogs")
OTHER_GROUP = encrypted("aws:logs:arn", f"arn:aws:logs:{THEIR_PLACE}:log-group:EventsLogs")
KEEP_LOGS = f"{USE} kms:Encrypt kms:ReEncryptFrom kms:ReEncryptTo"
TOPIC = encrypted("aws:sns:topicArn", "arn:aws:sns:{here}:Easel-AlarmsTopic")
OTHER_TOPIC = encrypted("aws:sns:topicArn", "arn:aws:sns:{here}:Others")
QUEUE = encrypted("aws:sqs:arn", "arn:aws:sqs:{here}:Easel-ScheduleDeadLetters")
OTHER_QUEUE = encrypted("aws:sqs:arn", f"arn:aws:sqs:{THEIR_PLACE}:Easel-ScheduleDeadLetters")
SERVICES = Expected(
    allowed=[
        *calls(LOGS, KEEP_LOGS, "{key}", context=GROUP),
        *calls(DELIVERY, DECRYPT, "{key}", context=LOG),
        *calls(CLOUDWATCH, USE, "{key}", context=TOPIC),
        *calls(EVENTS, USE, "{key}", context=QUEUE),
        # The policies of IAM decide who administers the key.
        *calls(ADMINISTRATOR, "kms:PutKeyPolicy kms:ScheduleKeyDeletion", "{key}"),
    ],
    refused=[
        *calls(LOGS, KEEP_LOGS, "{key}"),
        *calls(LOGS, KEEP_LOGS, "{key}", context=OTHER_GROUP),
        *calls("logs.us-east-1.amazonaws.com", KEEP_LOGS, "{key}", context=GROUP),
        *calls(DELIVERY, DECRYPT, "{key}"),
        *calls(DELIVERY, DECRYPT, "{key}", context=OTHER_LOG),
        *calls(DELIVERY, DATA_KEY, "{key}", context=LOG),
        *calls(CLOUDWATCH, USE, "{key}"),
        *calls(CLOUDWATCH, USE, "{key}", context=OTHER_TOPIC),
        *calls(CLOUDWATCH, USE, "{key}", context=QUEUE),
        *calls(EVENTS, USE, "{key}"),
        *calls(EVENTS, USE, "{key}", context=OTHER_QUEUE),
        *calls(EVENTS, "kms:PutKeyPolicy kms:ScheduleKeyDeletion", "{key}", context=QUEUE),
        *calls("s3.amazonaws.com", USE, "{key}", context=QUEUE),
        *calls(STRANGER, f"{USE} kms:PutKeyPolicy", "{key}", context=via("s3")),
    ],
)
# The services through which a role decrypts what it reads, and encrypts what it writes.
USES = {
    "prompt": ("dynamodb s3 secretsmanager", "s3"),
    "image": ("dynamodb s3 secretsmanager", "s3"),
    "upload": ("dynamodb s3", "s3"),
    "cleanup": ("dynamodb s3", "s3"),
    "batch": ("dynamodb s3", "s3"),
    "economy": ("dynamodb s3 secretsmanager", "s3"),
    "references": ("dynamodb s3 sqs", "s3 sqs"),
    "events": ("dynamodb secretsmanager sqs states", "sqs"),
    "index": ("dynamodb sqs", "sqs"),
    "api": ("dynamodb s3 states", ""),
    READER: ("s3", ""),
    UPLOADER: ("", "s3"),
    SCHEDULE: ("", ""),
    SCHEDULES: ("sqs", "sqs"),
    INBOX: ("", ""),
    SHOP: ("", ""),
    CHAT: ("", ""),
    MAIL: ("sns", "sns"),
}
STORES = ("dynamodb", "s3", "secretsmanager", "sqs", "states", "sns", "logs")


def uses(*, allowed: bool) -> list[Call]:
    """Return the uses of the key that roles may make through each service, or may not make."""
    return [
        Call(role, action, "{key}", via(service))
        for role, services in USES.items()
        for action, usable in zip((DECRYPT, DATA_KEY), services, strict=True)
        for service in STORES
        if (service in usable.split()) == allowed
    ]


def misuses() -> list[Call]:
    """Return uses of the key that no role may make: directly, in another region, or other ones."""
    direct = [call for role in USES for call in calls(role, USE, "{key}")]
    return direct + [
        call
        for role in USES
        for service in STORES
        for call in (
            *calls(role, USE, "{key}", context=via(service, "us-east-1")),
            *calls(role, "kms:Encrypt kms:CreateGrant", "{key}", context=via(service)),
        )
    ]


ROLES = Expected(allowed=uses(allowed=True), refused=[*uses(allowed=False), *misuses()])
# An existing bucket has its own key.
EXISTING_BUCKET = Expected(
    shape=THEIRS,
    allowed=[
        *calls("upload", DECRYPT, "{key}", context=via("dynamodb")),
        *calls(BATCHES_MACHINE, USE, "{key}", context=LINE),
    ],
    refused=[
        call
        for role in ("prompt", "image", "upload", "cleanup", "batch", "economy", READER, UPLOADER)
        for call in calls(role, USE, "{key}", context=via("s3"))
    ]
    + calls(BATCHES_MACHINE, USE, "{key}", context=via("s3")),
)
# The key of an earlier deployment also covers the bucket. The owner's key covers only the bucket.
BUCKET_USES = {"image": USE, "upload": USE, "cleanup": USE, READER: DECRYPT, UPLOADER: DATA_KEY}
AGAIN = Expected(
    shape=template.AGAIN,
    allowed=[
        *calls("upload", DECRYPT, KEY_OF_OURS, context=via("dynamodb")),
        *calls(BATCHES_MACHINE, USE, KEY_OF_OURS, KEY_OF_THEIRS, context=via("s3")),
        *(
            call
            for role, actions in BUCKET_USES.items()
            for call in calls(role, actions, KEY_OF_OURS, KEY_OF_THEIRS, context=via("s3"))
        ),
        *calls("image", USE, KEY_OF_THEIRS, context=via("s3", "us-east-1")),
    ],
    refused=[
        *calls("image", USE, KEY_OF_OURS, KEY_OF_THEIRS),
        *calls("upload", USE, KEY_OF_THEIRS, context=via("dynamodb")),
        *calls("events", USE, KEY_OF_THEIRS, context=via("s3")),
        *calls("api", DATA_KEY, KEY_OF_THEIRS, context=via("s3")),
        *calls("image", "kms:Encrypt kms:CreateGrant", KEY_OF_THEIRS, context=via("s3")),
    ],
)
KEY_SUBJECTS = {
    "key for machines": MACHINES,
    "key for services": SERVICES,
    "key for roles": ROLES,
    "key and existing bucket": EXISTING_BUCKET,
    "keys of an earlier deployment and of the bucket": AGAIN,
}
