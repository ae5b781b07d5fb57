"""The customer-managed key, if the deployment has one.

It encrypts images, records, secrets, queues, logs and the data of the state machines. A service
that acts for one of our roles uses the role's permissions, which are bound to `kms:ViaService`. A
service that acts independently is named in the key's policy, for this account and, if the service
reports its source, for that source only. IAM policies decide who administers the key.
"""

from collections.abc import Iterable
from typing import Any, cast

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.access.grants import DATA_KEY, DECRYPT, Grant, Resource, key_rights

COLON = ArnFormat.COLON_RESOURCE_NAME
LOG_GROUP_ACTIONS = [
    "kms:Encrypt",
    DECRYPT,
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    DATA_KEY,
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:DescribeKey",
]
START = Grant(("states:StartExecution",), Resource.RUNS)


class Encryption(Construct):
    """One key, rotated every year. If there is none, `key` is None.

    Without a customer key, each service uses its own key. A destroyed key would make everything
    unreadable, so it is kept as long as the images are. `own_bucket` is False for an existing
    bucket, which has its own key.
    """

    key: kms.IKey | None = None

    def __init__(self, scope: Construct, construct_id: str, *, own_bucket: bool) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self._own_bucket = own_bucket
        self._logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}"

    def make_key(self, *, retain: bool) -> None:
        """Create the key, and let AWS's services use it for this account."""
        key = kms.Key(
            self,
            "Key",
            description="Easel: pictures, records, secret, queues, logs and runs",
            enable_key_rotation=True,
            removal_policy=removal(retain=retain),
        )
        stack = Stack.of(self)
        alarms = stack.format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=COLON
        )
        source_account = {"aws:SourceAccount": stack.account}
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        groups = {"kms:EncryptionContext:aws:logs:arn": f"{self._logs}:log-group:*"}
        # The service itself sends the asterisk:
        # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
        delivery = {"kms:EncryptionContext:SourceArn": f"{self._logs}:*"}
        both = [DECRYPT, DATA_KEY]
        services: dict[str, tuple[list[str], dict[str, Any]]] = {
            f"logs.{stack.region}": (LOG_GROUP_ACTIONS, {"ArnLike": groups}),
            "delivery.logs": ([DECRYPT], {"StringEquals": delivery}),
            # The alarms' topic needs this:
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            "cloudwatch": (
                both,
                {"StringEquals": source_account, "ArnLike": {"aws:SourceArn": alarms}},
            ),
            # This names no rule, because each queue's own policy already names its rule:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
            "events": (both, {"StringEquals": source_account}),
        }
        for service, (actions, conditions) in services.items():
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=actions,
                    resources=["*"],
                    conditions=conditions,
                )
            )
        self.key = key

    def allow(self, role: iam.IRole, grants: Iterable[Grant]) -> None:
        """Let a role use the key for its grants, and only through the services they need."""
        for action, services in key_rights(grants).items():
            through = [
                f"{service}.{Stack.of(self).region}.amazonaws.com"
                for service in services
                if service != "s3" or self._own_bucket
            ]
            if through:
                self._add(role, [action], {"StringEquals": {"kms:ViaService": through}})

    def encrypt(self, machine: sfn.StateMachine) -> None:
        """Encrypt a machine's definition and executions.

        CDK's own property needs the machine's name, which is unknown until the machine is created.
        """
        if self.key is None:
            return
        resource = cast("sfn.CfnStateMachine", machine.node.default_child)
        resource.encryption_configuration = sfn.CfnStateMachine.EncryptionConfigurationProperty(
            type="CUSTOMER_MANAGED_KMS_KEY", kms_key_id=self.key.key_arn
        )
        machines = Stack.of(self).format_arn(
            service="states", resource="stateMachine", resource_name="*", arn_format=COLON
        )
        context = {"kms:EncryptionContext:aws:states:stateMachineArn": machines}
        self._add(machine.role, [DECRYPT, DATA_KEY], {"StringLike": context})
        log_context = {"kms:EncryptionContext:SourceArn": f"{self._logs}:*"}
        self._add(machine.role, [DATA_KEY], {"StringEquals": log_context})

    def allow_starts(self, machine: sfn.StateMachine) -> None:
        """Allow EventBridge to use the key for executions that it starts."""
        # CDK creates this role if a machine is the target of an event.
        role = machine.node.try_find_child("EventsRole")
        if role:
            self.allow(cast("iam.Role", role), [START])

    def _add(self, role: iam.IRole, actions: list[str], conditions: dict[str, Any]) -> None:
        if self.key:
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    actions=actions, resources=[self.key.key_arn], conditions=conditions
                )
            )


def removal(*, retain: bool) -> RemovalPolicy:
    """Return what happens to stored data when the stack is destroyed."""
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY
