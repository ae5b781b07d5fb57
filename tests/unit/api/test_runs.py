"""Starting runs through the API: each request is checked, and runs once per key, unchanged."""

import hashlib
import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from easel.aws.observability import logger
from easel.contract import naming
from easel.contract.channels import Channel, Form, When
from easel.contract.errors import ConfigError, InputError
from easel.request.names import check_batch_name
from easel.runs.executions import Executions
from functions.api.runs import BODY_FIELDS
from tests.support.api import MACHINE, Api, keep_prompt, store_image


def test_run_starts_and_returns_its_location(api: Api) -> None:
    answer = api.run({"topic": "Sport"}, key="click-1")
    assert answer.status == 202
    (execution,) = api.executions()
    assert execution["name"] == answer.json["id"]
    assert answer.json["id"].endswith("-click-1")
    assert (
        answer.headers["location"]
        == answer.json["url"]
        == f"https://pictures.example/runs/{answer.json['id']}"
    )

    started = api.states.describe_execution(executionArn=execution["executionArn"])
    execution_input = json.loads(started["input"])
    assert execution_input == {
        "topic": "Sport",
        "request_id": answer.json["id"],
        "safety_identifier": execution_input["safety_identifier"],
        "person": answer.json["id"][:8],
        "trigger": "api",
    }


def end_user_ids(api: Api, machine: str = MACHINE) -> list[str]:
    """Return the safety identifiers of the started executions, newest first."""
    started = (
        api.states.describe_execution(executionArn=execution["executionArn"])
        for execution in api.executions(machine)
    )
    return [json.loads(execution["input"])["safety_identifier"] for execution in started]


def test_openai_sees_only_a_hash_of_caller(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    api.run({}, key="1", sub="anna")
    api.run({"topic": "Sport"}, key="2", sub="anna")
    api.run({}, key="3", sub="client-of-a-program")
    elsewhere = api.services.replace_services(api=replace(api.services.api, user_pool="another"))

    api("POST", "/runs", {}, headers={"Idempotency-Key": "4"}, sub="anna", services=elsewhere)
    user_ids = set(end_user_ids(api))

    assert len(user_ids) == 3
    assert hashlib.sha256(f"{api.services.api.user_pool}\nanna".encode()).hexdigest() in user_ids
    assert hashlib.sha256(b"anna").hexdigest() not in user_ids
    assert not [user_id for user_id in user_ids if len(user_id) != 64 or user_id in log.getvalue()]


def test_caller_cannot_claim_another_identity(api: Api) -> None:
    answer = api.run({"safety_identifier": "ben"})
    assert (answer.status, answer.json["field"]) == (400, "safety_identifier")
    assert api.executions() == []


def test_run_without_user_is_still_the_same(api: Api) -> None:
    run_id = f"{hashlib.sha256(b'anna').hexdigest()[:8]}-key-1"
    api.states.start_execution(
        stateMachineArn=MACHINE,
        name=run_id,
        input=json.dumps({"topic": "Sport", "request_id": run_id}),
    )
    answer = api.run({"topic": "Sport"})
    assert (answer.status, answer.json["id"]) == (202, run_id)


def test_same_key_and_body_are_one_run(api: Api) -> None:
    first, second = api.run({"topic": "Sport"}), api.run({"topic": "Sport"})
    assert (first.status, second.status) == (202, 202)
    assert first.json["id"] == second.json["id"]
    assert len(api.executions()) == 1


def test_ended_run_is_returned_with_its_status(api: Api) -> None:
    first = api.run({"topic": "Sport"})
    api.states.stop_execution(executionArn=api.executions()[0]["executionArn"])
    second = api.run({"topic": "Sport"})
    assert (second.status, second.json["id"], second.json["status"]) == (
        200,
        first.json["id"],
        "aborted",
    )


@pytest.mark.parametrize("other", [{"topic": "Health"}, {"topic": "Sport", "dry_run": True}, {}])
def test_same_key_with_other_body_conflicts(api: Api, other: dict[str, Any]) -> None:
    api.run({"topic": "Sport"})
    answer = api.run(other)
    assert (answer.status, answer.json["error"]) == (409, "ConflictError")
    assert len(api.executions()) == 1


def test_run_ids_of_callers_are_reserved(api: Api) -> None:
    run_id = api.run({}, key="click-1").json["id"]

    assert naming.is_reserved(run_id)
    for name in (run_id, run_id[:8], run_id.removesuffix("-1"), "schedule"):
        with pytest.raises(InputError, match="a name that does not begin like the run ids"):
            check_batch_name(name, "name")
    assert check_batch_name(run_id[:7], "name") == run_id[:7]


def test_callers_never_share_a_run(api: Api) -> None:
    assert api.run({}, sub="anna").json["id"] != api.run({"topic": "Sport"}, sub="ben").json["id"]
    assert len(api.executions()) == 2


@pytest.mark.parametrize("key", [None, "", "a" * 72, "a key", "a*", "a\nb", "ключ", "a/b", "a#b"])
def test_invalid_key_is_refused_before_any_start(api: Api, key: str | None) -> None:
    answer = api("POST", "/runs", {}, headers={} if key is None else {"Idempotency-Key": key})
    assert (answer.status, answer.json["field"]) == (400, "Idempotency-Key")
    assert api.executions() == []


WRONG: list[tuple[Any, str]] = [
    ({"size": "1x1"}, "size"),
    ({"count": 1_000_000}, "count"),
    ({"count": "3"}, "count"),
    ({"bucket": "mine"}, "bucket"),
    ({"endpoint": "http://evil"}, "endpoint"),
    ({"model": "nobody-knows"}, "model"),
    ({"model": "dall-e-3"}, ""),
    ({"folder_name": "staging"}, "folder_name"),
    ({"folder_name": "a/../b"}, "folder_name"),
    ({"aws_region": "eu-north-1"}, "aws_region"),
    ({"action": "delete_folder", "folder_name": "x", "confirm": True}, "action"),
    ({"request_id": "mine"}, "request_id"),
    ({"purge": True}, "purge"),
    ([], "the body"),
    ("text", "the body"),
    ('{"topic": ', "the body"),
    ('{"count": NaN}', "the body"),
    ("[" * 100_000, "the body"),
    ("", "the body"),
    ({"\ud800": 1}, "a field whose name has 1 character"),
]


@pytest.mark.parametrize(
    ("body", "field"), WRONG, ids=[str(field) + str(i) for i, (_, field) in enumerate(WRONG)]
)
def test_invalid_request_is_refused_and_starts_nothing(api: Api, body: Any, field: str) -> None:
    answer = api.run(json.dumps(body) if body in ("text", []) else body)

    assert answer.status == 400
    assert answer.json.get("field", "") == field
    assert answer.json["what_to_do"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.executions() == []


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ],
)
def test_only_json_is_accepted(api: Api, content_type: str) -> None:
    answer = api(
        "POST", "/runs", "{}", headers={"content-type": content_type, "Idempotency-Key": "k"}
    )
    assert (answer.status, answer.json["field"]) == (415, "content-type")
    assert api.executions() == []


def test_oversized_body_is_refused(api: Api) -> None:
    answer = api.run(json.dumps({"prompt": "x" * 300_000}))
    assert (answer.status, answer.json["error"]) == (413, "InputError")
    assert api.executions() == []


def test_longest_request_fits_step_functions_input(api: Api) -> None:
    """It has 32,000 characters of four bytes each, and 100 long topics."""
    longest = {"prompt": "🎨" * 32_000, "topics": ["🎨" * 200] * 100, "folder_name": "é" * 200}
    body = json.dumps(longest, ensure_ascii=False)
    answer = api.run(body)
    assert (answer.status, len(body.encode()) < 256 * 1024) == (202, True)

    started = api.states.describe_execution(executionArn=api.executions()[0]["executionArn"])[
        "input"
    ]
    assert len(started.encode()) < 262_144


@pytest.mark.parametrize(
    "text",
    [
        'it\'s "quoted"',
        "a\nb",
        "</script>",
        "$context.Execution",
        "{% $states.input %}",
        "States.Format('{}')",
        "🎨 é",
    ],
)
def test_callers_words_reach_the_machine_unchanged(api: Api, text: str) -> None:
    assert api.run({"description": text}).status == 202
    started = api.states.describe_execution(executionArn=api.executions()[0]["executionArn"])
    assert json.loads(started["input"])["description"] == text


class Failing:
    """A fake Step Functions that refuses a call."""

    def __init__(self, code: str, status: int) -> None:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        self._error = ClientError(answer, "StartExecution")

    def start_execution(self, **_: Any) -> Any:
        raise self._error


@pytest.mark.parametrize(
    ("code", "status", "answered"),
    [
        ("ThrottlingException", 400, 503),
        ("InternalServerError", 500, 503),
        ("AccessDeniedException", 400, 500),
    ],
)
def test_failed_start_is_reported(api: Api, code: str, status: int, answered: int) -> None:
    broken = api.services.replace_services(
        executions=Executions(Failing(code, status), machine=MACHINE)
    )
    answer = api("POST", "/runs", {}, headers={"Idempotency-Key": "k"}, services=broken)
    assert answer.status == answered
    assert answer.headers.get("retry-after") == ("2" if answered == 503 else None)


def test_runs_are_listed_with_unforgeable_cursor(api: Api) -> None:
    for i in range(3):
        api.run({}, key=f"k{i}")
    page = api("GET", "/runs", query={"limit": "2"}).json

    rest = api("GET", "/runs", query={"limit": "2", "cursor": page["cursor"]}).json

    assert {run["id"] for run in page["runs"] + rest["runs"]} == {
        execution["name"] for execution in api.executions()
    }
    assert rest["cursor"] is None
    assert api("GET", "/runs", query={"cursor": "made-up"}).json["field"] == "cursor"


def test_run_shows_images_and_costs(api: Api) -> None:
    run_id = api.run({"count": 2}).json["id"]
    prompt = keep_prompt(api, run_id, choices={**keep_prompt(api, "other").choices, "count": 2})
    store_image(api, prompt, 2)

    run = api("GET", f"/runs/{run_id}").json

    assert (run["status"], run["count"], run["topic"], run["title"]) == (
        "running",
        2,
        "Sport",
        "Kite",
    )
    assert [
        (picture["n"], picture["status"], picture["cost_usd"]) for picture in run["pictures"]
    ] == [(2, "stored", 0.01329)]
    assert (run["cost_usd"], run["estimate_usd"], run["can_stop"], run["can_redrive"]) == (
        0.01334,
        0.015,
        True,
        False,
    )


def test_running_run_can_be_stopped_once(api: Api) -> None:
    run_id = api.run({}).json["id"]

    stopped = api("POST", f"/runs/{run_id}/stop")
    again = api("POST", f"/runs/{run_id}/stop")

    assert (stopped.status, stopped.json["status"], stopped.json["can_stop"]) == (
        202,
        "aborted",
        False,
    )
    assert (again.status, again.json["error"]) == (409, "ConflictError")
    assert "there is nothing to stop" in again.json["detail"]


def test_unknown_field_lists_only_accepted_ones(api: Api) -> None:
    answer = api.run({"colour": "red"})

    assert answer.json["allowed"].split(", ") == list(BODY_FIELDS)
    for name in ("purge", "confirm", "image_key", "request_id"):
        assert name not in answer.json["allowed"]


def test_running_run_cannot_be_redriven(api: Api) -> None:
    run_id = api.run({}).json["id"]
    answer = api("POST", f"/runs/{run_id}/redrive")
    assert (answer.status, answer.json["error"]) == (409, "ConflictError")


@pytest.mark.parametrize("path", ["/runs/nobody", "/runs/a%20b", "/runs/" + "x" * 81, "/nowhere"])
def test_unknown_path_is_not_found(api: Api, path: str) -> None:
    answer = api("GET", path)
    assert (answer.status, answer.json["error"]) == (404, "NotFoundError")


def test_unexpected_error_hides_its_message(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("a prompt and a link")

    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)

    answer = api("POST", "/estimate", {}, services=api.services.replace_services(now=broken))

    assert (answer.status, answer.json["error"]) == (500, "UnexpectedError")
    assert json.loads(log.getvalue())["error"] == "RuntimeError"
    assert "a prompt" not in answer.text + log.getvalue()


def test_failure_is_logged_with_cause_and_route(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ConfigError("the machine is not there")

    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    services = api.services.replace_services(executions=SimpleNamespace(start=broken))
    assert (
        api("POST", "/runs", {}, headers={"Idempotency-Key": "k"}, services=services).status == 500
    )

    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["message"], line["error"], line["level"]) == (
        "the machine is not there",
        "ConfigError",
        "ERROR",
    )
    assert (line["route"], line["status"]) == ("POST /runs", 500)
    assert api("POST", "/estimate", {}).status == 200
    assert json.loads(log.getvalue().splitlines()[-1])["message"] == "POST /estimate"


def test_economy_line_points_to_its_batch(api: Api) -> None:
    keep_prompt(api, "spring-3")
    answer = api("GET", "/runs/spring-3")
    assert (answer.status, answer.json["error"]) == (404, "NotFoundError")
    assert "GET /batches/… shows the lines of a batch in economy" in answer.json["detail"]


class Clock:
    """A clock that ends the only run after some seconds of waiting."""

    def __init__(self, api: Api, *, ends_after: float) -> None:
        self.api, self.ends_after, self.pauses = api, ends_after, list[float]()

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if sum(self.pauses) >= self.ends_after:
            (execution,) = self.api.executions()
            self.api.states.stop_execution(executionArn=execution["executionArn"])


def start_and_wait(api: Api, clock: Clock, seconds: str) -> Any:
    services = api.services.replace_services(sleep=clock.sleep)
    headers = {"Idempotency-Key": "key-1"}
    query = {"wait": seconds}
    return api("POST", "/runs", {}, headers=headers, query=query, services=services)


def test_answer_waits_for_end_of_run(api: Api) -> None:
    clock = Clock(api, ends_after=4)
    answer = start_and_wait(api, clock, "30")
    assert (answer.status, answer.json["status"]) == (200, "aborted")
    assert clock.pauses == [1, 2, 3]
    assert answer.json == api("GET", f"/runs/{answer.json['id']}").json

    again = start_and_wait(api, clock, "30")
    assert (again.status, again.json["id"]) == (200, answer.json["id"])
    assert clock.pauses == [1, 2, 3]


@pytest.mark.parametrize(("seconds", "waited"), [("0", 0), ("2", 2), ("30", 24)])
def test_late_run_is_answered_as_running(api: Api, seconds: str, waited: int) -> None:
    clock = Clock(api, ends_after=100)
    answer = start_and_wait(api, clock, seconds)
    assert (answer.status, answer.json["status"], sum(clock.pauses)) == (202, "running", waited)


@pytest.mark.parametrize("seconds", ["31", "-1", "soon", "1.5"])
def test_wrong_wait_starts_nothing(api: Api, seconds: str) -> None:
    answer = start_and_wait(api, Clock(api, ends_after=0), seconds)
    assert (answer.status, answer.json["field"]) == (400, "wait")
    assert api.executions() == []


def test_other_channels_are_the_same_run(api: Api) -> None:
    mail = Channel(name="mail", form=Form.MAIL, when=When.REQUESTED)
    api.services.requests = replace(api.services.requests, channels=(mail,))
    first, second = api.run({}), api.run({"notify": ["mail"]})
    assert (second.status, second.json["id"]) == (202, first.json["id"])


def test_undeclared_channel_starts_nothing(api: Api) -> None:
    answer = api.run({"notify": ["https://10.0.0.1/hook"]})
    assert (answer.status, answer.json["field"]) == (400, "notify")
    assert "10.0.0.1 is a private" in answer.json["detail"]
    assert api.executions() == []
