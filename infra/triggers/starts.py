"""The triggers of machines: a schedule, and manifests and uploads in their inboxes.

An event that cannot be delivered is retried for two hours and then kept in a queue.
"""

from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract.naming import INBOX, MANIFEST_ENDINGS, REFERENCE_INBOX, SCHEDULED
from easel.schedules.scheduler import MOST_RETRIES, RETRY_SECONDS
from infra.access.encryption import Encryption
from infra.access.grants import Resource
from infra.functions.catalogue import REFERENCES
from infra.functions.function import Functions
from infra.nag import acknowledge

RETRY_FOR = Duration.seconds(RETRY_SECONDS)


@dataclass(frozen=True)
class StartTarget:
    """The machine that a rule starts, and the key that encrypts its input."""

    machine: sfn.StateMachine
    encryption: Encryption


class RunSchedule(Construct):
    """A rule that starts a run with the settings' defaults.

    The time for which the rule fires is in the run id, so a rule that fires twice for one time
    buys nothing twice.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, expression: str, target: StartTarget
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letters(self, target.encryption)
        run = {"request_id": f"{SCHEDULED}{events.EventField.time}"}
        events.Rule(
            self,
            "Rule",
            description="Easel: an image on schedule",
            schedule=events.Schedule.expression(expression),
            targets=[_start(self, target, run, self.dead_letters)],
        )


class UploadInbox(Construct):
    """A rule that has each upload checked when it arrives, and the function that checks it.

    A duplicate event finds the upload checked.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, functions: Functions
    ) -> None:
        super().__init__(scope, construct_id)
        deployment = functions.deployment
        self.dead_letters = dead_letters(self, deployment.encryption, of_function=True)
        deployment.arns |= {Resource.DEAD_LETTERS: self.dead_letters.queue_arn}
        function = functions.begin(REFERENCES).build()
        events.Rule(
            self,
            "Rule",
            description="Easel: the check of each uploaded image",
            event_pattern=_created(bucket, {"prefix": REFERENCE_INBOX}),
            targets=[
                targets.LambdaFunction(
                    function.function,
                    retry_attempts=MOST_RETRIES,
                    max_event_age=RETRY_FOR,
                    dead_letter_queue=self.dead_letters,
                )
            ],
        )


class BatchInbox(Construct):
    """A rule that starts a batch for each manifest that is put into the inbox.

    A duplicate event uses the same run ids, so nothing is paid twice.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, target: StartTarget
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letters(self, target.encryption)
        # The start uses the version in the event, because a newer manifest has its own event.
        manifest = {
            "manifest": events.EventField.from_path("$.detail.object.key"),
            "version_id": events.EventField.from_path("$.detail.object.version-id"),
        }
        events.Rule(
            self,
            "Rule",
            description="Easel: a batch for each manifest in the inbox",
            # The console's folder marker and other files start no batch.
            event_pattern=_created(
                bucket, *({"wildcard": f"{INBOX}*.{end}"} for end in MANIFEST_ENDINGS)
            ),
            targets=[_start(self, target, manifest, self.dead_letters)],
        )


def _created(bucket: s3.IBucket, *keys: dict[str, str]) -> events.EventPattern:
    """Return the pattern for new objects whose key matches one of these."""
    return events.EventPattern(
        source=["aws.s3"],
        detail_type=["Object Created"],
        detail={"bucket": {"name": [bucket.bucket_name]}, "object": {"key": list(keys)}},
    )


def dead_letters(
    scope: Construct, encryption: Encryption, *, of_function: bool = False
) -> sqs.Queue:
    """Return the dead-letter queue of the rule in this construct. Someone has to inspect it.

    It keeps an event for two weeks. Set `of_function` for a queue that a function uses as well. The
    rule set then recognizes it as a dead-letter queue.
    """
    queue = sqs.Queue(
        scope,
        "DeadLetters",
        enforce_ssl=True,
        encryption=sqs.QueueEncryption.KMS if encryption.key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=encryption.key,
        retention_period=Duration.days(14),
    )
    reason = "It is itself a dead-letter queue, and nothing that could fail reads from it"
    acknowledge(queue, "Serverless-SQSRedrivePolicy", reason)
    if not of_function:
        acknowledge(queue, "AwsSolutions-SQS3", reason)
    return queue


def _start(
    scope: Construct, target: StartTarget, start: dict[str, Any], queue: sqs.IQueue
) -> targets.SfnStateMachine:
    # The construct's own role could be assumed for a rule of any account.
    own_account = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
    principal = iam.ServicePrincipal("events.amazonaws.com", conditions=own_account)
    role = iam.Role(scope, "Role", assumed_by=principal)
    target.machine.grant_start_execution(role)
    return targets.SfnStateMachine(
        target.machine,
        role=role,
        input=events.RuleTargetInput.from_object(start),
        retry_attempts=MOST_RETRIES,
        max_event_age=RETRY_FOR,
        dead_letter_queue=queue,
    )
