"""The alarms. Each is named after a problem that needs someone to act.

They go to a topic, which mails them to an address. docs/operations.md has a section for each alarm:
what it means, where to look, what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import ArnFormat, Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.aws_cloudwatch import ComparisonOperator as Comparison
from aws_cdk.aws_cloudwatch import TreatMissingData as Missing
from constructs import Construct

from easel.contract import metric_names
from infra.access.encryption import Encryption
from infra.functions.function import Functions
from infra.nag import acknowledge
from infra.workflows.machine import Machines

SOON, HOUR, DAY = Duration.minutes(5), Duration.hours(1), Duration.days(1)
BUDGET_PERCENT = 80
RETIRING_DAYS = 30
API_FAILURES = 5  # in five minutes; a single error may be one caller's bad luck
HANDBOOK = "docs/operations.md"
WAITING_IMAGES = "paid images may be waiting in staging"
NOT_DELIVERED = {
    "Uploads": "An image arrived in references/inbox/, but it was not checked",
    "Inbox": "A manifest arrived in batches/inbox/, but its batch was not started",
    "Schedule": "The scheduled run was not started",
    "Schedules": "A run of a schedule was not started",
    "Notifications": "A webhook or a mail was not delivered",
    "Events": "The event about an image or a run was not sent",
    "Index": "The search may not find an image, or find it by old words",
}


@dataclass(frozen=True, kw_only=True)
class WatchedResources:
    """The resources that alarms and dashboard watch."""

    functions: Functions
    machines: Machines
    queues: Mapping[str, sqs.IQueue]
    api_id: str

    @property
    def encryption(self) -> Encryption:
        """Return the encryption of the watched resources."""
        return self.functions.deployment.encryption


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The condition of an alarm: how many periods must be on the wrong side of a threshold."""

    threshold: float = 1
    periods: int = 1
    comparison: Comparison = Comparison.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
    missing: Missing = Missing.NOT_BREACHING


ONCE = Condition()


class Alarms(Construct):
    """The topic, and the alarms that every deployment has."""

    def __init__(self, scope: Construct, construct_id: str, *, resources: WatchedResources) -> None:
        super().__init__(scope, construct_id)
        self.all: list[cloudwatch.Alarm] = []
        self._add_topic(resources.encryption)
        about = "The topic for alarms; subscribe the people on call"
        topic = self.topic.topic_arn
        CfnOutput(Stack.of(self), "AlarmTopic", value=topic, description=about)
        for name, machine in resources.machines.by_name().items():
            self._watch_machine(name, machine)
        self._watch_purchases()
        for name, queue in resources.queues.items():
            self._watch_queue(name, queue)
        self._watch_api(resources.api_id)

    def mail(self, address: str) -> None:
        """Mail the alarms to an address."""
        subscription = self.topic.add_subscription(subscriptions.EmailSubscription(address))
        reason = "A person's mailbox: nobody would read a queue of bounced mails"
        acknowledge(subscription, "Serverless-SNSRedrivePolicy", reason)

    def watch_schedule(self, days: int) -> None:
        """Alarm if the schedule has stored no image for this many days."""
        self._add(
            "NoPictureFromSchedule",
            easel(metric_names.STORED_BY_SCHEDULE, period=HOUR),
            f"The schedule has stored no image for {days} day{('s' if days > 1 else '')}",
            Condition(
                # The period has some slack, in case a run takes longer than yesterday's. CloudWatch
                # looks back a week at most.
                periods=min(24 * days + 2, 7 * 24),
                comparison=Comparison.LESS_THAN_THRESHOLD,
                missing=Missing.BREACHING,
            ),
        )

    def _add_topic(self, encryption: Encryption) -> None:
        self.topic = sns.Topic(
            self, "Topic", display_name="Easel", enforce_ssl=True, master_key=encryption.key
        )
        alarms = Stack.of(self).format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name="*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": alarms},
                },
            )
        )

    def _watch_machine(self, name: str, machine: sfn.IStateMachine) -> None:
        """Alarm if an execution fails or times out."""
        noun = name.lower()
        failed = machine.metric_failed(period=SOON, statistic="Sum")
        late = machine.metric_timed_out(period=SOON, statistic="Sum")
        self._add(f"{name}Failed", failed, f"A {noun} failed; {WAITING_IMAGES}")
        about = f"A {noun} timed out; {WAITING_IMAGES}"
        self._add(f"{name}TimedOut", late, about)

    def _watch_purchases(self) -> None:
        """Alarm if an image or money may be lost, or if a model will be shut down."""
        self._add(
            "PossiblyPaid",
            easel(metric_names.POSSIBLY_PAID),
            "OpenAI may have charged for a call without an answer",
        )
        self._add(
            "PictureLost",
            easel(metric_names.LOST),
            "A paid image is lost: S3 did not accept it before the function's deadline",
        )
        self._add(
            "BudgetNearlyUsed",
            easel(metric_names.BUDGET_USED_PERCENT, statistic="Maximum"),
            f"{BUDGET_PERCENT} % of the month's budget is reserved or spent",
            # Each claim reports this metric, and the value lasts until the next claim.
            Condition(threshold=BUDGET_PERCENT, missing=Missing.IGNORE),
        )
        self._add(
            "BudgetUsedUp",
            easel(metric_names.BUDGET_REFUSED),
            "A paid call was refused: it did not fit into the rest of the budget",
        )
        self._add(
            "ModelRetiring",
            easel(metric_names.MODEL_DAYS_LEFT, statistic="Minimum", period=DAY),
            f"A model in use shuts down within {RETIRING_DAYS} days",
            Condition(
                threshold=RETIRING_DAYS,
                comparison=Comparison.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
                missing=Missing.IGNORE,
            ),
        )

    def _watch_queue(self, name: str, queue: sqs.IQueue) -> None:
        """Alarm as long as a dead-letter queue is not empty."""
        waiting = queue.metric_approximate_number_of_messages_visible(
            period=SOON, statistic="Maximum"
        )
        about = f"{NOT_DELIVERED[name]}; the event is in its dead-letter queue"
        self._add(f"{name}NotDelivered", waiting, about)

    def _watch_api(self, api_id: str) -> None:
        """Alarm if the API keeps failing."""
        failures = cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name="5xx",
            dimensions_map={"ApiId": api_id},
            period=SOON,
            statistic="Sum",
        )
        about = "The API keeps returning 5xx"
        self._add("ApiFailing", failures, about, Condition(threshold=API_FAILURES))

    def _add(
        self, name: str, metric: cloudwatch.IMetric, about: str, condition: Condition = ONCE
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            # The subject of the mail contains this name.
            alarm_name=f"Easel-{name}",
            alarm_description=f"{about}. What to do: {HANDBOOK}#{name.lower()}",
            metric=metric,
            threshold=condition.threshold,
            evaluation_periods=condition.periods,
            datapoints_to_alarm=condition.periods,
            comparison_operator=condition.comparison,
            treat_missing_data=condition.missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.all.append(alarm)


def easel(name: str, *, statistic: str = "Sum", period: Duration = SOON) -> cloudwatch.Metric:
    """Return one of Easel's own metrics."""
    return cloudwatch.Metric(
        namespace=metric_names.NAMESPACE,
        metric_name=name,
        dimensions_map={"service": metric_names.SERVICE},
        period=period,
        statistic=statistic,
    )
