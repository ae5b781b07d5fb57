"""A queue for the events that EventBridge can't deliver."""

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledged import acknowledge


def dead_letters(scope: Construct) -> sqs.Queue:
    """The dead-letter queue of the rule in this construct: what it holds is looked at by a person, within two weeks."""
    queue = sqs.Queue(
        scope, "DeadLetters", enforce_ssl=True, encryption=sqs.QueueEncryption.SQS_MANAGED, retention_period=Duration.days(14)
    )
    for rule in ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy"):
        acknowledge(
            queue, rule, "It is itself the dead-letter queue of an EventBridge rule, and nothing takes messages from it that could fail"
        )
    return queue
