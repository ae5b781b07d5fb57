"""The list of runs: what each entry shows, and how much reading a page costs."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from easel.runs.executions import Executions
from tests.support.api import MACHINE, Answer, Api, keep_prompt, store_image
from tests.support.records import claimed

STARTED = datetime(2026, 11, 24, tzinfo=UTC)
ENDED = datetime(2026, 11, 25, tzinfo=UTC)


class FakeStepFunctions:
    """A fake Step Functions with executions by name: each one's status, input and error."""

    def __init__(self, **executions: dict[str, Any]) -> None:
        self.executions = executions
        self.described: list[str] = []
        self.filters: list[str | None] = []

    def list_executions(self, **call: Any) -> dict[str, Any]:
        self.filters.append(call.get("statusFilter"))
        return {"executions": [self._summary(name) | {"name": name} for name in self.executions]}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        name = executionArn.rpartition(":")[2]
        self.described.append(name)
        execution = {"input": {}} | self.executions[name]
        return execution | self._summary(name) | {"input": json.dumps(execution["input"])}

    def _summary(self, name: str) -> dict[str, Any]:
        status = self.executions[name].get("status", "SUCCEEDED")
        ended = {} if status == "RUNNING" else {"stopDate": ENDED}
        arn = MACHINE.replace(":stateMachine:", ":execution:") + f":{name}"
        return {"executionArn": arn, "status": status, "startDate": STARTED, "output": "{}"} | ended


def failed(error: str, **more: Any) -> dict[str, Any]:
    return {"status": "FAILED", "error": error, "cause": '{"errorMessage": "why"}', **more}


def listed(api: Api, states: FakeStepFunctions, **query: str) -> Answer:
    services = api.services.replace_services(executions=Executions(states, machine=MACHINE))
    return api("GET", "/runs", query=query, services=services)


def entry(api: Api, **execution: Any) -> dict[str, Any]:
    (run,) = listed(api, FakeStepFunctions(**execution)).json["runs"]
    return dict(run)


def test_entry_shows_title_cost_and_thumbnail(api: Api) -> None:
    store_image(api, keep_prompt(api, "run_1"))

    run = entry(api, run_1={})

    assert (run["title"], run["cost_usd"], run["count"], run["refused"]) == ("Kite", 0.01334, 1, 0)
    assert "thumbnails/my_s3_folder/image_run_1_1.png.webp" in run["thumbnail"]


def test_refused_images_are_counted(api: Api) -> None:
    keep_prompt(api, "run_1", choices={"count": 2})
    claim = claimed(api.services.ledger, run_id="run_1", n=2)
    assert api.services.ledger.mark_refused(claim, category="moderation")

    run = entry(api, run_1={})

    assert (run["count"], run["refused"]) == (2, 1)


def test_run_with_own_request_id_has_its_title(api: Api) -> None:
    store_image(api, keep_prompt(api, "spring-1"))

    run = entry(api, abc={"input": {"request_id": "spring-1"}})

    assert (run["id"], run["run_id"], run["title"]) == ("abc", "spring-1", "Kite")


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        ({"description": "x" * 200}, "x" * 120 + "…"),
        ({"prompt": "A kite"}, "A kite"),
        ({"topic": "Sport", "folder_name": "spring"}, "Sport"),
        ({"folder_name": "spring"}, None),
        ({"action": "delete_folder", "folder_name": "spring"}, "spring"),
        ({"action": "restore_image", "image_key": "spring/a.png"}, "spring/a.png"),
        ("no request", None),
    ],
)
def test_title_is_what_was_asked_for(api: Api, request_: Any, title: str | None) -> None:
    assert entry(api, abc={"status": "RUNNING", "input": request_})["title"] == title


def test_failure_is_listed_in_plain_words(api: Api) -> None:
    keep_prompt(api, "run_1")

    run = entry(api, run_1=failed("QuotaExhaustedError"))

    assert (run["error"]["title"], run["can_redrive"]) == ("OpenAI account out of credit", True)


def test_conflict_hides_records_of_other_request(api: Api) -> None:
    store_image(api, keep_prompt(api, "run_1"))

    run = entry(api, run_1=failed("ConflictError", input={"topic": "Health"}))

    assert (run["title"], run["thumbnail"], run["can_redrive"]) == ("Health", None, False)


def test_page_describes_each_run_once(api: Api) -> None:
    states = FakeStepFunctions(
        known={}, other={"input": {"topic": "Sport"}}, broken=failed("AuthError")
    )
    for name in ("known", "broken"):
        keep_prompt(api, name)
    services = api.services.replace_services(executions=Executions(states, machine=MACHINE))

    for _ in range(3):
        assert len(api("GET", "/runs", services=services).json["runs"]) == 3

    assert sorted(states.described) == ["broken", "other"]


def test_resumed_run_is_described_again(api: Api) -> None:
    states = FakeStepFunctions(run_1=failed("AuthError"))
    services = api.services.replace_services(executions=Executions(states, machine=MACHINE))
    before = api("GET", "/runs", services=services).json["runs"]

    states.executions["run_1"] = {"status": "RUNNING"}
    after = api("GET", "/runs", services=services).json["runs"]

    assert [run["error"] is None for run in before + after] == [False, True]


class CountingTable:
    """A DynamoDB client that counts its batched reads."""

    def __init__(self, client: Any) -> None:
        self._client, self.reads = client, 0

    def batch_get_item(self, **call: Any) -> Any:
        self.reads += 1
        return self._client.batch_get_item(**call)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the list calls {name}")


def test_page_reads_the_table_in_few_batches(api: Api) -> None:
    names = [f"run_{n}" for n in range(20)]
    for name in names:
        store_image(api, keep_prompt(api, name, choices={"count": 3}))
    counting = CountingTable(api.dynamodb)
    api.services.ledger._table._client = counting

    answer = listed(api, FakeStepFunctions(**{name: {} for name in names}))

    assert {run["count"] for run in answer.json["runs"]} == {3}
    assert counting.reads == 2  # the prompts, then the images


def test_status_filters_the_list(api: Api) -> None:
    states = FakeStepFunctions()

    assert listed(api, states, status="timed_out").status == 200
    assert listed(api, states, status="broken").json["field"] == "status"
    assert states.filters == ["TIMED_OUT"]


def test_local_stack_names_no_console(api: Api) -> None:
    keep_prompt(api, "run_1")
    local = replace(api.services.api, local_sign_in_url="http://127.0.0.1:4999")

    assert "console.aws.amazon.com" in entry(api, run_1={})["console_url"]
    api.services.api = local
    assert entry(api, run_1={})["console_url"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"kind": "purge"}, "kind"),
        ({"person": "anna"}, "person"),
        ({"person": "C4061ECB"}, "person"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-31"}, "from"),
        ({"from": "2026-11-29T08:00:00"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"from": "2026-11-25", "to": "2026-11-24"}, "to"),
        ({"person": "c4061ecb", "cursor": "x"}, "cursor"),
    ],
)
def test_wrong_filter_is_refused(api: Api, query: dict[str, str], field: str) -> None:
    answer = listed(api, FakeStepFunctions(), **query)

    assert (answer.status, answer.json["field"]) == (400, field)
    assert answer.json["allowed"]


def test_filters_choose_before_anything_is_described(api: Api) -> None:
    mine, deleted = "c4061ecb-1", f"delete_image-c4061ecb-{'0' * 32}"
    states = FakeStepFunctions(**{mine: {}, deleted: {}, "0a1b2c3d-1": {}})

    answer = listed(api, states, person="c4061ecb", kind="create")

    assert [(run["id"], run["person"]) for run in answer.json["runs"]] == [(mine, "c4061ecb")]
    assert states.described == [mine]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"from": "2026-11-24"}, 1),
        ({"from": "2026-11-25"}, 0),
        ({"to": "2026-11-24"}, 1),
        ({"to": "2026-11-23"}, 0),
        ({"from": "2026-11-24T01:00:00+01:00"}, 1),
        ({"from": "2026-11-24T00:00:01Z"}, 0),
        ({"to": "2026-11-24T00:00:00Z"}, 0),
        ({"from": "2026-11-24", "to": "2026-11-24"}, 1),
    ],
)
def test_days_are_inclusive_and_in_utc(api: Api, query: dict[str, str], count: int) -> None:
    assert len(listed(api, FakeStepFunctions(run_1={}), **query).json["runs"]) == count


def test_deletes_are_listed_with_their_person(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run_1"))
    image = api("GET", "/images").json["images"][0]
    assert image["key"] == key

    name = api("DELETE", f"/images/{image['id']}").json["id"]

    person = api("GET", "/runs", query={"kind": "delete"}).json["runs"][0]["person"]
    assert name.startswith(f"delete_image-{person}-")
    assert len(api("GET", "/runs", query={"person": person}).json["runs"]) == 1
