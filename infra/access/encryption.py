"""The customer-managed key, if the deployment has one, and the keys of other owners' buckets.

The customer's key encrypts images, records, secrets, queues, logs and the data of the state
machines. A service that acts for one of our roles uses the role's permissions, which are bound to
`kms:ViaService`. A service that acts independently is named in the key's policy, and is bound to
the encryption context of our own resources. IAM policies decide who administers the key.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.access.grants import DATA_KEY, DECRYPT, Grant, bucket_key_actions, key_rights

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


class Encryption(Construct):
    """One key, rotated every year. If there is none, `key` is None.

    Without a customer key, each service uses its own key. A destroyed key would make everything
    unreadable, so it is kept as long as the images are. `own_bucket` is False for an existing
    bucket, which has its own key. `bucket_keys` are the ARNs of the keys that encrypt an existing
    bucket or the mirror's bucket.
    """

    key: kms.IKey | None = None

    def __init__(
        self, scope: Construct, construct_id: str, *, own_bucket: bool, bucket_keys: Sequence[str]
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        self._key_covers_bucket = own_bucket
        self._bucket_keys = bucket_keys
        self._logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}"

    def adopt_key(self, arn: str) -> None:
        """Use the key of an earlier deployment, whose policy already admits AWS's services."""
        self._use(kms.Key.from_key_arn(self, "Key", arn))
        self._key_covers_bucket = True

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
        topics = stack.format_arn(service="sns", resource=f"{stack.stack_name}-*")
        queues = stack.format_arn(service="sqs", resource=f"{stack.stack_name}-*")
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        groups = {"kms:EncryptionContext:aws:logs:arn": f"{self._logs}:log-group:*"}
        # The service itself sends the asterisk:
        # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
        delivery = {"kms:EncryptionContext:SourceArn": f"{self._logs}:*"}
        both = [DECRYPT, DATA_KEY]
        services: dict[str, tuple[list[str], dict[str, Any]]] = {
            f"logs.{stack.region}": (LOG_GROUP_ACTIONS, {"ArnLike": groups}),
            "delivery.logs": ([DECRYPT], {"StringEquals": delivery}),
            # An alarm needs this for its topic. AWS documents no source for this call, but SNS
            # sends the topic as encryption context:
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            "cloudwatch": (both, {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": topics}}),
            # A rule needs this for its dead-letter queue, and SQS sends the queue as context:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
            "events": (both, {"ArnLike": {"kms:EncryptionContext:aws:sqs:arn": queues}}),
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
        self._use(key)

    def allow(self, role: iam.IRole, grants: Iterable[Grant]) -> None:
        """Let a role use the keys for its grants, and only through the services they need."""
        grants = list(grants)
        for action, services in key_rights(grants).items():
            through = [
                f"{service}.{Stack.of(self).region}.amazonaws.com"
                for service in services
                if service != "s3" or self._key_covers_bucket
            ]
            if through:
                self._add(role, [action], {"StringEquals": {"kms:ViaService": through}})
        actions = bucket_key_actions(grants)
        if self._bucket_keys and actions:
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    actions=list(actions),
                    resources=list(self._bucket_keys),
                    # The mirror's bucket may be in another region.
                    conditions={"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}},
                )
            )

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

    def _use(self, key: kms.IKey) -> None:
        """Use a key, and give it a name that people recognize in the console."""
        key.add_alias(f"alias/{Stack.of(self).stack_name.lower()}")
        self.key = key

    def _add(self, role: iam.IRole, actions: list[str], conditions: dict[str, Any]) -> None:
        if self.key:
            role.add_to_principal_policy(
                iam.PolicyStatement(
                    actions=actions, resources=[self.key.key_arn], conditions=conditions
                )
            )


def removal(*, retain: bool, is_protected: bool = False) -> RemovalPolicy:
    """Return what happens to stored data when the stack is destroyed.

    A resource that is protected against deletion cannot be deleted when a first deployment rolls
    back, so the rollback keeps it, too.
    """
    if not retain:
        return RemovalPolicy.DESTROY
    return RemovalPolicy.RETAIN if is_protected else RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
