"""The lists of batches and of a batch's lines."""

import json
from typing import Any

import pytest

from easel.runs.executions import Executions
from tests.support.api import BATCH_MACHINE, Api, keep_prompt, noted, store_image
from tests.support.services import NOW
from tests.unit.api.test_batches import CHECKED, COUNTS, REPORT, FakeStepFunctions


class CountedStepFunctions(FakeStepFunctions):
    """A fake Step Functions that counts descriptions, and notes the filters of lists."""

    def __init__(self, *names: str, **fields: Any) -> None:
        super().__init__(*names, **fields)
        self.described = 0
        self.filters: list[str | None] = []

    def describe_execution(self, **call: Any) -> dict[str, Any]:
        self.described += 1
        return super().describe_execution(**call)

    def list_executions(self, **call: Any) -> dict[str, Any]:
        self.filters.append(call.get("statusFilter"))
        listed = super().list_executions(**call)["executions"]
        names = ("status", "stopDate")
        known = {name: self.description[name] for name in names if name in self.description}
        return {"executions": [execution | known for execution in listed]}


def ended(**more: Any) -> CountedStepFunctions:
    output = json.dumps(REPORT)
    fields = {"status": "SUCCEEDED", "stopDate": NOW, "output": output, **more}
    return CountedStepFunctions("spring.20261124031402-abcd", counts=COUNTS, **fields)


def use(api: Api, states: FakeStepFunctions) -> Any:
    return api.services.replace_services(batch_executions=Executions(states, machine=BATCH_MACHINE))


def test_list_shows_progress_and_cost(api: Api) -> None:
    (batch,) = api("GET", "/batches", services=use(api, ended())).json["batches"]

    assert (batch["name"], batch["status"], batch["cost_usd"]) == ("spring", "succeeded", 0.2)
    assert batch["lines"]["failed"] == 2  # one of them timed out
    assert batch["url"].endswith("/batches/spring")


def test_ended_batch_is_described_once(api: Api) -> None:
    states = ended()
    services = use(api, states)

    for _ in range(3):
        api("GET", "/batches", services=services)

    assert states.described == 1


def test_running_batch_is_described_each_time(api: Api) -> None:
    states = CountedStepFunctions("spring.20261124031402-abcd", counts=COUNTS)
    services = use(api, states)

    for _ in range(3):
        api("GET", "/batches", services=services)

    assert states.described == 3


def test_start_without_manifest_is_listed(api: Api) -> None:
    states = ended(status="FAILED", error="InputError", input="[]")

    (batch,) = api("GET", "/batches", services=use(api, states)).json["batches"]

    assert (batch["name"], batch["url"], batch["error"]["error"]) == (None, None, "InputError")


def test_lines_are_found_by_their_number(api: Api) -> None:
    store_image(api, keep_prompt(api, "spring-2"))
    states = CountedStepFunctions("spring.20261124031402-abcd", checked=CHECKED, counts=COUNTS)
    services = use(api, states)

    first = api("GET", "/batches/spring/lines", query={"limit": "20"}, services=services).json
    rest = api("GET", "/batches/spring/lines", query={"cursor": "20"}, services=services).json

    assert [line["line"] for line in first["lines"] + rest["lines"]] == list(range(1, 22))
    assert (first["total"], first["cursor"], rest["cursor"]) == (21, 20, None)
    made, waiting = first["lines"][1], first["lines"][0]
    assert (made["run_id"], made["title"], made["stored"]) == ("spring-2", "Kite", 1)
    assert (waiting["is_started"], waiting["thumbnail"]) == (False, None)


def test_unchecked_batch_has_no_lines_yet(api: Api) -> None:
    states = CountedStepFunctions("spring.20261124031402-abcd")

    answer = api("GET", "/batches/spring/lines", services=use(api, states))

    assert answer.json == {"lines": [], "total": 0, "cursor": None}


def test_status_filters_the_batches(api: Api) -> None:
    states = ended()

    api("GET", "/batches", query={"status": "succeeded"}, services=use(api, states))
    refused = api("GET", "/batches", query={"status": "asleep"}, services=use(api, states))

    assert states.filters == ["SUCCEEDED"]
    assert (refused.status, refused.json["field"]) == (400, "status")


@pytest.mark.parametrize("started", [1, 12])
def test_page_of_lines_takes_constant_reads(api: Api, started: int) -> None:
    for number in range(1, started + 1):
        keep_prompt(api, f"spring-{number}")
    states = CountedStepFunctions("spring.20261124031402-abcd", checked=CHECKED, counts=COUNTS)

    with noted(api) as calls:
        api("GET", "/batches/spring/lines", query={"limit": "2"}, services=use(api, states))

    # The batch's latest start, then the prompts and the images of the page's lines.
    assert calls == ["GetItem", "BatchGetItem", "BatchGetItem"]
