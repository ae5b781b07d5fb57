"""The channels of notifications: webhooks and mail.

EventBridge sends each notification, retries it for a day, and then puts it into a queue. There is
no sender of our own.
"""

from aws_cdk import Annotations, Aws, CfnOutput, Duration, SecretValue, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from easel.contract.channels import MAIL
from easel.contract.metric_names import NOTIFICATION, SOURCE
from easel.schedules.scheduler import MOST_RETRIES
from infra.access.grants import Grant, Resource
from infra.config import Config
from infra.functions.function import Deployment
from infra.nag import acknowledge
from infra.triggers.starts import dead_letters
from infra.webhooks import Webhook

DELIVER_FOR = Duration.hours(24)  # EventBridge's maximum
NAME_HEADER = "X-Easel-Webhook"
BODY = "$.detail.body"
OTHER_ACCOUNT = "@aws-cdk/aws-events:ruleUnresolvedEnvironment"


class Channels(Construct):
    """A rule for each channel, and the queue of notifications that nobody accepted."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        deployment: Deployment,
    ) -> None:
        super().__init__(scope, construct_id)
        self._deployment = deployment
        self.dead_letters = dead_letters(self, deployment.encryption)
        for webhook in config.webhooks:
            self._call(webhook)
        if config.notify_email:
            self._mail(config.notify_email)

    def _mail(self, address: str) -> None:
        """Mail notifications to an address, which AWS asks to confirm."""
        topic = sns.Topic(
            self,
            "Topic",
            display_name="Easel",
            enforce_ssl=True,
            master_key=self._deployment.encryption.key,
        )
        subscription = topic.add_subscription(subscriptions.EmailSubscription(address))
        reason = "A person's mailbox: nobody would read a queue of bounced mails"
        acknowledge(subscription, "Serverless-SNSRedrivePolicy", reason)
        self._deployment.arns[Resource.NOTIFICATION_TOPIC] = topic.topic_arn
        target = targets.SnsTopic(
            # The construct would give the role more of a customer's key than publishing needs. It
            # does not know the key of a topic that it knows by its ARN only.
            sns.Topic.from_topic_arn(self, "MailTopic", topic.topic_arn),
            role=self._role("MailRole", Grant(("sns:Publish",), Resource.NOTIFICATION_TOPIC)),
            message=events.RuleTargetInput.from_event_path(BODY),
            dead_letter_queue=self.dead_letters,
            max_event_age=DELIVER_FOR,
            retry_attempts=MOST_RETRIES,
        )
        rule = self._rule(MAIL, target)
        # The construct cannot compare the account of a topic that it knows by its ARN only.
        reason = "The topic is this stack's own"
        Annotations.of(rule).acknowledge_warning(OTHER_ACCOUNT, reason)
        about = "The topic for mails about finished runs; subscribe more people"
        CfnOutput(Stack.of(self), "NotificationTopic", value=topic.topic_arn, description=about)

    def _call(self, webhook: Webhook) -> None:
        channel = webhook.channel
        part = channel.name.title()
        # EventBridge requires some authorization. The receiver checks the signature in the body;
        # this header only names the webhook, so it is not a secret.
        name = SecretValue.unsafe_plain_text(channel.name)
        connection = events.Connection(
            self,
            f"{part}Connection",
            authorization=events.Authorization.api_key(NAME_HEADER, name),
            description=f"Easel: the header that names the webhook {channel.name}",
        )
        # CloudFormation reads the secret when it creates the destination.
        url = channel.url or SecretValue.secrets_manager(str(webhook.secret)).unsafe_unwrap()
        destination = events.ApiDestination(
            self,
            f"{part}Destination",
            connection=connection,
            endpoint=url,
            description=f"Easel: the webhook {channel.name}",
        )
        target = targets.ApiDestination(
            destination,
            event=events.RuleTargetInput.from_event_path(BODY),
            event_role=self._role(f"{part}Role"),
            dead_letter_queue=self.dead_letters,
            max_event_age=DELIVER_FOR,
            retry_attempts=MOST_RETRIES,
        )
        self._rule(channel.name, target)

    def _role(self, construct_id: str, *grants: Grant) -> iam.Role:
        """Return the role with which EventBridge delivers.

        The constructs' own could be used for a rule of any account.
        """
        own_account = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        principal = iam.ServicePrincipal("events.amazonaws.com", conditions=own_account)
        role = iam.Role(self, construct_id, assumed_by=principal)
        self._deployment.allow(role, grants)
        return role

    def _rule(self, channel: str, target: events.IRuleTarget) -> events.Rule:
        return events.Rule(
            self,
            f"{channel.title()}Rule",
            description=f"Easel: notifications of the channel {channel}",
            event_pattern=events.EventPattern(
                source=[SOURCE], detail_type=[NOTIFICATION], detail={"channel": [channel]}
            ),
            targets=[target],
        )
