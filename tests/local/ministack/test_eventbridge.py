"""EventBridge in the emulator: webhooks from a template, their retries, their queue."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator import CLOSED, Emulator, happens_within, until
from tests.support.webhook_receiver import receiving


def resources(url: str) -> dict[str, Any]:
    """Return a connection and a destination as a template has them."""
    key = {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}
    return {
        "Connection": {
            "Type": "AWS::Events::Connection",
            "Properties": {
                "AuthorizationType": "API_KEY",
                "AuthParameters": {"ApiKeyAuthParameters": key},
            },
        },
        "Destination": {
            "Type": "AWS::Events::ApiDestination",
            "Properties": {
                "ConnectionArn": {"Fn::GetAtt": ["Connection", "Arn"]},
                "InvocationEndpoint": url,
                "HttpMethod": "POST",
            },
        },
    }


def deploy(emulator: Emulator, name: str, url: str) -> str:
    """Deploy a destination, and return its ARN."""
    client = emulator.client("cloudformation")
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Destination", "Arn"]}}}
    template = json.dumps({"Resources": resources(url), "Outputs": outputs})
    stacks = {entry["StackName"] for entry in client.describe_stacks()["Stacks"]}
    change = client.update_stack if name in stacks else client.create_stack
    change(StackName=name, TemplateBody=template)

    def stack() -> Any:
        return client.describe_stacks(StackName=name)["Stacks"][0]

    until(lambda: stack()["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"))
    return str(stack()["Outputs"][0]["OutputValue"])


def create(emulator: Emulator, url: str) -> str:
    """Create a destination without CloudFormation, and return its ARN."""
    events, name = emulator.client("events"), f"d-{uuid.uuid4().hex[:8]}"
    properties = resources(url)["Connection"]["Properties"]
    connection = events.create_connection(Name=name, **properties)["ConnectionArn"]
    return str(
        events.create_api_destination(
            Name=name, ConnectionArn=connection, InvocationEndpoint=url, HttpMethod="POST"
        )["ApiDestinationArn"]
    )


def send(emulator: Emulator, destination: str, *, retries: int = 185) -> str:
    """Send an event to the destination through a rule, and return the URL of its queue."""
    events, sqs = emulator.client("events"), emulator.client("sqs")
    name = f"r-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    target = {
        "Id": "only",
        "Arn": destination,
        "RoleArn": emulator.role,
        "InputPath": "$.detail.body",
        "RetryPolicy": {"MaximumRetryAttempts": retries},
        "DeadLetterConfig": {"Arn": arn["QueueArn"]},
    }
    events.put_targets(Rule=name, Targets=[target])
    detail = json.dumps({"body": {"n": 1}})
    events.put_events(Entries=[{"Source": name, "DetailType": "Test", "Detail": detail}])
    return str(queue)


def waiting(emulator: Emulator, queue: str) -> Any:
    """Return the detail of the event in the queue, or None."""
    messages = emulator.client("sqs").receive_message(QueueUrl=queue).get("Messages")
    return json.loads(messages[0]["Body"])["detail"] if messages else None


def test_template_makes_and_changes_a_webhook(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    with receiving() as first, receiving() as second:
        # If this raises nothing, plain MiniStack does as AWS does: delete the patch.
        with pytest.raises(ClientError, match="AWS::Events"):
            deploy(plain_emulator, "hooks", first.url)

        send(patched_emulator, deploy(patched_emulator, "hooks", first.url))
        until(lambda: first.bodies == [{"n": 1}])
        assert first.headers[0]["X-Key"] == "k"

        send(patched_emulator, deploy(patched_emulator, "hooks", second.url))
        until(lambda: second.bodies == [{"n": 1}])

    client = patched_emulator.client("cloudformation")
    client.delete_stack(StackName="hooks")
    until(lambda: not patched_emulator.client("events").list_connections()["Connections"])


def test_failed_delivery_is_tried_again(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    with receiving(500) as plain:
        send(plain_emulator, create(plain_emulator, plain.url))
        until(lambda: len(plain.bodies) == 1)
        assert not happens_within(1, lambda: len(plain.bodies) > 1), CLOSED

    with receiving(500, 429, 503) as patched:
        send(patched_emulator, create(patched_emulator, patched.url))
        until(lambda: len(patched.bodies) == 4)


@pytest.mark.parametrize(("statuses", "calls"), [((400, 200), 1), ((500, 500, 500), 3)])
def test_undeliverable_event_ends_in_queue(
    patched_emulator: Emulator, statuses: tuple[int, ...], calls: int
) -> None:
    with receiving(*statuses) as receiver:
        queue = send(patched_emulator, create(patched_emulator, receiver.url), retries=2)
        until(lambda: waiting(patched_emulator, queue) == {"body": {"n": 1}})

    assert len(receiver.bodies) == calls
