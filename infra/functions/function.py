"""One function: its own code, role and log group, and nothing that it does not import."""

from typing import cast

from aws_cdk import Duration, IgnoreMode, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_lambda import Architecture, Runtime
from constructs import Construct

from infra import ROOT
from infra.nag import acknowledge, acknowledge_wildcard

RUNTIME = Runtime.PYTHON_3_14
ARCHITECTURE = Architecture.ARM_64

# Lambda puts only what it was given asynchronously into a dead-letter queue.
CALLED = "Called synchronously, by Step Functions or API Gateway, which hand its error to the run or the caller"

_BASE = ("__init__", "cold_start", "errors", "keys", "settings", "signals", "telemetry")
_MODELS = ("models.py", "models.toml")
_STORAGE = ("__init__", "aws", "budget", "claims", "object_store", "records", "shelves", "table")
# What checks and prices a request is the prompt step's own.
_PRICING = ("prompt/__init__.py", "prompt/writing.py", "prompt/pricing.py")
_OPENAI = ("api_key", "openai_answers", "openai_client", "openai_errors", "workload_identity")


def _files(step: str, *modules: str, adapters: tuple[str, ...], data: tuple[str, ...] = ()) -> tuple[str, ...]:
    top = (*(f"{module}.py" for module in (*_BASE, *modules)), *data)
    return (*top, *(f"adapters/{module}.py" for module in adapters), f"{step}/*.py")


# What each asset holds, below functions/. A test imports every handler from its asset alone.
FILES = {
    "prompt": _files("prompt", "contract", "deadline", "request", adapters=(*_STORAGE, *_OPENAI, "openai_api"), data=_MODELS),
    "image": _files(
        "image", "contract", "deadline", "owing", "purchase", adapters=(*_STORAGE, *_OPENAI, "openai_api", "pace"), data=_MODELS
    ),
    "upload": _files("upload", "contract", "owing", adapters=_STORAGE),
    "mirror": _files("mirror", "contract", adapters=(*_STORAGE, "mirror_store")),
    "cleanup": _files("cleanup", "contract", "deadline", "request", adapters=_STORAGE, data=_MODELS),
    "batch": _files("batch", "contract", "json_lines", "request", adapters=(*_STORAGE, "batches", "history"), data=(*_MODELS, *_PRICING)),
    "economy": _files(
        "economy",
        "contract",
        "deadline",
        "json_lines",
        "purchase",
        adapters=(*_STORAGE, *_OPENAI, "openai_batches", "orders"),
        data=_MODELS,
    ),
    # Its page's files are data.
    "api": (
        *_files(
            "api",
            "request",
            adapters=(*_STORAGE, "batches", "executions", "gallery", "history", "links", "map_runs", "signing", "uploads"),
            data=(*_MODELS, *_PRICING, "batch/__init__.py", "batch/asked.py"),
        ),
        "api/web/**",
    ),
    "events": _files("events", adapters=(*(file for file in _STORAGE if file != "object_store"), "bus", "history")),
    "bucket_check": ("__init__.py", "cold_start.py", "errors.py", "adapters/__init__.py", "adapters/aws.py", "bucket_check/*.py"),
}


class StepFunction(Construct):
    """The function behind one state, named by the state's noun; or behind the API."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        step: str,
        timeout: Duration,
        memory_mb: int,
        environment: dict[str, str],
        layers: list[lambda_.ILayerVersion],
        no_dead_letters: str = CALLED,
        dead_letters: sqs.IQueue | None = None,
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY, encryption_key=key
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log_group.grant_write(self.role)
        self.timeout = timeout
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            handler=f"functions.{step}.handler.handler",
            code=lambda_.Code.from_asset(str(ROOT), ignore_mode=IgnoreMode.GIT, exclude=asset_filter(step)),
            role=self.role,
            log_group=self.log_group,
            timeout=timeout,
            memory_size=memory_mb,
            environment=environment,
            layers=layers,
            tracing=lambda_.Tracing.ACTIVE,
            description=f"Easel: {step}",
        )
        acknowledge_wildcard(self.role, "*", "X-Ray's two actions of the function's traces, which have no resource to name")
        if dead_letters is None:
            acknowledge(self.function, "Serverless-LambdaDLQ", no_dead_letters)
            return
        # The construct's own property would let the role do with a customer's key more than sending needs.
        resource = cast("lambda_.CfnFunction", self.function.node.default_child)
        resource.dead_letter_config = lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=dead_letters.queue_arn)
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead_letters.queue_arn]))


def asset_filter(step: str) -> list[str]:
    """Ignore everything but this step's files, and keep their package path."""
    folders = sorted({file.rpartition("/")[0] for file in FILES[step]} - {""})
    keep_folders = [line for folder in folders for line in (f"!/functions/{folder}", f"/functions/{folder}/*")]
    return ["/*", "!/functions", "/functions/*", *keep_folders, *(f"!/functions/{file}" for file in FILES[step])]
