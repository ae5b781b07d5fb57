"""The stack. Read from top to bottom, it is the list of everything that is deployed."""

import tomllib

from aws_cdk import CfnOutput, Environment, Stack, Tags
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from easel.contract import settings
from infra import ROOT
from infra.access.encryption import Encryption
from infra.api.api import Api, add_api, page_url
from infra.api.http_api import HttpApi
from infra.config import Config
from infra.data.data import add_data
from infra.delivery.distribution import add_distribution
from infra.functions.function import Deployment, Functions
from infra.functions.layers import Layers
from infra.operations.alarms import Alarms, WatchedResources
from infra.operations.dashboard import Dashboard
from infra.triggers.channels import Channels
from infra.triggers.events import Announcements
from infra.triggers.index import SearchIndex
from infra.triggers.schedules import Schedules
from infra.triggers.starts import BatchInbox, RunSchedule, StartTarget, UploadInbox
from infra.workflows.batch import BatchWorkflow
from infra.workflows.machine import Machines
from infra.workflows.run import RunWorkflow

ABOUT = "Easel: serverless AI image generation"


class EaselStack(Stack):
    """All AWS resources of Easel."""

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        # The account comes from the deploying credentials, so synth makes no lookups.
        env = Environment(region=config.aws_region)
        super().__init__(scope, construct_id, env=env, description=ABOUT)

        # On the bill, this tag shows what the stack costs.
        Tags.of(self).add("application", construct_id.lower())
        own_bucket, keys = not config.existing_bucket, config.bucket_keys
        encryption = Encryption(self, "Encryption", own_bucket=own_bucket, bucket_keys=keys)
        if config.existing_key:
            encryption.adopt_key(config.existing_key)
        elif config.customer_key:
            encryption.make_key(retain=config.retain_images)
        deployment = Deployment(
            encryption,
            Layers(self, "Layers") if config.layers else None,
            timeouts=config.timeouts(),
        )
        deployment.variables.update(config.variables())
        bucket = add_data(self, deployment, config)

        http_api = HttpApi(self, "HttpApi", encryption=encryption)
        distribution = add_distribution(self, deployment, config, api_host=http_api.host)
        url = page_url(self, distribution.url if distribution else http_api.url)
        if distribution:
            deployment.variables[settings.DELIVERY_URL] = url
        functions = Functions(self, deployment)
        functions.add_steps()

        at_once = config.max_parallel_images
        runs = RunWorkflow(self, "Workflow", functions=functions, at_once=at_once)
        batches = BatchWorkflow(self, "BatchWorkflow", functions=functions, bucket=bucket)
        machines = Machines(runs.state_machine, batches.state_machine)
        machines.add_outputs(self)
        deployment.add(machines.arns(), machines.variables())

        target = StartTarget(machines.batches, encryption)
        inbox = BatchInbox(self, "BatchInbox", bucket=bucket, target=target)
        uploads = UploadInbox(self, "UploadInbox", bucket=bucket, functions=functions)
        queues: dict[str, sqs.IQueue] = {
            "Inbox": inbox.dead_letters,
            "Uploads": uploads.dead_letters,
        }
        queues |= _add_schedules(self, deployment, config, machines=machines)
        api = Api(http_api, url, distribution)
        add_api(self, functions, config, api=api, bucket=bucket)
        events = Announcements(self, "Announcements", functions=functions, machines=machines)
        queues["Events"] = events.dead_letters
        queues["Index"] = SearchIndex(self, "SearchIndex", functions=functions).dead_letters
        if config.channels:
            channels = Channels(self, "Channels", config=config, deployment=deployment)
            queues["Notifications"] = channels.dead_letters
        if config.retain_images or config.adopts_table:
            _add_come_back(self, deployment, bucket.bucket_name)

        resources = WatchedResources(
            functions=functions, machines=machines, queues=queues, api_id=http_api.api_id
        )
        alarms = Alarms(self, "Alarms", resources=resources)
        if config.schedule and config.schedule_alarm_days:
            alarms.watch_schedule(config.schedule_alarm_days)
        if config.alarm_email:
            alarms.mail(config.alarm_email)
        Dashboard(self, "Dashboard", resources=resources, alarms=alarms.all)

        _add_version(self)


def _add_schedules(
    stack: Stack, deployment: Deployment, config: Config, *, machines: Machines
) -> dict[str, sqs.IQueue]:
    """Add all that starts runs at certain times. Return the queues of failed starts."""
    schedules = Schedules(stack, "Schedules", deployment=deployment)
    for schedule in config.schedules:
        schedules.declare(schedule)
    queues: dict[str, sqs.IQueue] = {"Schedules": schedules.dead_letters}
    if config.schedule:
        target = StartTarget(machines.runs, deployment.encryption)
        rule = RunSchedule(stack, "Schedule", expression=config.schedule, target=target)
        queues["Schedule"] = rule.dead_letters
    return queues


def _add_come_back(stack: Stack, deployment: Deployment, bucket_name: str) -> None:
    kept = {
        "existing_bucket": "true",
        "bucket_name": bucket_name,
        "existing_table": deployment.variables[settings.TABLE],
        "existing_users": deployment.variables[settings.USER_POOL],
    }
    if key := deployment.encryption.key:
        kept["existing_key"] = key.key_arn
    context = " ".join(f"-c {name}={value}" for name, value in kept.items())
    about = "After a destroy, make deploy with this CONTEXT uses the kept data again"
    CfnOutput(stack, "ComeBack", value=context, description=about)


def _add_version(stack: Stack) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    about = "The version of Easel; make doctor compares it with a checkout"
    CfnOutput(stack, "Version", value=str(project["version"]), description=about)
