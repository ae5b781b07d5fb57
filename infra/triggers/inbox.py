"""The inbox: a manifest that is put under batches/inbox/ starts its batch."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract.naming import INBOX
from infra.triggers.dead_letters import MOST_RETRIES, dead_letters


class BatchInbox(Construct):
    """A rule with retries and a dead-letter queue; a doubled event finds the batch's run ids taken, and pays nothing twice."""

    def __init__(
        self, scope: Construct, construct_id: str, *, bucket: s3.IBucket, state_machine: sfn.IStateMachine, key: kms.IKey | None = None
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letters(self, key)
        # The version that the event tells of: what is put there next has an event of its own.
        manifest = {
            "manifest": events.EventField.from_path("$.detail.object.key"),
            "version_id": events.EventField.from_path("$.detail.object.version-id"),
        }
        events.Rule(
            self,
            "Rule",
            description="Easel: a batch for each manifest in the inbox",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [bucket.bucket_name]}, "object": {"key": [{"prefix": INBOX}]}},
            ),
            targets=[
                targets.SfnStateMachine(
                    state_machine,
                    input=events.RuleTargetInput.from_object(manifest),
                    retry_attempts=MOST_RETRIES,
                    max_event_age=Duration.hours(2),
                    dead_letter_queue=self.dead_letters,
                )
            ],
        )
