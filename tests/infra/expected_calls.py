"""The calls that AWS makes with the roles of machines, rules and links, or without any role.

test_iam_proof.py decides each of them by the policies of a template.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.policies import (
    ACCOUNT,
    OTHER_ACCOUNT,
    REGION,
    STRANGER,
    Call,
    Context,
)
from tests.support.template import ELSEWHERE, EVERYTHING, EXISTING

RUNS_MACHINE, BATCHES_MACHINE = "WorkflowStateMachineRole", "BatchWorkflowStateMachineRole"
SCHEDULE, SCHEDULES, INBOX = "ScheduleRole", "SchedulesRole", "BatchInboxRole"
SHOP, CHAT, MAIL = "ChannelsShopRole", "ChannelsChatRole", "ChannelsMailRole"
READER, UPLOADER = "ReaderRole", "UploaderRole"
# The role of CDK's own function, which empties a bucket before CloudFormation deletes it.
EMPTIER = "CustomS3AutoDeleteObjectsCustomResourceProviderRole"
EVENTS, STATES, LAMBDA = "events.amazonaws.com", "states.amazonaws.com", "lambda.amazonaws.com"
CLOUDWATCH, GATEWAY = "cloudwatch.amazonaws.com", "apigateway.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"
LOGGING = "logging.s3.amazonaws.com"
INVOKE = "lambda:InvokeFunction"
THEIR_PLACE = f"{REGION}:{OTHER_ACCOUNT}"
NO_TLS = {"aws:SecureTransport": "false"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The calls that the policies of a template allow, and those that they refuse."""

    allowed: Sequence[Call]
    refused: Sequence[Call]
    shape: tuple[str, ...] = EVERYTHING


def calls(caller: str, actions: str, *resources: str, context: Context | None = None) -> list[Call]:
    """Return a call of each action on each resource. Spaces separate the actions."""
    return [
        Call(caller, action, resource, context or {})
        for action in actions.split()
        for resource in resources
    ]


def source(arn: str, account: str = ACCOUNT) -> Context:
    """Return the keys with which a service names the resource that it calls for."""
    return {"aws:SourceArn": arn, "aws:SourceAccount": account}


STEPS = ("{prompt}", "{image}", "{upload}", "{cleanup}")
LINES_FILE = "{images}/staging/@spring/spring.20260101000000-abcd/todo.jsonl"
RESULT = "{images}/staging/@spring/spring.20260101000000-abcd/results/uuid/FAILED_0.jsonl"
PICTURE, THUMBNAIL = "{images}/lakes/lake.png", "{images}/thumbnails/lakes/lake.webp"
ARRIVED, UPLOADED = "{images}/references/inbox/0a1b", "{images}/references/0a1b.png"
STAGED = "{images}/staging/run-1/1/1.bytes"
MANIFESTS = ("{images}/batches/spring.jsonl", "{images}/batches/spring.csv")
REPORT = "{images}/batches/spring/report.jsonl"
NOT_OF_A_BATCH = (PICTURE, THUMBNAIL, STAGED, REPORT, *MANIFESTS)
WRITE_RESULT = "s3:PutObject s3:GetObject s3:AbortMultipartUpload s3:ListMultipartUploadParts"
WATCH, REDRIVE = "states:DescribeExecution states:StopExecution", "states:RedriveExecution"
LOG_AND_TRACE = "logs:CreateLogDelivery logs:PutResourcePolicy xray:PutTraceSegments"
MACHINES = Expected(
    allowed=[
        *calls(RUNS_MACHINE, INVOKE, *STEPS),
        *calls(RUNS_MACHINE, LOG_AND_TRACE, "*"),
        *calls(BATCHES_MACHINE, INVOKE, *STEPS, "{batch}", "{economy}"),
        *calls(BATCHES_MACHINE, LOG_AND_TRACE, "*"),
        *calls(BATCHES_MACHINE, "s3:GetObject", LINES_FILE),
        *calls(BATCHES_MACHINE, WRITE_RESULT, RESULT),
        *calls(BATCHES_MACHINE, "states:StartExecution", "{batches}"),
        *calls(BATCHES_MACHINE, WATCH, "{batch_execution}:spring"),
        *calls(BATCHES_MACHINE, REDRIVE, "{batch_execution}/EachLine:uuid"),
    ],
    refused=[
        *calls(RUNS_MACHINE, INVOKE, "{batch}", "{economy}", "{events}", "{api}"),
        *calls(RUNS_MACHINE, "states:StartExecution", "{runs}", "{batches}"),
        *calls(RUNS_MACHINE, WRITE_RESULT, LINES_FILE, RESULT, *NOT_OF_A_BATCH),
        *calls(BATCHES_MACHINE, INVOKE, "{events}", "{api}"),
        *calls(BATCHES_MACHINE, WRITE_RESULT, *NOT_OF_A_BATCH),
        *calls(BATCHES_MACHINE, WRITE_RESULT, RESULT, context=NO_TLS),
        *calls(BATCHES_MACHINE, "s3:DeleteObject", RESULT, *NOT_OF_A_BATCH),
        *calls(BATCHES_MACHINE, "states:StartExecution", "{runs}"),
        *calls(BATCHES_MACHINE, f"{WATCH} {REDRIVE}", "{run_execution}:run-1"),
    ],
)
DELIVER = "events:InvokeApiDestination"
RULES = Expected(
    allowed=[
        *calls(SCHEDULE, "states:StartExecution", "{runs}"),
        *calls(SCHEDULES, "states:StartExecution", "{runs}"),
        *calls(SCHEDULES, "sqs:SendMessage", "{schedules_queue}"),
        *calls(INBOX, "states:StartExecution", "{batches}"),
        *calls(SHOP, DELIVER, "{shop}"),
        *calls(CHAT, DELIVER, "{chat}"),
        *calls(MAIL, "sns:Publish", "{channel_topic}"),
        *calls(EVENTS, INVOKE, "{events}", context=source("{failures_rule}")),
        *calls(EVENTS, INVOKE, "{references}", context=source("{uploads_rule}")),
    ],
    refused=[
        *calls(SHOP, DELIVER, "{chat}"),
        *calls(CHAT, DELIVER, "{shop}"),
        *calls(MAIL, DELIVER, "{shop}", "{chat}"),
        *calls(MAIL, "sns:Publish", "{topic}"),
        *calls(EVENTS, "sns:Publish", "{channel_topic}", context=source("{mail_rule}")),
        *calls(SHOP, "sns:Publish", "{topic}", "{channel_topic}"),
        *calls(EVENTS, INVOKE, "{references}", context=source("{failures_rule}")),
        *calls(EVENTS, INVOKE, "{events}", context=source("{uploads_rule}")),
        *calls(SCHEDULE, "states:StartExecution", "{batches}"),
        *calls(SCHEDULES, "states:StartExecution", "{batches}"),
        *calls(SCHEDULES, "sqs:SendMessage", "{schedule_queue}", "{inbox_queue}"),
        *calls(SCHEDULES, f"{WATCH} {REDRIVE}", "{run_execution}:run-1"),
        *calls(SCHEDULER, "states:StartExecution", "{runs}"),
        *calls(INBOX, "states:StartExecution", "{runs}"),
        *calls(SCHEDULE, f"{WATCH} {REDRIVE}", "{run_execution}:run-1"),
        *calls(INBOX, f"{WATCH} {REDRIVE}", "{batch_execution}:spring"),
        *calls(SCHEDULE, INVOKE, "{events}", *STEPS),
        *calls(INBOX, INVOKE, "{events}", *STEPS),
        *calls(INBOX, "s3:GetObject", "{images}/batches/inbox/spring.jsonl"),
        *calls(EVENTS, INVOKE, "{events}", context=source("{inbox_rule}")),
        *calls(EVENTS, INVOKE, "{api}", *STEPS, context=source("{failures_rule}")),
        *calls(GATEWAY, INVOKE, "{events}", context=source("{failures_rule}")),
    ],
)
ROUTE = source("{gateway}/$default/GET/runs")
GATEWAYS = Expected(
    allowed=calls(GATEWAY, INVOKE, "{api}", context=ROUTE),
    refused=[
        *calls(GATEWAY, INVOKE, "{api}"),
        *calls(
            GATEWAY,
            INVOKE,
            "{api}",
            context=source("arn:aws:execute-api:{here}:another/$default/GET/runs"),
        ),
        *calls(GATEWAY, INVOKE, "{events}", *STEPS, context=ROUTE),
        *calls(EVENTS, INVOKE, "{api}", context=ROUTE),
    ],
)
SEND = "sqs:SendMessage"
QUEUES = Expected(
    allowed=[
        *calls(EVENTS, SEND, "{inbox_queue}", context=source("{inbox_rule}")),
        *calls(EVENTS, SEND, "{uploads_queue}", context=source("{uploads_rule}")),
        *calls(EVENTS, SEND, "{schedule_queue}", context=source("{schedule_rule}")),
        *calls(EVENTS, SEND, "{failures_queue}", context=source("{failures_rule}")),
        *calls(EVENTS, SEND, "{channels_queue}", context=source("{shop_rule}")),
        *calls(EVENTS, SEND, "{channels_queue}", context=source("{mail_rule}")),
    ],
    refused=[
        *calls(EVENTS, SEND, "{inbox_queue}", "{schedule_queue}", "{failures_queue}"),
        *calls(EVENTS, SEND, "{inbox_queue}", context=source("{schedule_rule}")),
        *calls(EVENTS, SEND, "{uploads_queue}", context=source("{inbox_rule}")),
        *calls(EVENTS, SEND, "{schedule_queue}", context=source("{failures_rule}")),
        *calls(EVENTS, SEND, "{failures_queue}", context=source("{inbox_rule}")),
        *calls(EVENTS, SEND, "{failures_queue}", context=source("{shop_rule}")),
        *calls(EVENTS, SEND, "{channels_queue}", context=source("{inbox_rule}")),
        *calls(EVENTS, SEND, "{inbox_queue}", context={**source("{inbox_rule}"), **NO_TLS}),
        *calls(
            EVENTS,
            "sqs:ReceiveMessage sqs:PurgeQueue",
            "{inbox_queue}",
            context=source("{inbox_rule}"),
        ),
        *calls(GATEWAY, SEND, "{inbox_queue}", context=source("{inbox_rule}")),
        *calls(STRANGER, SEND, "{inbox_queue}", context=source("{inbox_rule}")),
    ],
)
ALARM = source("arn:aws:cloudwatch:{here}:alarm:Easel-RunFailed")
OTHER_ALARMS: tuple[Context, ...] = (
    {},
    source(f"arn:aws:cloudwatch:{THEIR_PLACE}:alarm:Easel-RunFailed"),
    source("arn:aws:cloudwatch:{here}:alarm:Easel-RunFailed", OTHER_ACCOUNT),
    source(f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:Easel-RunFailed"),
)
TOPIC = Expected(
    allowed=calls(CLOUDWATCH, "sns:Publish", "{topic}", context=ALARM),
    refused=[
        *(Call(CLOUDWATCH, "sns:Publish", "{topic}", alarm) for alarm in OTHER_ALARMS),
        *calls(CLOUDWATCH, "sns:Publish", "{topic}", context={**ALARM, **NO_TLS}),
        *calls(CLOUDWATCH, "sns:Subscribe sns:DeleteTopic", "{topic}", context=ALARM),
        *calls(EVENTS, "sns:Publish", "{topic}", context=ALARM),
        *calls(STRANGER, "sns:Publish", "{topic}", context=ALARM),
    ],
)
LINKS = Expected(
    allowed=[
        *calls(READER, "s3:GetObject", PICTURE, THUMBNAIL),
        *calls(UPLOADER, "s3:PutObject", *MANIFESTS, ARRIVED),
        *calls(READER, "s3:GetObject", UPLOADED),
        *calls("api", "sts:AssumeRole", "{reader}", "{uploader}"),
    ],
    refused=[
        *calls(READER, "s3:GetObject", STAGED, LINES_FILE, RESULT, REPORT, *MANIFESTS),
        *calls(READER, "s3:GetObject", "{access_log}/2026-01-01-00-00-00-ABCD"),
        *calls(READER, "s3:PutObject s3:DeleteObject s3:GetObjectVersion", PICTURE),
        *calls(READER, "s3:GetObject", ARRIVED),
        *calls(UPLOADER, "s3:PutObject", PICTURE, STAGED, LINES_FILE, REPORT, UPLOADED),
        *calls(UPLOADER, "s3:PutObject", "{images}/batches/inbox/spring.jsonl"),
        *calls(UPLOADER, "s3:PutObject", "{images}/batches/spring.png", "{images}/spring.jsonl"),
        *calls(UPLOADER, "s3:GetObject s3:DeleteObject", PICTURE, *MANIFESTS),
        *calls(READER, "s3:ListBucket", "{images}"),
        *calls(UPLOADER, "s3:ListBucket", "{images}"),
        *calls("upload", "sts:AssumeRole", "{reader}", "{uploader}"),
        *calls(STRANGER, "sts:AssumeRole", "{reader}", "{uploader}"),
    ],
)
LOG_FILE = "{access_log}/2026-01-01-00-00-00-ABCD"
EMPTY = "s3:DeleteObject s3:DeleteObjectVersion"
BUCKETS = Expected(
    allowed=[
        *calls(READER, "s3:GetObject", PICTURE, context={"s3:TlsVersion": "1.2"}),
        *calls(LOGGING, "s3:PutObject", LOG_FILE, context=source("{images}")),
        *calls(EMPTIER, EMPTY, PICTURE, LOG_FILE),
        *calls(EMPTIER, "s3:ListBucketVersions s3:PutBucketPolicy", "{images}", "{access_log}"),
    ],
    refused=[
        *calls(READER, "s3:GetObject", PICTURE, context=NO_TLS),
        *calls(READER, "s3:GetObject", PICTURE, context={"s3:TlsVersion": "1.1"}),
        *calls(UPLOADER, "s3:PutObject", *MANIFESTS, context=NO_TLS),
        *calls(LOGGING, "s3:PutObject", LOG_FILE),
        *calls(LOGGING, "s3:PutObject", LOG_FILE, context=source("arn:aws:s3:::others")),
        *calls(LOGGING, "s3:PutObject", LOG_FILE, context=source("{images}", OTHER_ACCOUNT)),
        *calls(LOGGING, "s3:PutObject", LOG_FILE, context={**source("{images}"), **NO_TLS}),
        *calls(LOGGING, "s3:PutObject", PICTURE, context=source("{images}")),
        *calls(LOGGING, "s3:GetObject", LOG_FILE, context=source("{images}")),
        *calls(EMPTIER, "s3:GetObject s3:PutObject", PICTURE, LOG_FILE),
        *calls(EMPTIER, EMPTY, PICTURE, LOG_FILE, context=NO_TLS),
        *calls(STRANGER, "s3:GetObject s3:DeleteObject", PICTURE, LOG_FILE),
        *calls(STRANGER, "s3:ListBucket", "{images}", "{access_log}"),
    ],
)
EXISTING_BUCKET = Expected(
    shape=EXISTING,
    allowed=[
        *calls(BATCHES_MACHINE, WRITE_RESULT, RESULT),
        *calls(READER, "s3:GetObject", PICTURE),
        *calls(UPLOADER, "s3:PutObject", *MANIFESTS),
    ],
    refused=[
        *calls(BATCHES_MACHINE, WRITE_RESULT, *NOT_OF_A_BATCH),
        *calls(READER, "s3:GetObject", STAGED, REPORT, *MANIFESTS),
        *calls(UPLOADER, "s3:PutObject", PICTURE, REPORT),
    ],
)
MIRRORED = Expected(
    shape=ELSEWHERE,
    allowed=[
        *calls(RUNS_MACHINE, INVOKE, *STEPS, "{mirror}"),
        *calls(BATCHES_MACHINE, INVOKE, *STEPS, "{mirror}", "{batch}", "{economy}"),
    ],
    refused=calls(INBOX, INVOKE, "{mirror}"),
)
PROBLEMS_FILE = "{images}/staging/@spring/spring.20260101000000-abcd/problems.jsonl"
PLAN_FILE = "{images}/staging/@spring/spring.20260101000000-abcd/lines.jsonl"
FAILURES_FILE = "{images}/batches/spring/failures.jsonl"
BATCHES_OF_API = Expected(
    allowed=[
        *calls("api", "s3:GetObject", PROBLEMS_FILE, PLAN_FILE, FAILURES_FILE),
        *calls("api", WATCH, "{batch_execution}:spring", "{run_execution}:run-1"),
        *calls("api", "states:ListExecutions", "{runs}", "{batches}"),
    ],
    refused=[
        *calls("api", "s3:GetObject", LINES_FILE, RESULT, *NOT_OF_A_BATCH),
        *calls("api", "s3:PutObject", PROBLEMS_FILE, PLAN_FILE, FAILURES_FILE),
        *calls("api", REDRIVE, "{batch_execution}:spring"),
        *calls("api", "states:StopExecution", "{batch_execution}/EachLine:uuid"),
        *calls("events", "states:StopExecution", "{batch_execution}:spring"),
    ],
)
SUBJECTS = {
    "machines": MACHINES,
    "rules": RULES,
    "gateway": GATEWAYS,
    "queues": QUEUES,
    "topic": TOPIC,
    "links": LINKS,
    "batches of the API": BATCHES_OF_API,
    "buckets": BUCKETS,
    "existing bucket": EXISTING_BUCKET,
    "mirror": MIRRORED,
}
