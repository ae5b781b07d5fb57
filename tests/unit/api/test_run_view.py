"""The API's view of a run, whatever its state."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from easel.contract.states import Step
from easel.contract.status import ChatStatus, Status
from easel.ledger.records import ChatRecord, ImageRecord
from easel.runs.executions import Executions
from tests.support.api import BATCH_MACHINE, MACHINE, Answer, Api, keep_prompt, store_image
from tests.unit.api.test_history import History

TERMS: dict[str, Any] = {
    "month": "2026-11",
    "reserved_micro_usd": 14_000,
    "lease_until": 1,
    "purchase": 1,
    "possibly_paid": 0,
}


def error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class FakeStepFunctions:
    """A fake Step Functions with one execution, whose fields are given to the constructor.

    The execution is visible only after `late` calls.
    """

    def __init__(
        self, events: list[dict[str, Any]] | None = None, *, late: int = 0, **more: Any
    ) -> None:
        self.events, self.late, self.redrives, self.reads, self.started = (
            events or [],
            late,
            0,
            0,
            list[dict[str, Any]](),
        )
        self.description: dict[str, Any] = {
            "status": "RUNNING",
            "input": "{}",
            "startDate": datetime(2026, 11, 24, tzinfo=UTC),
        } | more

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.late -= 1
        self.reads += 1
        if self.late >= 0:
            raise error("ExecutionDoesNotExist", "DescribeExecution")
        return self.description | {"executionArn": executionArn}

    def get_paginator(self, _: str) -> "FakeStepFunctions":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"events": self.events}]

    def start_execution(self, **call: Any) -> dict[str, Any]:
        self.started.append(call)
        return {"executionArn": f"{MACHINE}:{call.get('name', 'new')}"}

    def redrive_execution(self, **_: Any) -> None:
        self.redrives += 1
        raise error("ExecutionNotRedrivable", "RedriveExecution")


def call(
    api: Api,
    states: FakeStepFunctions,
    method: str = "GET",
    path: str = "/runs/run-1",
    body: Any = None,
) -> Answer:
    services = api.services.replace_services(executions=Executions(states, machine=MACHINE))
    return api(method, path, body, headers={"Idempotency-Key": "k"}, services=services)


def failed(name: str, **more: Any) -> FakeStepFunctions:
    fields: dict[str, Any] = {
        "status": "FAILED",
        "error": name,
        "cause": json.dumps({"errorMessage": "why"}),
        "stopDate": datetime(2026, 11, 25, tzinfo=UTC),
    }
    return FakeStepFunctions(**fields | more)


def test_late_start_is_awaited(api: Api) -> None:
    assert call(api, FakeStepFunctions(late=3), "POST", "/runs", {}).status == 202


def test_invisible_start_is_busy_and_not_404(api: Api) -> None:
    """After a 404, a caller would use a new idempotency key and pay again."""
    answer = call(api, FakeStepFunctions(late=99), "POST", "/runs", {})
    assert (answer.status, answer.json["error"]) == (503, "StorageBusyError")


def test_each_look_at_a_run_reads_it_once(api: Api) -> None:
    """Step Functions allows some ten reads a second, for all viewers together."""
    states = FakeStepFunctions()
    keep_prompt(api, "run-1")

    assert call(api, states).status == 200

    assert states.reads == 1


class DuplicateStart(FakeStepFunctions):
    """A fake Step Functions in which the name of the execution is already taken."""

    def start_execution(self, **_: Any) -> dict[str, Any]:
        raise error("ExecutionAlreadyExists", "StartExecution")


def test_late_duplicate_start_is_awaited(api: Api) -> None:
    run_id = api.run({}, key="k").json["id"]
    assert (
        call(
            api,
            DuplicateStart(late=3, input=json.dumps({"request_id": run_id})),
            "POST",
            "/runs",
            {},
        ).json["id"]
        == run_id
    )


def test_long_prompt_is_cut(api: Api) -> None:
    keep_prompt(api, "run-1", text="x" * 5_000)
    assert len(call(api, FakeStepFunctions()).json["prompt"]) == 1_000


def test_conflict_hides_images_of_other_request(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1"))
    run = call(api, failed("ConflictError")).json
    assert (run["pictures"], run["title"], run["can_redrive"]) == ([], None, False)


@pytest.mark.parametrize(
    ("states", "can"),
    [
        (failed("QuotaExhaustedError"), True),
        (failed("InputError"), False),
        (failed("ModelRetiredError"), False),
        (failed("BadImageError"), False),
        (failed("OutcomeUnknownError"), False),
        (failed("AuthError", input="[]"), False),
        (
            failed(
                "StorageBusyError", input='{"action": "delete_folder"}', redriveStatus="REDRIVABLE"
            ),
            True,
        ),
        (failed("StorageBusyError", input='{"action": "delete_folder"}'), False),
        (
            failed(
                "StorageBusyError",
                input='{"action": "delete_folder", "purge": true}',
                redriveStatus="REDRIVABLE",
            ),
            False,
        ),
        (FakeStepFunctions(), False),
        (FakeStepFunctions(status="SUCCEEDED", output="{}"), False),
    ],
)
def test_only_resumable_runs_offer_redrive(api: Api, states: FakeStepFunctions, can: bool) -> None:
    assert call(api, states).json["can_redrive"] is can


def test_purge_cannot_be_resumed_here(api: Api) -> None:
    states = failed(
        "StorageBusyError",
        input='{"action": "delete_folder", "purge": true}',
        redriveStatus="REDRIVABLE",
    )
    assert (call(api, states, "POST", "/runs/run-1/redrive").status, states.redrives) == (409, 0)


def test_final_image_error_is_restarted_not_redriven(api: Api) -> None:
    states = failed("BadImageError", redriveStatus="REDRIVABLE", input='{"topic": "Sport"}')
    answer = call(api, states, "POST", "/runs/run-1/redrive")
    assert (answer.json["id"], states.redrives) == ("new", 0)
    assert json.loads(states.started[0]["input"]) == {"topic": "Sport", "request_id": "run-1"}


def test_concurrent_redrive_is_a_conflict(api: Api) -> None:
    assert (
        call(
            api, failed("AuthError", redriveStatus="REDRIVABLE"), "POST", "/runs/run-1/redrive"
        ).status
        == 409
    )


ENDED = datetime(2026, 11, 25, tzinfo=UTC)
LINE = f"{BATCH_MACHINE.replace(':stateMachine:', ':execution:')}/EachLine:5c1d"


class OneLine(FakeStepFunctions):
    """A fake Step Functions with a line of a batch, and the executions that are started.

    As on AWS, the line reports whether its Map Run can redrive it.
    """

    def __init__(self, status: str) -> None:
        line = {"request": {"topic": "Sport"}, "execution_name": "spring-2"}
        failed = {"redriveStatus": "REDRIVABLE", "error": "AuthError", "stopDate": ENDED}
        more: dict[str, Any] = failed if status == "FAILED" else {}
        super().__init__(status=status, input=json.dumps(line), mapRunArn="a", **more)

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        if executionArn == LINE:
            return self.description | {"executionArn": LINE}
        if not self.started:
            raise error("ExecutionDoesNotExist", "DescribeExecution")
        started = {"status": "RUNNING", "input": self.started[0]["input"]}
        began = {"startDate": datetime(2026, 11, 26, tzinfo=UTC)}
        return {"executionArn": executionArn, **started, **began}


def test_failed_line_is_restarted_not_redriven(api: Api) -> None:
    keep_prompt(api, "spring-2", execution=LINE)
    states = OneLine("FAILED")
    assert call(api, states, path="/runs/spring-2").json["can_redrive"]

    answer = call(api, states, "POST", "/runs/spring-2/redrive")

    assert (answer.status, answer.json["id"], states.redrives) == (202, "new", 0)
    assert states.started[0]["stateMachineArn"] == MACHINE
    assert json.loads(states.started[0]["input"]) == {"topic": "Sport", "request_id": "spring-2"}


def test_running_line_stops_only_with_its_batch(api: Api) -> None:
    keep_prompt(api, "spring-2", execution=LINE)
    states = OneLine("RUNNING")
    assert not call(api, states, path="/runs/spring-2").json["can_stop"]

    answer = call(api, states, "POST", "/runs/spring-2/stop")

    assert (answer.status, answer.json["error"]) == (409, "ConflictError")
    assert "stop its batch with POST /batches/{name}/stop" in answer.json["detail"]


class Two(FakeStepFunctions):
    """A fake Step Functions in which the execution `later` began after all others."""

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        later = (
            {"startDate": datetime(2026, 11, 26, tzinfo=UTC)}
            if executionArn.endswith(":later")
            else {}
        )
        return super().describe_execution(executionArn=executionArn) | later


def test_run_id_shows_the_latest_execution(api: Api) -> None:
    keep_prompt(api, "run-1", execution="later")
    assert call(api, Two()).json["id"] == "later"


def test_execution_of_another_run_is_not_used(api: Api) -> None:
    """The name of an execution may be the id of another run."""
    keep_prompt(api, "second", execution="later")
    assert (
        call(api, Two(input='{"request_id": "its-run"}'), path="/runs/second").json["id"]
        == "second"
    )


@pytest.mark.parametrize("id_", ["arn:aws:states:eu-north-1:1:execution:a:b", "a%2Fb", "x" * 81])
def test_only_valid_names_are_looked_up(api: Api, id_: str) -> None:
    assert call(api, FakeStepFunctions(), path=f"/runs/{id_}").status == 404


@pytest.mark.parametrize("request_id", [5_000 * "x", "a b", 7, None])
def test_invalid_request_id_has_no_records(api: Api, request_id: Any) -> None:
    assert (
        call(api, FakeStepFunctions(input=json.dumps({"request_id": request_id}))).json["run_id"]
        == "run-1"
    )


def test_steps_show_their_current_state(api: Api) -> None:
    history = History()
    prompt = history.leave(Step.PROMPT, history.call(history.enter(Step.PROMPT, 0)))
    history.call(
        history.enter(Step.IMAGE, history.add("MapIterationStarted", history.start_map(prompt, 1))),
        fails="RateLimitedError",
    )

    def steps(states: FakeStepFunctions) -> list[tuple[str, bool]]:
        return [
            (step["status"], step["ended"] is not None) for step in call(api, states).json["steps"]
        ]

    assert steps(FakeStepFunctions(history.events)) == [
        ("succeeded", True),
        ("retrying", False),
        ("waiting", False),
        ("waiting", False),
    ]

    ended: dict[str, Any] = {
        "events": history.events,
        "stopDate": datetime(2026, 11, 25, tzinfo=UTC),
    }
    assert steps(FakeStepFunctions(status="FAILED", error="RateLimitedError", **ended))[1] == (
        "failed",
        True,
    )
    assert steps(FakeStepFunctions(status="ABORTED", **ended))[1] == ("stopped", True)


def ended_history(images: int) -> list[dict[str, Any]]:
    """Return the history of a run whose images have all ended, with or without a result."""
    history = History()
    prompt = history.leave(Step.PROMPT, history.call(history.enter(Step.PROMPT, 0)))
    here = history.start_map(prompt, images)
    for _ in range(images):
        here = history.leave(Step.IMAGE, history.call(history.enter(Step.IMAGE, here)))
    history.add("MapStateSucceeded", here)
    return history.events


def steps_of(api: Api, states: FakeStepFunctions) -> dict[str, tuple[str, int, int]]:
    return {
        step["step"]: (step["status"], step["done"], step["of"])
        for step in call(api, states).json["steps"]
    }


def succeeded(images: int) -> FakeStepFunctions:
    events = ended_history(images)
    return FakeStepFunctions(events, status="SUCCEEDED", output="{}", stopDate=ENDED)


def test_steps_count_refused_images(api: Api) -> None:
    prompt = keep_prompt(api, "run-1", choices={"count": 3})
    for n in (1, 2):
        store_image(api, prompt, n)
    assert api.services.ledger.mark_refused(claim(api, 3), category="moderation")

    steps = steps_of(api, succeeded(3))

    assert (steps["image"], steps["upload"]) == (("refused", 2, 3), ("succeeded", 2, 2))


def test_steps_of_refused_run_are_skipped(api: Api) -> None:
    keep_prompt(api, "run-1")
    assert api.services.ledger.mark_refused(claim(api, 1), category="moderation")

    steps = steps_of(api, succeeded(1))

    assert (steps["image"], steps["upload"]) == (("refused", 0, 1), ("skipped", 0, 0))


def test_lost_image_fails_its_own_step(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1", choices={"count": 2}))
    assert api.services.ledger.mark_lost(claim(api, 2))
    states = failed("OutcomeUnknownError", events=ended_history(2))

    run = call(api, states).json

    steps = {step["step"]: (step["status"], step["done"], step["of"]) for step in run["steps"]}
    assert (steps["image"], steps["cleanup"]) == (("failed", 1, 2), ("succeeded", 1, 1))
    assert run["steps"][1]["error"]["title"] == "No image, possibly paid"


def test_ended_run_shows_its_request(api: Api) -> None:
    sent = {"description": "A kite", "count": 2, "request_id": "r", "safety_identifier": "s"}
    running, ended = (
        FakeStepFunctions(input=json.dumps(sent)),
        failed("AuthError", input=json.dumps(sent)),
    )

    assert call(api, running).json["request"] is None
    assert call(api, ended).json["request"] == {"description": "A kite", "count": 2}


def test_done_never_exceeds_requested(api: Api) -> None:
    history, here = History(), 0
    for _ in range(3):
        here = history.leave(Step.IMAGE, history.call(history.enter(Step.IMAGE, here)))
    keep_prompt(api, "run-1")

    image = call(api, FakeStepFunctions(history.events)).json["steps"][1]

    assert (image["done"], image["of"], image["attempts"]) == (1, 1, 3)


def claim(api: Api, n: int) -> ImageRecord:
    claimed = ImageRecord(run_id="run-1", n=n, status=Status.CLAIMED, **TERMS)
    api.services.ledger.claims.take(claimed, after=None)
    return claimed


def test_refused_image_is_free_but_bad_one_costs(api: Api) -> None:
    keep_prompt(api, "run-1")
    assert api.services.ledger.mark_refused(claim(api, 1), category="moderation")
    bad = claim(api, 2)
    staged = replace(bad, status=Status.STAGED, bytes=1, sha256="ab", cost_micro_usd=9_000)
    assert api.services.ledger.mark_staged(bad, staged)
    assert api.services.ledger.mark_bad(staged, problem="no picture")

    run = call(api, FakeStepFunctions()).json
    assert [picture["cost_usd"] for picture in run["pictures"]] == [0.0, 0.009]
    assert run["cost_usd"] == 0.00905


def test_unknown_cost_is_not_guessed(api: Api) -> None:
    keep_prompt(api, "run-1")
    claimed = claim(api, 1)

    assert call(api, FakeStepFunctions()).json["cost_usd"] == 0.00005
    assert call(api, failed("OutcomeUnknownError")).json["cost_usd"] is None
    assert api.services.ledger.mark_lost(claimed)
    assert call(api, FakeStepFunctions()).json["cost_usd"] is None


def test_possibly_paid_chat_call_is_counted(api: Api) -> None:
    chat = ChatRecord(run_id="run-1", status=ChatStatus.CLAIMED, **TERMS)
    api.services.ledger.claims.take(chat, after=None)
    assert api.services.ledger.claims.mark_unknown(chat)

    run = call(api, FakeStepFunctions()).json
    assert (run["possibly_paid"], run["cost_usd"]) == (1, None)


def test_image_that_is_gone_was_stored_but_has_no_links(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1"))
    for status, mark in (
        ("deleted", api.services.ledger.mark_deleted),
        ("purged", api.services.ledger.mark_purged),
    ):
        assert mark("run-1", 1, key=key)

        (picture,) = call(api, succeeded(1)).json["pictures"]

        assert (picture["status"], picture["links"]) == (status, None)
        assert steps_of(api, succeeded(1))["upload"] == ("succeeded", 1, 1)


def test_responses_with_links_are_not_cached(api: Api) -> None:
    headers = call(api, FakeStepFunctions()).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize("body", ["/w==", "w6k="])
def test_body_that_is_not_utf8_is_refused(api: Api, body: str) -> None:
    event = {
        "version": "2.0",
        "routeKey": "POST /estimate",
        "rawPath": "/estimate",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST"}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": True,
    }
    from functions.api import handler

    nothing: Any = None  # the handler does not use the context
    answer = handler.answer(event, nothing, resolver=handler.RESOLVER, services=api.services)
    assert answer["statusCode"] == 400


def test_dry_run_skips_what_it_does_not_do(api: Api) -> None:
    history = History()
    history.leave(Step.PROMPT, history.call(history.enter(Step.PROMPT, 0)))
    ended: dict[str, Any] = {
        "status": "SUCCEEDED",
        "output": '{"estimate_usd": 0.1}',
        "stopDate": ENDED,
    }
    states = FakeStepFunctions(history.events, input='{"dry_run": true}', **ended)

    run = call(api, states).json

    assert [step["status"] for step in run["steps"]] == ["succeeded", *["skipped"] * 3]
    assert (run["dry_run"], run["estimate_usd"]) == (True, 0.1)
