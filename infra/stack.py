"""The stack: it only wires. Read from top to bottom, it is the list of what is deployed."""

from collections.abc import Mapping

from aws_cdk import Annotations, Aws, CfnCondition, CfnOutput, CfnParameter, Duration, Environment, Fn, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from easel.request import models
from easel.contract import settings
from infra.functions import permissions
from infra.operations.alarms import Alarms
from infra.workflows.batch import BatchWorkflow
from infra.config import Config
from infra.operations.dashboard import Dashboard
from infra.data.encryption import CustomerKey
from infra.operations.events import Events
from infra.data.existing_bucket import ExistingBucketCheck
from infra.functions.function import StepFunction
from infra.api.http_api import HttpApi
from infra.data.images import DELETED_DAYS, ImageStore
from infra.triggers.inbox import BatchInbox
from infra.functions.layers import MIRROR_NAMES, NAMES, Layers
from infra.data.mirror import Mirror
from infra.data.openai_key import OpenAIIdentity, OpenAIKey
from infra.api.reader import Reader
from infra.data.records import RecordsTable
from infra.triggers.schedule import RunSchedule
from infra.api.sign_in import SignIn
from infra.api.uploader import Uploader
from infra.workflows.run import BatchSteps, Steps, Workflow

OWN_URL = "own"
NOT_DELIVERED = {
    "Inbox": "A manifest came into batches/inbox/ and its batch was not started",
    "Schedule": "The schedule's run was not started",
    "Events": "Others were not told what became of a picture or a run",
}


class EaselStack(Stack):
    """A bucket, a table, a secret, six steps and two state machines; the API with its sign-in; a schedule where one is set."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        # The region is a setting; the account is that of the deploying credentials, so that synth looks nothing up.
        where = Environment(region=config.aws_region)
        super().__init__(scope, construct_id, env=where, description="Easel: AI pictures, made on Lambda and kept in S3")
        self._config = config
        self._customer_key = (
            CustomerKey(self, "Encryption", retain=config.retain_images, own_bucket=not config.existing_bucket)
            if config.customer_key
            else None
        )
        self._encryption = key = self._customer_key.key if self._customer_key else None
        self._images = ImageStore(
            self, "Images", name=config.bucket_name, existing=config.existing_bucket, retain=config.retain_images, key=key
        )
        if config.existing_bucket:
            ExistingBucketCheck(self, "ExistingBucket", bucket=self._images.bucket, key=key)
        self._records = RecordsTable(self, "Records", retain=config.retain_images, key=key)
        identity = config.openai_workload_identity
        self._account = OpenAIIdentity(identity) if identity else OpenAIKey(self, "OpenAIKey", key=key)
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
        permissions.of_steps(steps, bucket=self._images.bucket, table=self._records.table, account=self._account)
        workflow = Workflow(self, "Workflow", steps=steps, max_parallel_images=config.max_parallel_images, customer_key=self._customer_key)
        of_batches = BatchSteps(
            batch=self._step("Batch", timeout=Duration.minutes(15), memory_mb=1024),
            economy=self._step("Economy", timeout=Duration.minutes(15), memory_mb=512, layers=("openai", "pydantic", "pybase64")),
        )
        permissions.of_batch_steps(of_batches, bucket=self._images.bucket, table=self._records.table, account=self._account)
        if config.mirror:
            for told in (of_batches.batch, of_batches.economy):
                told.function.add_environment(settings.MIRROR, config.mirror)
        batches = BatchWorkflow(
            self, "BatchWorkflow", steps=steps, batch=of_batches, bucket=self._images.bucket, customer_key=self._customer_key
        )
        inbox = BatchInbox(self, "BatchInbox", bucket=self._images.bucket, state_machine=batches.state_machine, key=key)
        queues = {"Inbox": inbox.dead_letters}
        if config.schedule:
            schedule = RunSchedule(self, "Schedule", expression=config.schedule, state_machine=workflow.state_machine, key=key)
            queues["Schedule"] = schedule.dead_letters
        if self._customer_key:
            self._customer_key.allow_starts(workflow.state_machine, batches.state_machine)
        events = self._events(workflow, batches)
        queues["Events"] = events.dead_letters
        http_api = HttpApi(self, "HttpApi", key=key)
        api = self._api(http_api, workflow, batches)
        named = vars(steps) | vars(of_batches) | {"events": events.function, "api": api}
        functions = {name: step for name, step in named.items() if step}
        self._watch(workflow, batches, functions, queues=queues, api_id=http_api.api_id)
        self._warn()
        self._output(workflow, batches)

    def _events(self, workflow: Workflow, batches: BatchWorkflow) -> Events:
        """The events for others, and their function."""
        events = Events(self, "Announcements", key=self._encryption)
        function = self._step("Events", timeout=Duration.seconds(30), memory_mb=256, dead_letters=events.dead_letters)
        function.function.add_environment(settings.BATCH_STATE_MACHINE, batches.state_machine.state_machine_arn)
        events.feed(function, table=self._records.table, machines=[workflow.state_machine, batches.state_machine])
        return events

    def _watch(
        self,
        workflow: Workflow,
        batches: BatchWorkflow,
        functions: Mapping[str, StepFunction],
        *,
        queues: Mapping[str, sqs.IQueue],
        api_id: str,
    ) -> None:
        """Alarms and dashboard."""
        machines = {"Run": workflow.state_machine, "Batch": batches.state_machine}
        alarms = Alarms(self, "Alarms", email=self._config.alarm_email, key=self._encryption, machines=machines)
        for name, queue in queues.items():
            alarms.watch_queue(name, queue, what=NOT_DELIVERED[name])
        alarms.watch_api(api_id)
        if self._config.schedule and self._config.schedule_alarm_days:
            alarms.watch_schedule(self._config.schedule_alarm_days)
        Dashboard(self, "Dashboard", alarms=alarms.made, machines=machines, steps=functions, api_id=api_id)
        dashboard = (
            f"https://{Aws.REGION}.console.aws.amazon.com/cloudwatch/home?region={Aws.REGION}#dashboards/dashboard/Easel-{Aws.REGION}"
        )
        CfnOutput(self, "DashboardHere", value=dashboard, description="Is it working, what does it cost, what is slow")
        CfnOutput(self, "AlarmTopic", value=alarms.topic.topic_arn, description="Where alarms go; subscribe whoever is on call")

    def _api(self, http_api: HttpApi, workflow: Workflow, batches: BatchWorkflow) -> StepFunction:
        """The API's sign-in and its function, which knows where both are."""
        sign_in = SignIn(self, "SignIn", retain=self._config.retain_images)
        page_url = self._page_url(http_api)
        machines = sign_in.for_machines()
        page = sign_in.for_page(page_url) if self._config.public_page else None
        api = self._step("Api", timeout=Duration.seconds(29), memory_mb=1024, layers=("pydantic",))
        reader = Reader(self, "Reader", bucket=self._images.bucket, by=api.role)
        uploader = Uploader(self, "Uploader", bucket=self._images.bucket, by=api.role)
        if self._customer_key:
            self._customer_key.allow(reader.role, reads=("s3",))
            self._customer_key.allow(uploader.role, writes=("s3",))
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
        permissions.of_api(api, runs=workflow.state_machine, batches=batches.state_machine, table=self._records.table)
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
        return api

    def _mirror(self, url: str) -> StepFunction:
        """The step that copies what is stored to a second store."""
        step = self._step("Mirror", timeout=Duration.minutes(5), memory_mb=512, layers=("obstore",))
        mirror = Mirror(self, "MirrorStore", url=url, step=step, pictures=self._images.bucket, key=self._encryption)
        permissions.allow(step, ["dynamodb:UpdateItem"], self._records.table.table_arn)
        CfnOutput(self, "MirrorSecret", value=mirror.secret.ref, description=f"How {url} is reached; set its value by hand")
        return step

    def _page_url(self, http_api: HttpApi) -> str:
        """The address at which people reach the page: the API's own, or what the parameter says, such as a domain in front of it."""
        said = f"The address of the API and its page, with a slash at the end; {OWN_URL} is the API's own"
        # The default is a word, since synth's own check takes it for the address, which must not be empty.
        given = CfnParameter(self, "PageUrl", default=OWN_URL, allowed_pattern=f"{OWN_URL}|https?://.+/", description=said)
        own = CfnCondition(self, "OwnPageUrl", expression=Fn.condition_equals(given.value_as_string, OWN_URL))
        return Fn.condition_if(own.logical_id, http_api.url, given.value_as_string).to_string()

    def _step(
        self,
        name: str,
        *,
        timeout: Duration,
        memory_mb: int,
        layers: tuple[str, ...] = (),
        dead_letters: sqs.IQueue | None = None,
    ) -> StepFunction:
        # boto3 comes pinned, too: the runtime's own changes under us, and may not know If-None-Match on CopyObject.
        names = ("boto3", "powertools", *layers)
        used: list[lambda_.ILayerVersion] = [self._layers[layer] for layer in names] if self._layers else []
        environment = self._environment()
        made = StepFunction(
            self,
            name,
            step=name.lower(),
            timeout=timeout,
            memory_mb=memory_mb,
            environment=environment,
            layers=used,
            dead_letters=dead_letters,
            key=self._encryption,
        )
        if self._customer_key:
            self._customer_key.allow_step(name.lower(), made.role, keyless=bool(self._config.openai_workload_identity))
        return made

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
