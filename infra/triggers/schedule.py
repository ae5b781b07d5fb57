"""The schedule: an EventBridge rule that starts a run with the settings' defaults."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract.naming import SCHEDULED
from infra.triggers.dead_letters import MOST_RETRIES, dead_letters


class RunSchedule(Construct):
    """A rule with retries and a dead-letter queue; a doubled event is one purchase, since its id is the run id."""

    def __init__(
        self, scope: Construct, construct_id: str, *, expression: str, state_machine: sfn.IStateMachine, key: kms.IKey | None = None
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letters(self, key)
        events.Rule(
            self,
            "Rule",
            description="Easel: a picture on schedule",
            schedule=events.Schedule.expression(expression),
            targets=[
                targets.SfnStateMachine(
                    state_machine,
                    input=events.RuleTargetInput.from_object({"request_id": f"{SCHEDULED}{events.EventField.event_id}"}),
                    retry_attempts=MOST_RETRIES,
                    max_event_age=Duration.hours(2),
                    dead_letter_queue=self.dead_letters,
                )
            ],
        )
