"""The stack: it only wires. Read from top to bottom, it is the list of what is deployed."""

from typing import Any

from aws_cdk import Annotations, Aws, CfnCondition, CfnOutput, CfnParameter, Duration, Environment, Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions import models, settings
from infra.batch import WORK, BatchWorkflow
from infra.config import Config
from infra.existing_bucket import ExistingBucketCheck
from infra.function import StepFunction
from infra.http_api import HttpApi
from infra.image_store import DELETED_DAYS, ImageStore
from infra.inbox import BatchInbox
from infra.layers import MIRROR_NAMES, NAMES, Layers
from infra.mirror import Mirror
from infra.openai_key import OpenAIIdentity, OpenAIKey
from infra.reader import Reader
from infra.records import INDEXES, RecordsTable
from infra.schedule import RunSchedule
from infra.sign_in import SignIn
from infra.uploader import Uploader
from infra.workflow import BatchSteps, Steps, Workflow

OWN_URL = "own"


class EaselStack(Stack):
    """A bucket, a table, a secret, six steps and two state machines; the API with its sign-in; a schedule where one is set."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        # The region is a setting; the account is that of the deploying credentials, so that synth looks nothing up.
        where = Environment(region=config.aws_region)
        super().__init__(scope, construct_id, env=where, description="Easel: AI pictures, made on Lambda and kept in S3")
        self._config = config
        self._images = ImageStore(self, "Images", name=config.bucket_name, existing=config.existing_bucket, retain=config.retain_images)
        if config.existing_bucket:
            ExistingBucketCheck(self, "ExistingBucket", bucket=self._images.bucket)
        self._records = RecordsTable(self, "Records", retain=config.retain_images)
        identity = config.openai_workload_identity
        self._account = OpenAIIdentity(identity) if identity else OpenAIKey(self, "OpenAIKey")
        names = MIRROR_NAMES if config.mirror else NAMES
        self._layers = Layers(self, "Layers", names=names).by_name if config.layers else {}
        # Sizes are measured, times are from what a call may take: docs/decisions/0023-sizes.md.
        steps = Steps(
            prompt=self._step("Prompt", timeout=Duration.seconds(90), memory_mb=256, layers=("openai", "pydantic")),
            image=self._step("Image", timeout=Duration.minutes(5), memory_mb=448, layers=("openai", "pydantic", "pybase64")),
            upload=self._step("Upload", timeout=Duration.minutes(2), memory_mb=1024, layers=("pillow",)),
            cleanup=self._step("Cleanup", timeout=Duration.minutes(15), memory_mb=256),
            mirror=self._mirror(config.mirror) if config.mirror else None,
        )
        self._grant(steps)
        workflow = Workflow(self, "Workflow", steps=steps, max_parallel_images=config.max_parallel_images)
        of_batches = BatchSteps(
            batch=self._step("Batch", timeout=Duration.minutes(15), memory_mb=1024),
            economy=self._step("Economy", timeout=Duration.minutes(15), memory_mb=512, layers=("openai", "pydantic", "pybase64")),
        )
        self._grant_batch(of_batches)
        if config.mirror:
            for told in (of_batches.batch, of_batches.economy):
                told.function.add_environment(settings.MIRROR, config.mirror)
        batches = BatchWorkflow(self, "BatchWorkflow", steps=steps, batch=of_batches, bucket=self._images.bucket)
        BatchInbox(self, "BatchInbox", bucket=self._images.bucket, state_machine=batches.state_machine)
        if config.schedule:
            RunSchedule(self, "Schedule", expression=config.schedule, state_machine=workflow.state_machine)
        self._warn()
        self._output(workflow, batches)
        self._api(workflow, batches)

    def _api(self, workflow: Workflow, batches: BatchWorkflow) -> None:
        """The API, its sign-in and its function, which knows where both are."""
        http_api, sign_in = HttpApi(self, "HttpApi"), SignIn(self, "SignIn", retain=self._config.retain_images)
        page_url = self._page_url(http_api)
        machines = sign_in.for_machines()
        page = sign_in.for_page(page_url) if self._config.public_page else None
        api = self._step("Api", timeout=Duration.seconds(29), memory_mb=1024, layers=("pydantic",))
        reader = Reader(self, "Reader", bucket=self._images.bucket, by=api.role)
        uploader = Uploader(self, "Uploader", bucket=self._images.bucket, by=api.role)
        for name, value in (
            (settings.STATE_MACHINE, workflow.state_machine.state_machine_arn),
            (settings.BATCH_STATE_MACHINE, batches.state_machine.state_machine_arn),
            (settings.PAGE_URL, page_url),
            (settings.READER_ROLE, reader.role.role_arn),
            (settings.UPLOADER_ROLE, uploader.role.role_arn),
            (settings.USER_POOL, sign_in.pool.user_pool_id),
            (settings.PAGE_CLIENT, page.user_pool_client_id if page else settings.NO_PAGE),
            (settings.SIGN_IN_URL, sign_in.url),
        ):
            api.function.add_environment(name, value)
        self._grant_api(api, workflow)
        self._grant_api_batches(api, batches)
        clients = [client.user_pool_client_id for client in (page, machines) if client]
        http_api.add_routes(api.function, issuer=sign_in.issuer, clients=clients, page=self._config.public_page)
        outputs = {
            "ApiUrl": (page_url, "The API, and the page where it is public"),
            "UserPoolId": (sign_in.pool.user_pool_id, "Who may sign in; make user adds one"),
            "MachineClientId": (machines.user_pool_client_id, "The sign-in of programs; make token uses it"),
            "SignInUrl": (sign_in.url, "Where the sign-in is"),
        }
        if page:
            outputs["PageClientId"] = (page.user_pool_client_id, "The sign-in of the page")
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)

    def _mirror(self, url: str) -> StepFunction:
        """The step that copies what is stored to a second store."""
        step = self._step("Mirror", timeout=Duration.minutes(5), memory_mb=512, layers=("obstore",))
        mirror = Mirror(self, "MirrorStore", url=url, step=step, pictures=self._images.bucket)
        _allow(step, ["dynamodb:UpdateItem"], self._records.table.table_arn)
        CfnOutput(self, "MirrorSecret", value=mirror.secret.ref, description=f"How {url} is reached; set its value by hand")
        return step

    def _page_url(self, http_api: HttpApi) -> str:
        """The address at which people reach the page: the API's own, or what the parameter says, such as a domain in front of it."""
        said = f"The address of the API and its page, with a slash at the end; {OWN_URL} is the API's own"
        # The default is a word, since synth's own check takes it for the address, which must not be empty.
        given = CfnParameter(self, "PageUrl", default=OWN_URL, allowed_pattern=f"{OWN_URL}|https?://.+/", description=said)
        own = CfnCondition(self, "OwnPageUrl", expression=Fn.condition_equals(given.value_as_string, OWN_URL))
        return Fn.condition_if(own.logical_id, http_api.url, given.value_as_string).to_string()

    def _step(self, name: str, *, timeout: Duration, memory_mb: int, layers: tuple[str, ...] = ()) -> StepFunction:
        # boto3 comes pinned, too: the runtime's own changes under us, and may not know If-None-Match on CopyObject.
        names = ("boto3", "powertools", *layers)
        used: list[lambda_.ILayerVersion] = [self._layers[layer] for layer in names] if self._layers else []
        environment = self._environment()
        return StepFunction(self, name, step=name.lower(), timeout=timeout, memory_mb=memory_mb, environment=environment, layers=used)

    def _environment(self) -> dict[str, str]:
        config = self._config
        environment = {
            settings.BUCKET: self._images.bucket.bucket_name,
            settings.BUCKET_OWNER: Aws.ACCOUNT_ID,
            settings.TABLE: self._records.table.table_name,
            **self._account.environment,
            settings.FOLDER: config.folder_name,
            settings.TOPICS: settings.TOPIC_SEPARATOR.join(config.topics),
            settings.CHAT_MODEL: config.chat_model,
            settings.IMAGE_MODEL: config.image_model,
            settings.MONTHLY_BUDGET: str(config.monthly_budget_usd),
            settings.UNPRICED_MODELS: config.unpriced_models,
            settings.RECOVERABLE_DAYS: settings.OWNER_DECIDES if config.existing_bucket else str(DELETED_DAYS),
            settings.IMAGES_PER_MINUTE: str(config.images_per_minute or settings.NO_LIMIT),
            settings.MAX_PARALLEL_IMAGES: str(config.max_parallel_images),
            settings.TOLERATED_FAILURES: f"{config.tolerated_failure_percentage:g}",
            settings.MAX_BATCH_LINES: str(config.max_batch_lines),
        }
        if config.openai_base_url:
            environment[settings.OPENAI_BASE_URL] = config.openai_base_url
        return environment

    def _grant(self, steps: Steps) -> None:
        """Exact actions on exact prefixes. Only cleanup may delete."""
        objects = self._images.bucket.arn_for_objects
        table = self._records.table
        bucket = self._images.bucket.bucket_arn
        transact = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        for step in (steps.prompt, steps.image):
            self._account.grant(step.role)
        # A key that ends in a slash is a folder marker.
        _allow(steps.prompt, ["s3:PutObject"], objects("*/"))
        _allow(steps.prompt, transact, table.table_arn)
        _allow(steps.image, ["s3:PutObject", "s3:GetObject"], objects("staging/*"))
        _allow(steps.image, [*transact, "dynamodb:Query"], table.table_arn)
        _allow(steps.upload, ["s3:PutObject", "s3:GetObject"], objects("*"))
        _allow(steps.upload, ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"], table.table_arn)
        _allow(steps.cleanup, ["s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion"], objects("*"))
        _allow(steps.cleanup, ["s3:ListBucketVersions"], bucket)
        _allow(steps.cleanup, ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"], table.table_arn)
        # Without the right to list, S3 answers 403 and not 404 for an object that is not there.
        for step in (steps.image, steps.upload, steps.cleanup):
            _allow(step, ["s3:ListBucket"], bucket)

    def _grant_batch(self, of_batches: BatchSteps) -> None:
        """Batch reads manifests and writes what becomes of them; economy buys, so it may what the image step may."""
        objects, table = self._images.bucket.arn_for_objects, self._records.table.table_arn
        batch, economy = of_batches.batch, of_batches.economy
        self._account.grant(economy.role)
        _allow(economy, ["s3:PutObject", "s3:GetObject"], objects("staging/*"))
        _allow(economy, ["s3:ListBucket"], self._images.bucket.bucket_arn)
        change = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        _allow(economy, ["dynamodb:GetItem", "dynamodb:BatchGetItem", *change], table)
        for prefix in ("batches/*", WORK):
            _allow(batch, ["s3:GetObject", "s3:PutObject"], objects(prefix))
        _allow(batch, ["s3:GetObjectVersion"], objects("batches/*"))
        _allow(batch, ["s3:ListBucket"], self._images.bucket.bucket_arn)
        _allow(batch, ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], table)

    def _grant_api(self, api: StepFunction, workflow: Workflow) -> None:
        """It reads the table and handles executions: what is paid for, written or deleted is done by the steps that those start."""
        machine = workflow.state_machine.state_machine_arn
        table = self._records.table.table_arn
        _allow(api, ["states:StartExecution", "states:ListExecutions"], machine)
        handled = ["DescribeExecution", "GetExecutionHistory", "StopExecution", "RedriveExecution"]
        executions = f"{Fn.join(':execution:', Fn.split(':stateMachine:', machine, 2))}:*"
        _allow(api, [f"states:{action}" for action in handled], executions)
        _allow(api, ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], table)
        for index in INDEXES:
            _allow(api, ["dynamodb:Query"], f"{table}/index/{index}")
        # A month's first reader writes its budget, and nothing else.
        budget = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["budget*"]}}
        _allow(api, ["dynamodb:PutItem", "dynamodb:UpdateItem"], table, conditions=budget)

    def _grant_api_batches(self, api: StepFunction, batches: BatchWorkflow) -> None:
        """It starts batches, and looks at them and their lines."""
        machine = batches.state_machine.state_machine_arn
        _allow(api, ["states:StartExecution", "states:ListExecutions"], machine)
        looked = ["states:DescribeExecution", "states:GetExecutionHistory", "states:ListMapRuns"]
        _allow(api, looked, f"{Fn.join(':execution:', Fn.split(':stateMachine:', machine, 2))}:*")
        # A line's execution has the label of its Map in its ARN.
        lines = f"{Fn.join(':execution:', Fn.split(':stateMachine:', machine, 2))}/*"
        _allow(api, ["states:DescribeExecution", "states:GetExecutionHistory"], lines)
        # A Map Run's ARN goes on with the label of its Map.
        _allow(api, ["states:DescribeMapRun"], f"{Fn.join(':mapRun:', Fn.split(':stateMachine:', machine, 2))}/*")

    def _warn(self) -> None:
        if self._config.unpriced_models == "allow":
            said = "unpriced_models is allow: the budget's cap does not hold for models with no known price"
            Annotations.of(self).add_warning_v2("easel:no-cap", said)
        for model in (self._config.chat_model, self._config.image_model):
            end = models.shutdown(model)
            if end:
                said = f"{model} ends on {end[0]}: from that day on its runs are refused; use {end[1]} in its place"
                Annotations.of(self).add_warning_v2(f"easel:shutdown-{model}", said)

    def _output(self, workflow: Workflow, batches: BatchWorkflow) -> None:
        machine, bucket = workflow.state_machine.state_machine_arn, self._images.bucket.bucket_name
        console = f"https://{Aws.REGION}.console.aws.amazon.com"
        for name, value, description in (
            ("Bucket", bucket, "Where the pictures are"),
            ("Table", self._records.table.table_name, "What is known of them"),
            ("StateMachineArn", machine, "Start an execution of it with {} or a request"),
            ("BatchStateMachineArn", batches.state_machine.state_machine_arn, "Start an execution of it with a manifest in the bucket"),
            ("MonthlyBudgetUsd", str(self._config.monthly_budget_usd), "The cap of this deployment; make budget changes it at once"),
            *self._account.outputs,
            ("StartHere", f"{console}/states/home?region={Aws.REGION}#/statemachines/view/{machine}", "The machine in the console"),
            ("PicturesHere", f"{console}/s3/buckets/{bucket}?region={Aws.REGION}&tab=objects", "The bucket in the console"),
        ):
            CfnOutput(self, name, value=value, description=description)


def _allow(step: StepFunction, actions: list[str], resource: str, *, conditions: dict[str, Any] | None = None) -> None:
    step.role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions))
