"""The catalogue. Each row describes one function completely.

A new function needs its code in functions/, its row here, and a state or trigger that calls it.
"""

from dataclasses import dataclass
from enum import Enum

from aws_cdk import Duration

from easel.contract.metric_names import SOURCE
from easel.contract.naming import GALLERY_INDEXES, REFERENCE_INBOX, SHARED
from easel.contract.settings import (
    DELIVERY_BUCKET,
    MIRROR,
    ApiSettings,
    BatchSettings,
    EventSettings,
    MirroredSettings,
    MirrorSettings,
    OpenAISettings,
    RateSettings,
    RequestSettings,
    ScheduleSettings,
    Settings,
    SharingSettings,
    StorageSettings,
    TimeSettings,
)
from easel.ledger.batches import FAILURES, LINES, PROBLEMS
from infra.access.grants import Grant, Resource, read_images

minutes, seconds = Duration.minutes, Duration.seconds
BY_SETTING = None  # Config.timeouts has the timeout of this function


class Caller(Enum):
    """The caller of a function, and why nothing is lost if the call fails."""

    MACHINE = "Step Functions calls it, waits for its answer, and reports its error in the run"
    GATEWAY = "API Gateway calls it, waits for its answer, and returns its error to the caller"
    EVENTS = "Nothing waits for its answer: failed events go into a dead-letter queue"
    CLOUDFORMATION = (
        "CloudFormation calls it, waits for its answer, and otherwise fails the deployment"
    )


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """The contents, settings and permissions of a function.

    `layers` are added to the base layer; None means no layers at all. `folders` of easel/ are
    shipped in addition to contract and aws. The environment has exactly the variables of
    `settings`. `has_page` adds the files of the page. `only_with` is the environment variable
    without which the function is not deployed.
    """

    name: str
    caller: Caller = Caller.MACHINE
    timeout: Duration | None
    memory_mb: int
    layers: tuple[str, ...] | None = ()
    folders: tuple[str, ...] = ("request", "ledger")
    settings: tuple[type[Settings], ...] = (StorageSettings,)
    has_page: bool = False
    grants: tuple[Grant, ...]
    only_with: str | None = None


def _table(*actions: str) -> Grant:
    return Grant(tuple(f"dynamodb:{action}" for action in actions), Resource.TABLE)


def _objects(path: str, *actions: str, reason: str) -> Grant:
    return Grant(tuple(f"s3:{action}" for action in actions), Resource.BUCKET, path, reason)


def _executions(resource: Resource, path: str, *actions: str) -> Grant:
    reason = "Executions of this state machine, whose names are known only when they start"
    return Grant(tuple(f"states:{action}" for action in actions), resource, path, reason)


# Without permission to list, S3 answers 403 instead of 404 for a missing object.
FIND_OBJECTS = Grant(("s3:ListBucket",), Resource.BUCKET)
STAGING = _objects(
    "/staging/*",
    "PutObject",
    "GetObject",
    reason="Staged bytes are stored under the run's id, which is known only when the run starts",
)
# The run's first step looks up the images that a request names and notes their versions. The buying
# step reads these versions.
IN_ANY_FOLDER = "Requests name the images that others are made from; other files are denied"
USE_REFERENCES = read_images("s3:GetObject", reason=IN_ANY_FOLDER)
READ_REFERENCES = read_images("s3:GetObjectVersion", reason=IN_ANY_FOLDER)
# A tag decides whether an upload expires.
TAG_UPLOADS = tuple(
    _objects(path, "PutObjectTagging", reason="Each upload has a random name")
    for path in ("/references/*", "/thumbnails/references/*")
)
# A deployment with a key in a secret has the first resource, and one with a workload identity has
# the second: https://developers.openai.com/api/docs/guides/workload-identity-federation/aws
CALL_OPENAI = (
    Grant(("secretsmanager:GetSecretValue",), Resource.OPENAI_SECRET),
    Grant(
        ("sts:GetWebIdentityToken",),
        Resource.OPENAI_IDENTITY,
        conditions={
            "ForAllValues:StringEquals": {"sts:IdentityTokenAudience": "https://api.openai.com/v1"},
            "NumericLessThanEquals": {"sts:DurationSeconds": 300},
        },
    ),
)
READ_STREAM = (
    Grant(
        ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
        Resource.STREAM,
    ),
    # Lambda lists this among the actions that it requires to create the stream's trigger. AWS
    # grants it on everything, too, because the action has no resource:
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaDynamoDBExecutionRole.html
    # https://github.com/awsdocs/aws-lambda-developer-guide/issues/237
    Grant(
        ("dynamodb:ListStreams",),
        Resource.EVERYTHING,
        reason="Lambda requires it for a stream, and the action has no resource to name",
    ),
)


# Memory sizes are measured. Timeouts follow from how long a call may take:
# docs/decisions/0023-size-each-function-by-measurement.md.
PROMPT = FunctionSpec(
    name="prompt",
    timeout=BY_SETTING,
    memory_mb=768,
    layers=("openai", "pydantic"),
    folders=("request", "ledger", "openai_client"),
    settings=(StorageSettings, RequestSettings, OpenAISettings, TimeSettings),
    grants=(
        *CALL_OPENAI,
        _objects(
            "/*/",
            "PutObject",
            reason=(
                "Requests name the folders; this function puts only their markers, which end in a "
                "slash"
            ),
        ),
        *USE_REFERENCES,
        FIND_OBJECTS,
        *TAG_UPLOADS,
        _table(
            *("GetItem", "BatchGetItem", "Query", "ConditionCheckItem"),
            *("PutItem", "UpdateItem", "DeleteItem"),
        ),
    ),
)
IMAGE = FunctionSpec(
    name="image",
    timeout=BY_SETTING,
    memory_mb=448,
    layers=("openai", "pydantic"),
    folders=("request", "ledger", "openai_client"),
    settings=(StorageSettings, OpenAISettings, RateSettings, TimeSettings),
    grants=(
        *CALL_OPENAI,
        STAGING,
        FIND_OBJECTS,
        *READ_REFERENCES,
        _table("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
    ),
)
UPLOAD = FunctionSpec(
    name="upload",
    timeout=minutes(2),
    memory_mb=1024,
    layers=("pillow",),
    folders=("request", "ledger", "images"),
    grants=(
        _objects("/*", "PutObject", "GetObject", reason="Requests name an image's folder"),
        FIND_OBJECTS,
        _table("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
    ),
)
CLEANUP = FunctionSpec(
    name="cleanup",
    timeout=minutes(15),
    memory_mb=1024,
    settings=(StorageSettings, RequestSettings, SharingSettings),
    grants=(
        _objects(
            "/*",
            *("GetObject", "GetObjectVersion", "DeleteObject", "DeleteObjectVersion", "PutObject"),
            reason="Requests name the image or folder to delete or to move; no other role deletes",
        ),
        FIND_OBJECTS,
        *TAG_UPLOADS,
        Grant(("s3:ListBucketVersions",), Resource.BUCKET),
        _table("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
        Grant(
            ("s3:PutObject", "s3:DeleteObject"),
            Resource.DELIVERY,
            f"/{SHARED}*",
            "The address of a share cannot be guessed, and the page's files are elsewhere",
        ),
        Grant(("s3:ListBucket",), Resource.DELIVERY),
    ),
)
MIRRORING = FunctionSpec(
    name="mirror",
    timeout=minutes(5),
    memory_mb=512,
    layers=("obstore",),
    settings=(StorageSettings, MirrorSettings),
    grants=(
        Grant(("secretsmanager:GetSecretValue",), Resource.MIRROR_SECRET),
        _objects("/*", "GetObject", reason="It reads the image that it is given, in any folder"),
        FIND_OBJECTS,
        Grant(
            ("s3:PutObject", "s3:GetObject"),
            Resource.MIRROR_BUCKET,
            "/*",
            reason="It writes only under the mirror's prefix",
        ),
        _table("GetItem", "UpdateItem"),
    ),
    only_with=MIRROR,
)
# These are the working files and results of a batch's start. A run's staging never has this prefix.
BATCH_WORK = "/staging/@*"
OWN_FILES = "A batch's files are stored under its name"
BATCH = FunctionSpec(
    name="batch",
    timeout=minutes(15),
    memory_mb=1024,
    settings=(StorageSettings, RequestSettings, BatchSettings, MirroredSettings),
    grants=(
        _objects("/batches/*", "GetObject", "GetObjectVersion", "PutObject", reason=OWN_FILES),
        _objects(BATCH_WORK, "GetObject", "PutObject", reason=OWN_FILES),
        # It reads its own files as well, so these are not denied.
        _objects("/*", "GetObject", reason="Lines name the images that others are made from"),
        Grant(("s3:GetObject",), Resource.BUCKET, f"/{REFERENCE_INBOX}*", deny=True),
        FIND_OBJECTS,
        _table("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"),
    ),
)
ECONOMY = FunctionSpec(
    name="economy",
    timeout=minutes(15),
    memory_mb=512,
    layers=("openai", "pydantic"),
    folders=("request", "ledger", "openai_client"),
    settings=(StorageSettings, OpenAISettings, MirroredSettings),
    # It buys images, so it has the image step's permissions.
    grants=(
        *CALL_OPENAI,
        STAGING,
        FIND_OBJECTS,
        *READ_REFERENCES,
        _table("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"),
    ),
)
REFERENCES = FunctionSpec(
    name="references",
    caller=Caller.EVENTS,
    timeout=minutes(2),
    memory_mb=1024,
    layers=("pillow",),
    folders=("request", "ledger", "images"),
    grants=(
        _objects(f"/{REFERENCE_INBOX}*", "GetObject", reason="Each upload has a random name"),
        *(
            _objects(path, *actions, reason="Each upload has a random name")
            for path, actions in (
                ("/references/*", ("PutObject", "PutObjectTagging", "GetObject")),
                ("/thumbnails/references/*", ("PutObject", "PutObjectTagging")),
            )
        ),
        FIND_OBJECTS,
        # It decodes files from people, so it has no access to the records of money.
        Grant(
            ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
            Resource.TABLE,
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["upload#*"]}},
        ),
        Grant(("sqs:SendMessage",), Resource.DEAD_LETTERS),
    ),
)
EVENTS = FunctionSpec(
    name="events",
    caller=Caller.EVENTS,
    timeout=seconds(30),
    memory_mb=256,
    layers=("jwt",),
    folders=("request", "ledger", "runs"),
    settings=(StorageSettings, EventSettings),
    grants=(
        # The records of a run that has ended, and an execution whose event lacks its input.
        _table("Query"),
        _executions(Resource.RUN_EXECUTIONS, ":*", "DescribeExecution"),
        _executions(Resource.BATCH_EXECUTIONS, ":*", "DescribeExecution"),
        Grant(("secretsmanager:GetSecretValue",), Resource.SIGNING_SECRET),
        Grant(
            ("events:PutEvents",),
            Resource.EVENT_BUS,
            # A call can send several events, so the key has several values. Without the second
            # condition, a call that has no source at all would meet the first.
            conditions={
                "ForAllValues:StringEquals": {"events:source": SOURCE},
                "Null": {"events:source": "false"},
            },
        ),
        *READ_STREAM,
        Grant(("sqs:SendMessage",), Resource.DEAD_LETTERS),
    ),
)
INDEX = FunctionSpec(
    name="index",
    caller=Caller.EVENTS,
    timeout=minutes(2),
    memory_mb=512,
    folders=("request", "ledger", "search"),
    grants=(
        # It reads what is searched about images.
        Grant(
            ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"),
            Resource.TABLE,
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["run#*", "search#*"]}},
        ),
        Grant(
            ("dynamodb:PutItem", "dynamodb:UpdateItem"),
            Resource.TABLE,
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["search#*"]}},
        ),
        # A charge moves from the list into the sums of its month.
        Grant(
            ("dynamodb:UpdateItem", "dynamodb:DeleteItem"),
            Resource.TABLE,
            conditions={
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["charges#*", "spending#*"]}
            },
        ),
        # The rebuild reads the stored images, oldest first.
        Grant(("dynamodb:Query",), Resource.TABLE, "/index/by_time"),
        *READ_STREAM,
        Grant(("sqs:SendMessage",), Resource.DEAD_LETTERS),
    ),
)
NOTED = ["pk", "sk", "status", "favourite", "hidden", "tags"]
# It reads the table and handles executions. Buying, storing and deleting are left to the steps of
# the runs that it starts.
API = FunctionSpec(
    name="api",
    caller=Caller.GATEWAY,
    timeout=seconds(29),
    memory_mb=1024,
    layers=("cron", "pydantic"),
    folders=("request", "ledger", "runs", "schedules", "search", "page"),
    settings=(StorageSettings, RequestSettings, BatchSettings, ScheduleSettings, ApiSettings),
    has_page=True,
    grants=(
        Grant(("states:StartExecution", "states:ListExecutions"), Resource.RUNS),
        _executions(
            Resource.RUN_EXECUTIONS,
            ":*",
            *("DescribeExecution", "GetExecutionHistory", "StopExecution", "RedriveExecution"),
        ),
        Grant(("states:StartExecution", "states:ListExecutions"), Resource.BATCHES),
        _executions(
            Resource.BATCH_EXECUTIONS,
            ":*",
            *("DescribeExecution", "GetExecutionHistory", "ListMapRuns", "StopExecution"),
        ),
        # The ARN of a line's execution contains the label of its Map. The ARN of a Map Run ends
        # with it.
        _executions(Resource.BATCH_EXECUTIONS, "/*", "DescribeExecution", "GetExecutionHistory"),
        _executions(Resource.MAP_RUNS, "/*", "DescribeMapRun", "ListExecutions"),
        # Of the bucket it reads only the lists of a batch's lines and of their failures.
        *(
            _objects(path, "GetObject", reason=OWN_FILES)
            for path in (
                f"{BATCH_WORK}/{LINES}",
                f"{BATCH_WORK}/{PROBLEMS}",
                f"/batches/*/{FAILURES}",
            )
        ),
        FIND_OBJECTS,
        _table("GetItem", "BatchGetItem", "Query"),
        *(Grant(("dynamodb:Query",), Resource.TABLE, f"/index/{name}") for name in GALLERY_INDEXES),
        # It writes budgets and their limits, the names of people, presets, and uploads' records.
        # Nothing else is written.
        Grant(
            ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
            Resource.TABLE,
            conditions={
                "ForAllValues:StringLike": {
                    "dynamodb:LeadingKeys": ["budget*", "limits", "people", "presets", "upload#*"]
                }
            },
        ),
        # Of an image's record it changes nothing but what people note about it.
        Grant(
            ("dynamodb:UpdateItem",),
            Resource.TABLE,
            conditions={
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["run#*"]},
                "ForAllValues:StringEquals": {"dynamodb:Attributes": NOTED},
            },
        ),
        Grant(("cognito-idp:ListUsers",), Resource.USERS),
        Grant(
            tuple(f"scheduler:{verb}Schedule" for verb in ("Get", "Create", "Update", "Delete")),
            Resource.SCHEDULES,
            "/*",
            "Callers name the schedules of this deployment's own group",
        ),
        Grant(
            ("scheduler:ListSchedules",),
            Resource.EVERYTHING,
            reason="The action has no resource to name; the list shows names and targets only",
        ),
        Grant(
            ("iam:PassRole",),
            Resource.SCHEDULER_ROLE,
            conditions={"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        ),
        Grant(("sts:AssumeRole",), Resource.READER_ROLE),
        Grant(("sts:AssumeRole",), Resource.UPLOADER_ROLE),
    ),
)
ADOPTION = FunctionSpec(
    name="adoption",
    caller=Caller.CLOUDFORMATION,
    timeout=seconds(60),
    memory_mb=256,
    layers=None,
    folders=(),
    settings=(),
    grants=(
        Grant(
            (
                *("s3:GetBucketLocation", "s3:GetBucketVersioning"),
                *("s3:GetEncryptionConfiguration", "s3:ListBucket"),
            ),
            Resource.EXISTING_BUCKET,
        ),
        Grant(("dynamodb:DescribeTable",), Resource.EXISTING_TABLE),
    ),
)
SITE = FunctionSpec(
    name="site",
    caller=Caller.CLOUDFORMATION,
    timeout=minutes(5),
    memory_mb=512,
    layers=None,
    folders=("request", "page"),
    settings=(),
    has_page=True,
    grants=(
        Grant(
            ("s3:PutObject", "s3:DeleteObject"),
            Resource.DELIVERY,
            "/*",
            "The page has dozens of files, and a destroyed stack leaves none of them",
        ),
        Grant(("s3:ListBucket",), Resource.DELIVERY),
    ),
    only_with=DELIVERY_BUCKET,
)
# The dashboard shows the functions in this order.
CATALOGUE = (
    PROMPT,
    IMAGE,
    UPLOAD,
    CLEANUP,
    MIRRORING,
    BATCH,
    ECONOMY,
    REFERENCES,
    EVENTS,
    INDEX,
    API,
    ADOPTION,
    SITE,
)
