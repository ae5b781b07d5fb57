"""SNS in the emulator: subscriptions that nobody has confirmed."""

from tests.support.emulator import CLOSED, Emulator
from tests.support.local_stack import free_port


def test_unconfirmed_subscription_has_no_arn(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def listed(emulator: Emulator) -> dict[str, str]:
        """Subscribe a queue and a web server, and return the ARN of each as it is listed."""
        sns = emulator.client("sns")
        topic = sns.create_topic(Name="unconfirmed")["TopicArn"]
        queue = topic.replace(":sns:", ":sqs:")
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        # Nobody listens there, so nobody confirms.
        server = f"http://127.0.0.1:{free_port()}/"
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=server)
        subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        return {entry["Protocol"]: entry["SubscriptionArn"] for entry in subscriptions}

    assert listed(plain_emulator)["http"].startswith("arn:"), CLOSED
    arns = listed(patched_emulator)
    assert arns["http"] == "PendingConfirmation"
    assert arns["sqs"].startswith("arn:")
