"""The alarms: each is about one thing that wants a person, and says so by its name; they go to a topic, which mails them to an address.

docs/operations.md has a section for each: what it means, what to look at, what to do.
"""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from easel.contract import metric_names
from infra.nag import acknowledge

SOON, HOUR, DAY = Duration.minutes(5), Duration.hours(1), Duration.days(1)
BUDGET_PERCENT = 80
RETIRING_DAYS = 30
API_FAILURES = 5  # in five minutes: one alone is one caller's bad luck
HANDBOOK = "docs/operations.md"


class Alarms(Construct):
    """The topic, and the alarms that every deployment has; the stack adds those of what it has besides."""

    def __init__(
        self, scope: Construct, construct_id: str, *, email: str | None, key: kms.IKey | None, machines: Mapping[str, sfn.IStateMachine]
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Topic", display_name="Easel", enforce_ssl=True, master_key=key)
        alarms = Stack.of(self).format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
        )
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}, "ArnLike": {"aws:SourceArn": alarms}},
            )
        )
        if email:
            mailed = self.topic.add_subscription(subscriptions.EmailSubscription(email))
            acknowledge(mailed, "Serverless-SNSRedrivePolicy", "A person's mailbox: a queue of mails that bounced would be read by nobody")
        self.made: list[cloudwatch.Alarm] = []
        for name, machine in machines.items():
            failed, late = (measure(period=SOON, statistic="Sum") for measure in (machine.metric_failed, machine.metric_timed_out))
            self._add(f"{name}Failed", failed, says=f"A {name.lower()} ended red; pictures that are paid may wait in staging")
            self._add(
                f"{name}TimedOut", late, says=f"A {name.lower()} was not through in its time; pictures that are paid may wait in staging"
            )
        self._add("PossiblyPaid", easel(metric_names.POSSIBLY_PAID), says="OpenAI may have charged for a call whose answer never came")
        self._add("PictureLost", easel(metric_names.LOST), says="A paid picture is lost: S3 did not take it until the function's end")
        used = easel(metric_names.BUDGET_USED_PERCENT, statistic="Maximum")
        # Told with each claim: until the next, it stays as it is.
        self._add(
            "BudgetNearlyUsed",
            used,
            threshold=BUDGET_PERCENT,
            missing=cloudwatch.TreatMissingData.IGNORE,
            says=f"{BUDGET_PERCENT} % of the month's budget is reserved or spent",
        )
        self._add(
            "BudgetUsedUp",
            easel(metric_names.BUDGET_REFUSED),
            says="A paid call was refused: it did not fit into what is left of the budget",
        )
        left = easel(metric_names.MODEL_DAYS_LEFT, statistic="Minimum", period=DAY)
        self._add(
            "ModelRetiring",
            left,
            threshold=RETIRING_DAYS,
            operator=cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
            missing=cloudwatch.TreatMissingData.IGNORE,
            says=f"A model that runs use is shut down within {RETIRING_DAYS} days",
        )

    def watch_queue(self, name: str, queue: sqs.IQueue, *, what: str) -> None:
        """An alarm as long as something lies in a dead-letter queue."""
        waiting = queue.metric_approximate_number_of_messages_visible(period=SOON, statistic="Maximum")
        self._add(f"{name}NotDelivered", waiting, says=f"{what}, and the event waits in its dead-letter queue")

    def watch_schedule(self, days: int) -> None:
        """An alarm when so many days went by without a picture from the schedule."""
        stored = easel(metric_names.STORED_BY_SCHEDULE, period=HOUR)
        self._add(
            "NoPictureFromSchedule",
            stored,
            # With some slack, for a run that takes longer than yesterday's; a week is the most that CloudWatch looks back.
            periods=min(24 * days + 2, 7 * 24),
            operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
            says=f"The schedule has stored no picture for {days} day{'s' if days > 1 else ''}",
        )

    def watch_api(self, api_id: str) -> None:
        """An alarm when the API keeps failing."""
        failures = cloudwatch.Metric(
            namespace="AWS/ApiGateway", metric_name="5xx", dimensions_map={"ApiId": api_id}, period=SOON, statistic="Sum"
        )
        self._add("ApiFailing", failures, threshold=API_FAILURES, says="The API keeps answering with 5xx")

    def _add(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        *,
        says: str,
        threshold: float = 1,
        periods: int = 1,
        operator: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            # The subject of the mail.
            alarm_name=f"Easel-{name}",
            alarm_description=f"{says}. What to do: {HANDBOOK}#{name.lower()}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=periods,
            comparison_operator=operator,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.made.append(alarm)


def easel(name: str, *, statistic: str = "Sum", period: Duration = SOON) -> cloudwatch.Metric:
    """One of Easel's own metrics."""
    return cloudwatch.Metric(
        namespace=metric_names.NAMESPACE, metric_name=name, dimensions_map={"service": metric_names.SERVICE}, period=period, statistic=statistic
    )
