"""What is sent when a run or a batch has ended, and to whom."""

import json
import runpy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from easel.contract.channels import Channel, Form, When
from easel.contract.settings import EventSettings
from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.records import to_item
from easel.runs.executions import Executions
from functions.events.bus import Bus, Event
from functions.events.handler import EventServices, run
from functions.events.notices import Notifier, SigningKey, describe
from tests.support.records import image_record, prompt_record
from tests.support.services import FakeServices
from tests.unit.test_events import MACHINES, Client, failure

KEY = "a key of thirty-two characters, or more"
HOOK = Channel(name="shop", form=Form.EASEL, when=When.REQUESTED, url="https://shop.example/easel")
ALWAYS = Channel(name="audit", form=Form.EASEL, when=When.ALWAYS, url="https://audit.example/")
SLACK = Channel(name="chat", form=Form.SLACK, when=When.REQUESTED)
MAIL = Channel(name="mail", form=Form.MAIL, when=When.REQUESTED)
PAGE = "https://pictures.example/"
REPORT = {
    "batch": "spring",
    "manifest": "batches/spring.csv",
    "version_id": "1",
    "lines": 3,
    "stored": 2,
    "refused": 0,
    "deleted": 0,
    "failed": 1,
    "not_started": 0,
    "possibly_paid": 0,
    "reasons": {},
    "failures": [],
    "cost_usd": 0.1,
    "known_cost_usd": 0.1,
    "unknown_costs": 0,
    "estimate_usd": 0.2,
    "seconds": 1.0,
    "report_key": "batches/spring/report.json",
    "failed_key": None,
}


class Secrets:
    """A fake of Secrets Manager's client with one secret, which counts its reads."""

    def __init__(self) -> None:
        self.reads = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - boto3's name
        assert SecretId == "signing"
        self.reads += 1
        return {"SecretString": KEY}


class States:
    """A fake of Step Functions' client, which describes one execution or none."""

    def __init__(self, description: dict[str, Any] | None = None) -> None:
        self.description = description
        self.exceptions = None

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        assert self.description
        return {"executionArn": executionArn} | self.description


class Function:
    """The function, with its channels. It returns the events that it sends."""

    def __init__(self, services: FakeServices) -> None:
        self.services, self.states, self.secrets = services, States(), Secrets()

    def __call__(
        self, event: dict[str, Any], *channels: Channel, page: str | None = PAGE
    ) -> list[tuple[str, dict[str, Any]]]:
        settings = EventSettings(
            batch_state_machine=f"{MACHINES}:batches",
            channels=channels,
            public_page_url=page,
            signing_secret="signing",
        )
        own = EventServices(self.services, settings)
        client = Client()
        own.bus = Bus(client)
        own.executions = Executions(self.states, machine=settings.batch_state_machine)
        key = SigningKey(self.secrets, secret="signing")
        own.notifier = Notifier(channels=channels, key=key, page_url=page)
        run(event, own)
        return [
            (entry["DetailType"], json.loads(entry["Detail"]))
            for entries in client.calls
            for entry in entries
        ]

    def bodies(self, event: dict[str, Any], *channels: Channel, **more: Any) -> dict[str, Any]:
        """Return what each channel receives."""
        sent = self(event, *channels, **more)
        notices = [detail for name, detail in sent if name == "Notification"]
        return {detail["channel"]: detail["body"] for detail in notices}


@pytest.fixture
def send(services: FakeServices) -> Function:
    return Function(services)


@pytest.fixture
def records(ledger: Ledger, services: FakeServices) -> Callable[..., None]:
    """Return a function that writes the records of run e: its prompt, and images by status."""

    def write(*statuses: Status, cost: int | None = 50_000) -> None:
        prompt = prompt_record(run_id="e", choices={"count": len(statuses)})
        services.table.write(services.table.put(to_item(prompt)))
        for n, status in enumerate(statuses, 1):
            image = image_record(
                run_id="e",
                n=n,
                status=status,
                key=f"f/{n}.png" if status == Status.STORED else None,
                cost_micro_usd=cost,
                possibly_paid=0,
            )
            services.table.write(services.table.put(to_item(image)))

    return write


def ended(**detail: Any) -> dict[str, Any]:
    return failure(**{"status": "SUCCEEDED", "output": "{}"} | detail)


def asking(*names: str, **more: Any) -> str:
    return json.dumps({"notify": names, "prompt": "A secret kite"} | more)


def test_finished_run_has_counts_and_cost(send: Function, records: Callable[..., None]) -> None:
    records(Status.STORED, Status.REFUSED)

    ((name, detail),) = send(ended())

    assert (name, detail["run_id"], detail["status"]) == ("RunFinished", "e", "SUCCEEDED")
    assert (detail["count"], detail["stored"], detail["refused"]) == (2, 1, 1)
    assert [image["key"] for image in detail["images"]] == ["f/1.png", None]
    assert detail["cost_usd"] == pytest.approx(0.05013)


def test_failed_run_sends_both_events(send: Function, records: Callable[..., None]) -> None:
    records(Status.STORED, Status.STAGED)
    cause = json.dumps({"errorMessage": "no credit"})

    failed, finished = send(failure(error="QuotaExhaustedError", cause=cause))

    assert (failed[0], finished[0]) == ("RunFailed", "RunFinished")
    assert (finished[1]["stored"], finished[1]["message"]) == (1, "no credit")


def test_records_of_another_request_are_left_out(
    send: Function, records: Callable[..., None]
) -> None:
    records(Status.STORED)

    _, (_, detail) = send(failure(error="ConflictError"))

    assert (detail["stored"], detail["images"], detail["cost_usd"]) == (0, [], 0.0)


@pytest.mark.parametrize("action", ["delete_image", "restore_folder"])
def test_deletes_and_restores_send_no_finish(send: Function, action: str) -> None:
    assert send(ended(input=json.dumps({"action": action})), ALWAYS) == []


def test_prompts_never_leave_with_an_event(send: Function, records: Callable[..., None]) -> None:
    records(Status.STORED)

    sent = send(ended(input=asking("shop", "chat", "mail")), HOOK, SLACK, MAIL)

    assert len(sent) == 4
    assert "kite" not in json.dumps(sent).lower()


def test_finished_batch_has_its_report(send: Function) -> None:
    batch = {"stateMachineArn": f"{MACHINES}:batches", "output": json.dumps(REPORT)}
    ((name, detail),) = send(ended(**batch, input='{"manifest": "batches/spring.csv"}'))

    assert (name, detail["batch"], detail["lines"]) == ("BatchFinished", "spring", 3)
    assert (detail["stored"], detail["failed"], detail["cost_usd"]) == (2, 1, 0.1)
    assert detail["report_key"] == "batches/spring/report.json"


def test_failed_batch_names_its_manifest(send: Function) -> None:
    machine = f"{MACHINES}:batches"
    run_input = '{"manifest": "batches/spring.csv", "notify": ["mail"]}'

    body = send.bodies(failure(stateMachineArn=machine, input=run_input, error="X"), MAIL)["mail"]

    assert body == f"Easel: batch spring failed: X (no report) See {PAGE}#batch/spring"


def test_left_out_input_is_read_from_execution(
    send: Function, records: Callable[..., None]
) -> None:
    records(Status.STORED)
    send.states.description = {
        "status": "SUCCEEDED",
        "startDate": datetime.now(UTC),
        "input": asking("shop", request_id="e"),
        "output": "{}",
    }
    change = ended(name="x", input=None, inputDetails={"included": False}, output=None)

    (_, finished), (_, notice) = send(change, HOOK)

    assert (finished["run_id"], finished["stored"]) == ("e", 1)
    assert notice["channel"] == "shop"


def test_only_asked_and_constant_channels_are_told(
    send: Function, records: Callable[..., None]
) -> None:
    records(Status.STORED)
    channels = (HOOK, ALWAYS, SLACK, MAIL)

    assert set(send.bodies(ended(), *channels)) == {"audit"}
    assert set(send.bodies(ended(input=asking("mail")), *channels)) == {"audit", "mail"}
    assert set(send.bodies(ended(input=asking(str(HOOK.url))), *channels)) == {"audit", "shop"}
    assert set(send.bodies(ended(input=asking("gone")), *channels)) == {"audit"}
    assert set(send.bodies(ended(input='{"notify": "mail"}'), *channels)) == {"audit"}


def test_signature_holds_facts_and_receiver(send: Function, records: Callable[..., None]) -> None:
    records(Status.STORED)
    send.services.clock = datetime.now(UTC)

    bodies = send.bodies(ended(input=asking("shop")), HOOK, ALWAYS)
    body = bodies["shop"]
    claims = jwt.decode(
        body["signature"], KEY, algorithms=["HS256"], audience="shop", issuer="easel"
    )

    assert (claims["jti"], claims["event"]) == (body["id"], body["event"]) == ("e-1", "RunFinished")
    assert claims["detail"] == body["detail"]
    assert claims["url"] == body["url"] == f"{PAGE}#run/e"
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(bodies["audit"]["signature"], KEY, algorithms=["HS256"], audience="shop")
    assert send.secrets.reads == 1


def test_old_or_changed_signature_is_invalid(send: Function, records: Callable[..., None]) -> None:
    records(Status.STORED)
    send.services.clock = datetime.now(UTC) - timedelta(hours=26)

    token = send.bodies(ended(), ALWAYS)["audit"]["signature"]

    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, KEY, algorithms=["HS256"], audience="audit")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, f"{KEY}!", algorithms=["HS256"], audience="audit")


def test_slack_gets_escaped_words_and_link(send: Function) -> None:
    change = failure(input=asking("chat"), error="X", cause="a <b> & c")

    body = send.bodies(change, SLACK)["chat"]

    assert body == {
        "text": "Easel: run e failed: a &lt;b&gt; &amp; c (0 images stored, $0.00) "
        f"<{PAGE}#run/e|Open>"
    }


def test_mail_is_one_line_without_unknown_address(
    send: Function, records: Callable[..., None]
) -> None:
    records(Status.STORED, Status.REFUSED, cost=50_000)

    body = send.bodies(ended(input=asking("mail")), MAIL, page=None)["mail"]

    assert body == "Easel: run e: 1 of 2 images stored, 1 refused by OpenAI, $0.05"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cost_usd": None}, "run r: 1 of 2 images stored, cost unknown"),
        ({"cost_usd": 0.001}, "run r: 1 of 2 images stored, less than $0.01"),
        ({"dry_run": True, "estimate_usd": 0.05}, "run r: an estimate, up to $0.05"),
        ({"status": "ABORTED", "error": "Stopped"}, "run r was stopped: Stopped (1 of 2 images"),
        ({"status": "TIMED_OUT"}, "run r timed out (1 of 2 images stored, $1,200.00)"),
    ],
)
def test_line_names_result_and_cost(changes: dict[str, Any], words: str) -> None:
    facts = {"count": 2, "stored": 1, "refused": 0, "cost_usd": 1200, "dry_run": False}
    ending = {"run_id": "r", "status": "SUCCEEDED", "message": "", "error": None}
    assert describe(Event(name="RunFinished", detail=facts | ending | changes)).startswith(words)


def test_example_receiver_checks_the_signature(
    send: Function, records: Callable[..., None]
) -> None:
    records(Status.STORED)
    send.services.clock = datetime.now(UTC)
    example = runpy.run_path("examples/webhook.py")
    bodies = send.bodies(ended(input=asking("shop")), HOOK, ALWAYS)
    ours, theirs = (json.dumps(bodies[name]).encode() for name in ("shop", "audit"))

    first, second = (example["read"](ours, KEY) for _ in range(2))

    assert first["detail"] == bodies["shop"]["detail"]
    assert second is None
    with pytest.raises(jwt.InvalidTokenError):
        example["read"](theirs, KEY)
