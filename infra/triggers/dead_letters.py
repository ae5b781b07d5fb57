"""A queue for the events that EventBridge can't deliver."""

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge

MOST_RETRIES = 185  # that EventBridge takes: the age of the event is the bound


def dead_letters(scope: Construct, key: kms.IKey | None, *, of_function: bool = False) -> sqs.Queue:
    """The dead-letter queue of the rule in this construct: what it holds is looked at by a person, within two weeks.

    `of_function` says that a function has it, too, by which the rule set knows it.
    """
    queue = sqs.Queue(
        scope,
        "DeadLetters",
        enforce_ssl=True,
        encryption=sqs.QueueEncryption.KMS if key else sqs.QueueEncryption.SQS_MANAGED,
        encryption_master_key=key,
        retention_period=Duration.days(14),
    )
    for rule in ("Serverless-SQSRedrivePolicy", *(() if of_function else ("AwsSolutions-SQS3",))):
        acknowledge(
            queue, rule, "It is itself the dead-letter queue of an EventBridge rule, and nothing takes messages from it that could fail"
        )
    return queue
