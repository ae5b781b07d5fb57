"""The schedules of EventBridge Scheduler that cdk.json declares, and what all schedules need.

The group, the role and the queue are always there, because the API creates schedules as well. They
cost nothing.
"""

import json

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from easel.contract import settings
from easel.schedules.expression import RATE
from easel.schedules.schedule import Schedule
from easel.schedules.scheduler import MOST_RETRIES, RETRY_SECONDS, describe, state
from infra.access.grants import Grant, Resource
from infra.functions.function import Deployment
from infra.triggers.starts import dead_letters


class Schedules(Construct):
    """A group of schedules, the role with which they start runs, and the queue of failed starts."""

    def __init__(self, scope: Construct, construct_id: str, *, deployment: Deployment) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self._group = stack.stack_name
        self._machine = deployment.arns[Resource.RUNS]
        self._resource = scheduler.CfnScheduleGroup(self, "Group", name=self._group)
        self.dead_letters = dead_letters(self, deployment.encryption)
        self._role = self._make_role(deployment)
        queue = self.dead_letters.queue_arn
        deployment.add(
            {
                Resource.SCHEDULES: stack.format_arn(
                    service="scheduler", resource="schedule", resource_name=self._group
                ),
                Resource.SCHEDULER_ROLE: self._role.role_arn,
            },
            {
                settings.SCHEDULE_GROUP: self._group,
                settings.SCHEDULE_ROLE: self._role.role_arn,
                settings.SCHEDULE_QUEUE: queue,
            },
        )

    def declare(self, schedule: Schedule) -> None:
        """Add a schedule of cdk.json."""
        # AWS refuses a start in the past when anything else of the schedule changes. For a rate it
        # is part of the meaning.
        is_rate = RATE.fullmatch(schedule.when) is not None
        resource = scheduler.CfnSchedule(
            self,
            f"Of-{schedule.name}",
            name=schedule.name,
            group_name=self._group,
            description=describe(schedule, declared=True),
            schedule_expression=schedule.when,
            schedule_expression_timezone=schedule.time_zone,
            start_date=schedule.start if is_rate or not schedule.is_started() else None,
            end_date=schedule.end,
            state=state(schedule),
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self._machine,
                role_arn=self._role.role_arn,
                input=json.dumps(schedule.run_input, ensure_ascii=False),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=self.dead_letters.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=MOST_RETRIES,
                    maximum_event_age_in_seconds=RETRY_SECONDS,
                ),
            ),
        )
        resource.add_dependency(self._resource)
        # Without its permissions, a schedule that is due at once could not start its run.
        resource.node.add_dependency(self._role)

    def _make_role(self, deployment: Deployment) -> iam.Role:
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        group = Stack.of(self).format_arn(
            service="scheduler", resource="schedule-group", resource_name=self._group
        )
        own = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID, "aws:SourceArn": group}}
        principal = iam.ServicePrincipal("scheduler.amazonaws.com", conditions=own)
        role = iam.Role(self, "Role", assumed_by=principal)
        # Scheduler writes failed starts into the queue with this role, too.
        deployment.arns |= {Resource.DEAD_LETTERS: self.dead_letters.queue_arn}
        deployment.allow(
            role,
            (
                Grant(("states:StartExecution",), Resource.RUNS),
                Grant(("sqs:SendMessage",), Resource.DEAD_LETTERS),
            ),
        )
        return role
