import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from easel.aws.observability import logger
from easel.aws.table import _typed
from easel.contract.errors import StorageBusyError, StorageDeniedError
from easel.contract.settings import EventSettings
from functions.events.bus import Bus, Event
from functions.events.handler import EventServices, run
from tests.support.services import BUCKET, FakeServices

MACHINES = "arn:aws:states:eu-west-1:123456789012:stateMachine"
Sent = Callable[..., list[tuple[str, dict[str, Any]]]]
STORED = {
    "pk": "run#run-1",
    "sk": "image#2",
    "run_id": "run-1",
    "n": 2,
    "status": "stored",
    "key": "my_s3_folder/a.png",
    "folder": "my_s3_folder",
    "topic": "Sport",
    "title": "Kite",
    "alt_text": "A kite",
    "model": "gpt-image-2.6-flare",
    "width": 1024,
    "height": 768,
    "bytes": 7,
    "sha256": "ab",
    "stored_at": "2026-11-24T03:15:02.000000Z",
    "cost_micro_usd": 13_290,
    "possibly_paid": 1,
    "usage": '{"output_tokens": 430}',
}


class Client:
    """A fake of botocore's EventBridge client, which refuses calls with the given codes."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.calls: list[list[dict[str, Any]]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.calls.append(Entries)
        code = self.refusals.pop(0) if self.refusals else None
        return {"Entries": [{"EventId": "1"}, *([{"ErrorCode": code}] if code else [])]}


class OwnServices(EventServices):
    """The function's collaborators, with a bus whose entries are kept."""

    def __init__(self, services: FakeServices, **settings: Any) -> None:
        deployed = {"channels": (), "public_page_url": None, "signing_secret": None}
        own = EventSettings(
            batch_state_machine=f"{MACHINES}:batches",
            **deployed | settings,
        )
        super().__init__(services, own)
        self.client = Client()
        self.bus = Bus(self.client)


@pytest.fixture
def sent(services: FakeServices) -> Callable[..., list[tuple[str, dict[str, Any]]]]:
    """Return a function that returns the events sent for an event, each with its name."""

    def sending(event: dict[str, Any], **settings: Any) -> list[tuple[str, dict[str, Any]]]:
        own = OwnServices(services, **settings)
        run(event, own)
        return [
            (entry["DetailType"], json.loads(entry["Detail"]))
            for entries in own.client.calls
            for entry in entries
        ]

    return sending


def change(**record: Any) -> dict[str, Any]:
    return {"eventName": "MODIFY", "dynamodb": {"NewImage": _typed(record)}}


def failure(**detail: Any) -> dict[str, Any]:
    known = {
        "stateMachineArn": f"{MACHINES}:runs",
        "executionArn": "arn:e",
        "name": "e",
        "status": "FAILED",
        "input": "{}",
    }
    return {"id": "e-1", "source": "aws.states", "detail": known | detail}


def test_stored_image_event_has_location_and_cost(sent: Sent) -> None:
    ((name, detail),) = sent({"Records": [change(**STORED)]})

    assert name == "ImageStored"
    assert (detail["bucket"], detail["key"], detail["cost_usd"], detail["possibly_paid"]) == (
        BUCKET,
        "my_s3_folder/a.png",
        0.01329,
        1,
    )
    assert detail["id"].endswith("-2")
    assert "usage" not in detail


def test_unknown_cost_is_null(sent: Sent) -> None:
    ((_, detail),) = sent(
        {
            "Records": [
                change(
                    **{name: value for name, value in STORED.items() if name != "cost_micro_usd"}
                )
            ]
        }
    )
    assert detail["cost_usd"] is None


def test_refused_and_stored_images_each_send_events(sent: Sent) -> None:
    refused = change(
        run_id="run-1", n=1, status="refused", refusal="moderation_blocked", possibly_paid=0
    )
    events = sent(
        {"Records": [refused, change(**STORED), change(**STORED | {"status": "deleted"})]}
    )
    assert [name for name, _ in events] == ["ImageRefused", "ImageStored"]
    assert events[0][1]["refusal"] == "moderation_blocked"


@pytest.mark.parametrize(
    ("run_input", "run_id"),
    [
        ('{"request_id": "mine"}', "mine"),
        ('{"request_id": "schedule-2026-11-29T08:00:00Z"}', "schedule-2026-11-29T080000Z"),
        ("{}", "e"),
        (None, "e"),
        ('["no", "object"]', "e"),
        ("no JSON", "e"),
        ('{"request_id": 7}', "e"),
    ],
)
def test_failed_run_event_names_resume_id(sent: Sent, run_input: str | None, run_id: str) -> None:
    cause = json.dumps({"errorMessage": "no credit", "errorType": "QuotaExhaustedError"})
    (name, detail), _ = sent(failure(input=run_input, error="QuotaExhaustedError", cause=cause))
    assert name == "RunFailed"
    assert (detail["kind"], detail["run_id"], detail["error"], detail["message"]) == (
        "run",
        run_id,
        "QuotaExhaustedError",
        "no credit",
    )


def test_failed_run_is_always_logged(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)

    sent(
        failure(
            error="Lambda.ResourceNotFoundException",
            cause="no such function",
            input='{"request_id": "mine"}',
        )
    )
    line = json.loads(log.getvalue())

    assert (line["level"], line["run_id"], line["error"]) == (
        "ERROR",
        "mine",
        "Lambda.ResourceNotFoundException",
    )
    assert line["message"] == "run failed: no such function"


def test_silent_end_is_named_by_its_status(sent: Sent) -> None:
    (_, detail), _ = sent(failure(status="ABORTED", error=None, cause=None))
    assert (detail["status"], detail["error"], detail["message"]) == ("ABORTED", None, "")


def test_failed_batch_is_sent_as_batch(sent: Sent) -> None:
    (_, detail), _ = sent(
        failure(stateMachineArn=f"{MACHINES}:batches", input='{"manifest": "batches/spring.csv"}')
    )
    assert (detail["kind"], detail["run_id"]) == ("batch", None)


def test_many_events_are_sent_in_several_calls() -> None:
    client = Client()
    Bus(client).send([Event(name="ImageStored", detail={})] * 25)
    assert [len(entries) for entries in client.calls] == [10, 10, 5]
    assert {entry["Source"] for entries in client.calls for entry in entries} == {"easel"}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", StorageBusyError),
        ("InternalFailure", StorageBusyError),
        ("AccessDenied", StorageDeniedError),
    ],
)
def test_refused_event_is_an_error_and_retried(code: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="sending 1 events"):
        Bus(Client(code)).send([Event(name="ImageStored", detail={})])
