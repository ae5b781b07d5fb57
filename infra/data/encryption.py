"""The customer's own key, where one is asked for: it encrypts pictures, records, secret, queues, logs, and what the machines keep.

A service that acts for one of our roles shows the key that role's rights, which are by `kms:ViaService`; one that acts by itself is
named in the key's policy, for this account and, where the service says so, for its source. An administrator rules the key by IAM.
"""

from typing import Any, cast

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

DECRYPT, DATA_KEY = "kms:Decrypt", "kms:GenerateDataKey"
COLON = ArnFormat.COLON_RESOURCE_NAME
# What reads and what writes through which service. A table's own key is only ever decrypted, whether an item is read or written.
READS = {
    "prompt": ("dynamodb", "secretsmanager"),
    "image": ("dynamodb", "s3", "secretsmanager"),
    "upload": ("dynamodb", "s3"),
    "cleanup": ("dynamodb", "s3"),
    "mirror": ("dynamodb", "s3", "secretsmanager"),
    "batch": ("dynamodb", "s3"),
    "economy": ("dynamodb", "s3", "secretsmanager"),
    # It reads the table's stream, and leaves what it can't send in a queue.
    "events": ("dynamodb", "sqs"),
    "api": ("dynamodb", "states"),
}
WRITES = {
    "prompt": ("s3",),
    "image": ("s3",),
    "upload": ("s3",),
    "batch": ("s3",),
    "economy": ("s3",),
    "events": ("sqs",),
    # It starts executions, whose input is encrypted as they start.
    "api": ("states",),
}
LOG_GROUP_ACTIONS = [
    "kms:Encrypt", DECRYPT, "kms:ReEncryptFrom", "kms:ReEncryptTo", DATA_KEY, "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey",
]  # fmt: skip


class CustomerKey(Construct):
    """One key, rotated every year. Destroyed, it would take with it all that was kept: so it stays as long as the pictures do."""

    def __init__(self, scope: Construct, construct_id: str, *, retain: bool, own_bucket: bool) -> None:
        super().__init__(scope, construct_id)
        self.key = kms.Key(
            self,
            "Key",
            description="Easel: pictures, records, secret, queues, logs and runs",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY,
        )
        self._own_bucket = own_bucket
        stack = Stack.of(self)
        self._logs = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}"
        self._machines = stack.format_arn(service="states", resource="stateMachine", resource_name="*", arn_format=COLON)
        alarms = stack.format_arn(service="cloudwatch", resource="alarm", resource_name="*", arn_format=COLON)
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        groups = {"kms:EncryptionContext:aws:logs:arn": f"{self._logs}:log-group:*"}
        self._let(f"logs.{stack.region}", LOG_GROUP_ACTIONS, {"ArnLike": groups})
        # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html: the asterisk is what the service itself says.
        self._let("delivery.logs", [DECRYPT], {"StringEquals": {"kms:EncryptionContext:SourceArn": f"{self._logs}:*"}})
        ours = {"aws:SourceAccount": stack.account}
        # For the alarms' topic: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        self._let("cloudwatch", [DECRYPT, DATA_KEY], {"StringEquals": ours, "ArnLike": {"aws:SourceArn": alarms}})
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html, where no rule is named:
        # each queue's own policy names its rule.
        self._let("events", [DECRYPT, DATA_KEY], {"StringEquals": ours})

    def _let(self, service: str, actions: list[str], conditions: dict[str, Any]) -> None:
        principal = iam.ServicePrincipal(f"{service}.amazonaws.com")
        self.key.add_to_resource_policy(
            iam.PolicyStatement(principals=[principal], actions=actions, resources=["*"], conditions=conditions)
        )

    def allow(self, role: iam.IRole, *, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> None:
        """Let a role have what it reads decrypted, and encrypted what it writes, by these services."""
        for action, services in ((DECRYPT, reads), (DATA_KEY, writes)):
            # Somebody's own bucket has its own key.
            through = [self._via(service) for service in services if service != "s3" or self._own_bucket]
            if through:
                self._grant(role, [action], {"StringEquals": {"kms:ViaService": through}})

    def allow_step(self, step: str, role: iam.IRole, *, keyless: bool) -> None:
        """Let a function have what its rights need of the key; `keyless` is a stack that has no secret of OpenAI's."""
        reads = tuple(one for one in READS[step] if not (keyless and step != "mirror" and one == "secretsmanager"))
        self.allow(role, reads=reads, writes=WRITES.get(step, ()))

    def encrypt(self, machine: sfn.StateMachine) -> None:
        """Encrypt a machine's definition and executions. CDK's own property takes only a machine whose name is known before it is made."""
        resource = cast("sfn.CfnStateMachine", machine.node.default_child)
        resource.encryption_configuration = sfn.CfnStateMachine.EncryptionConfigurationProperty(
            type="CUSTOMER_MANAGED_KMS_KEY", kms_key_id=self.key.key_arn
        )
        context = {"kms:EncryptionContext:aws:states:stateMachineArn": self._machines}
        self._grant(machine.role, [DECRYPT, DATA_KEY], {"StringLike": context})
        self._grant(machine.role, [DATA_KEY], {"StringEquals": {"kms:EncryptionContext:SourceArn": f"{self._logs}:*"}})

    def allow_starts(self, *machines: sfn.StateMachine) -> None:
        """Let the events that start a machine have their input encrypted."""
        for machine in machines:
            role = machine.node.try_find_child("EventsRole")  # CDK's own, where an event's target is made of the machine
            if role:
                self.allow(cast("iam.Role", role), reads=("states",), writes=("states",))

    def _via(self, service: str) -> str:
        return f"{service}.{Stack.of(self).region}.amazonaws.com"

    def _grant(self, role: iam.IRole, actions: list[str], conditions: dict[str, Any]) -> None:
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=[self.key.key_arn], conditions=conditions))
