"""The lists of batches and of a batch's lines."""

import json
from typing import Any

import pytest

from easel.aws import json_lines
from easel.aws.bucket import Bucket
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


EXECUTION = "spring.20261124031402-abcd"


def put_lines(bucket: Bucket, *lines: dict[str, Any]) -> None:
    """Leave the file of lines, as the check of the manifest does."""
    body = json_lines.to_bytes({"pictures": 1, "request": {}} | line for line in lines)
    key = f"staging/@spring/{EXECUTION}/lines.jsonl"
    bucket.put(key, body, content_type=json_lines.CONTENT_TYPE)


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"line": n, "run_id": f"spring-{n}"} for n in range(2, count + 2)]


def test_lines_are_listed_with_their_records(api: Api, bucket: Bucket) -> None:
    store_image(api, keep_prompt(api, "own-id"))
    own = {"line": 9, "run_id": "own-id", "request": {"prompt": "never shown"}}
    waiting = {"line": 11, "run_id": "spring-11", "request": {"description": "A ship"}}
    put_lines(bucket, own, waiting)
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)

    page = api("GET", "/batches/spring/lines", services=use(api, states)).json

    made, other = page["lines"]
    assert (made["line"], made["title"], made["stored"]) == (9, "Kite", 1)
    assert "thumbnails/" in made["thumbnail"]
    assert (other["title"], other["is_started"], other["thumbnail"]) == ("A ship", False, None)
    assert (page["total"], page["cursor"]) == (20, None)


def test_pages_of_lines_follow_each_other(api: Api, bucket: Bucket) -> None:
    put_lines(bucket, *numbered(7))
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)
    services, seen, query = use(api, states), [], {"limit": "3"}

    for _ in range(3):
        page = api("GET", "/batches/spring/lines", query=query, services=services).json
        seen.append([line["line"] for line in page["lines"]])
        query = {"limit": "3", "cursor": str(page["cursor"])}

    assert (seen, page["cursor"]) == ([[2, 3, 4], [5, 6, 7], [8]], None)


def test_cursor_between_lines_is_refused(api: Api, bucket: Bucket) -> None:
    put_lines(bucket, *numbered(7))
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)

    answer = api("GET", "/batches/spring/lines", query={"cursor": "5"}, services=use(api, states))
    after = api("GET", "/batches/spring/lines", query={"cursor": "9999"}, services=use(api, states))

    assert (answer.status, answer.json["field"]) == (400, "cursor")
    assert (after.json["lines"], after.json["cursor"]) == ([], None)


@pytest.mark.usefixtures("bucket")
def test_expired_lines_are_not_listed(api: Api) -> None:
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)

    answer = api("GET", "/batches/spring/lines", services=use(api, states))

    assert answer.json == {"lines": [], "total": 0, "cursor": None}


def test_running_batch_shows_its_cost_so_far(api: Api, bucket: Bucket) -> None:
    put_lines(bucket, *numbered(4))
    store_image(api, keep_prompt(api, "spring-2"))
    keep_prompt(api, "spring-3")
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)
    services = use(api, states)

    first = api("GET", "/batches/spring", services=services).json["cost_usd"]
    with noted(api) as calls:
        second = api("GET", "/batches/spring", services=services).json["cost_usd"]
    store_image(api, keep_prompt(api, "spring-4"))
    third = api("GET", "/batches/spring", services=services).json["cost_usd"]

    assert (first, second, third) == (0.01339, 0.01339, 0.02673)
    assert calls == ["GetItem", "BatchGetItem"]  # the latest start, and the unfinished lines


def test_large_batch_shows_its_cost_only_at_its_end(api: Api, bucket: Bucket) -> None:
    put_lines(bucket, *numbered(1_001))
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)

    with noted(api) as calls:
        assert api("GET", "/batches/spring", services=use(api, states)).json["cost_usd"] is None

    assert calls == ["GetItem"]


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
def test_page_of_lines_takes_constant_reads(api: Api, bucket: Bucket, started: int) -> None:
    put_lines(bucket, *numbered(20))
    for number in range(1, started + 1):
        keep_prompt(api, f"spring-{number}")
    states = CountedStepFunctions(EXECUTION, checked=CHECKED, counts=COUNTS)

    with noted(api) as calls:
        api("GET", "/batches/spring/lines", query={"limit": "2"}, services=use(api, states))

    # The batch's latest start, then the records of the page's lines.
    assert calls == ["GetItem", "BatchGetItem"]
