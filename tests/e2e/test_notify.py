"""Which channels receive the end of a run or a batch, on the local stack.

The template declares webhooks to a port where nobody listens. A test lets one call its receiver.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.e2e.test_batches import run as run_batch
from tests.e2e.test_batches import upload
from tests.e2e.test_observability import queue
from tests.support.api_caller import Caller
from tests.support.local_stack import LocalStack
from tests.support.webhook_receiver import Receiver, receiving

SMALL = {"size": "1024x640", "quality": "low", "prompt": "A kite."}
Listening = Callable[..., AbstractContextManager[Receiver]]


@pytest.fixture
def listen(aws: LocalStack) -> Listening:
    """Return a function that lets a webhook call a receiver during a block."""
    events = aws.client("events")

    @contextmanager
    def listening(*statuses: int, webhook: str = "shop") -> Iterator[Receiver]:
        (declared,) = (
            entry
            for entry in events.list_api_destinations()["ApiDestinations"]
            if entry["InvocationEndpoint"].endswith(f"/{webhook}")
        )
        name, url = declared["Name"], declared["InvocationEndpoint"]
        with receiving(*statuses) as receiver:
            events.update_api_destination(Name=name, InvocationEndpoint=receiver.url)
            try:
                yield receiver
            finally:
                events.update_api_destination(Name=name, InvocationEndpoint=url)

    return listening


def signing_key(aws: LocalStack) -> str:
    """Return the key that a receiver checks signatures with."""
    secrets = aws.client("secretsmanager")
    (name,) = (
        entry["Name"]
        for entry in secrets.list_secrets()["SecretList"]
        if "SigningKey" in entry["Name"]
    )
    return str(secrets.get_secret_value(SecretId=name)["SecretString"])


def test_webhook_is_told_after_an_error(aws: LocalStack, listen: Listening) -> None:
    with listen(500) as receiver:
        execution = aws.run({"folder_name": "notify", "notify": ["shop"], **SMALL})
        aws.until(lambda: len(receiver.bodies) == 2)
    first, body = receiver.bodies
    claims = jwt.decode(
        body["signature"], signing_key(aws), algorithms=["HS256"], audience="shop", issuer="easel"
    )

    assert first == body
    assert (body["event"], claims["detail"]) == ("RunFinished", body["detail"])
    assert (body["detail"]["status"], body["detail"]["stored"]) == ("SUCCEEDED", 1)
    assert body["detail"]["cost_usd"] == execution["report"]["cost_usd"]
    assert body["url"] == f"{aws.outputs['api_url']}#run/{execution['name']}"
    assert receiver.headers[0]["X-Easel-Webhook"] == "shop"
    assert SMALL["prompt"] not in json.dumps(body)


def test_batch_is_told_once_without_its_lines(aws: LocalStack, listen: Listening) -> None:
    upload(aws, {"prompt": "A kite."}, {"prompt": "A ship."}, key="batches/tell.jsonl")

    with listen() as receiver:
        run_batch(aws, manifest="batches/tell.jsonl", notify=["shop"])
        aws.until(lambda: bool(receiver.bodies))

    (body,) = receiver.bodies
    assert (body["event"], body["detail"]["batch"]) == ("BatchFinished", "tell")
    assert (body["detail"]["lines"], body["detail"]["stored"]) == (2, 2)


def test_failed_run_with_long_input_is_told(aws: LocalStack, listen: Listening) -> None:
    # Step Functions leaves an input of this length out of its event.
    run_id = f"long-{uuid4().hex[:8]}"
    too_long = {"description": "x" * 255_000, "request_id": run_id}

    with listen() as receiver:
        assert aws.run({"notify": ["shop"], **too_long})["status"] == "FAILED"
        aws.until(lambda: bool(receiver.bodies))

    (body,) = receiver.bodies
    assert (body["detail"]["run_id"], body["detail"]["error"]) == (run_id, "InputError")


def test_refused_delivery_ends_in_the_queue(aws: LocalStack, listen: Listening) -> None:
    sqs = aws.client("sqs")
    (url,) = (url for url in sqs.list_queues()["QueueUrls"] if "ChannelsDeadLetters" in url)
    run_id = f"gone-{uuid4().hex[:8]}"
    letters: list[str] = []

    def is_waiting() -> bool:
        messages = sqs.receive_message(QueueUrl=url).get("Messages", [])
        letters.extend(message["Body"] for message in messages)
        return any(run_id in letter for letter in letters)

    with listen(410) as receiver:
        aws.run({"request_id": run_id, "notify": ["shop"], "dry_run": True, **SMALL})
        aws.until(is_waiting)

    assert len(receiver.bodies) == 1


def test_slack_and_mail_get_words(aws: LocalStack, listen: Listening) -> None:
    url, arn, messages = queue(aws)
    sns = aws.client("sns")
    (topic,) = (
        entry["TopicArn"]
        for entry in sns.list_topics()["Topics"]
        if "ChannelsTopic" in entry["TopicArn"]
    )
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]

    with listen(webhook="chat") as receiver:
        run = aws.run({"folder_name": "notify", "notify": ["chat", "mail"], **SMALL})
        aws.until(lambda: bool(receiver.bodies and messages()))
    (mail,) = [str(json.loads(message["Message"])) for message in messages()]
    sns.unsubscribe(SubscriptionArn=subscription)
    aws.client("sqs").delete_queue(QueueUrl=url)

    page = f"{aws.outputs['api_url']}#run/{run['name']}"
    words = f"Easel: run {run['name']}: 1 of 1 images stored, "
    (body,) = receiver.bodies
    assert body["text"].startswith(words)
    assert body["text"].endswith(f" <{page}|Open>")
    assert mail.startswith(words)
    assert mail.endswith(f" See {page}")


def test_program_waits_for_its_image(caller: Caller) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    call: dict[str, Any] = {"query": {"wait": "30"}, "headers": headers}

    answer = caller("POST", "/runs", {"folder_name": "notify", **SMALL}, **call)

    assert (answer.status, answer.json["status"]) == (200, "succeeded")
    assert [picture["status"] for picture in answer.json["pictures"]] == ["stored"]
    assert caller("POST", "/runs", {"folder_name": "notify", **SMALL}, **call).status == 200
