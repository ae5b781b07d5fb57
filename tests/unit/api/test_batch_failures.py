"""The lines of a batch that failed, from each of their sources and over all pages."""

import json
from typing import Any

import pytest

from easel.aws import json_lines
from easel.aws.bucket import Bucket
from easel.runs.executions import Executions
from tests.support.api import BATCH_MACHINE, Api, keep_prompt
from tests.support.records import claimed
from tests.support.services import NOW
from tests.unit.api.test_batches import BEGAN, CHECKED, COUNTS, REPORT, FakeStepFunctions

EXECUTION = "spring.20261124031402-abcd"
LINE = "arn:aws:states:x:1:execution:batches/EachLine:"


class MapStepFunctions(FakeStepFunctions):
    """A fake Step Functions whose Map Runs have failed children: their inputs by Map Run."""

    def __init__(self, children: dict[str, list[dict[str, Any]]], **fields: Any) -> None:
        super().__init__(EXECUTION, checked=CHECKED, counts=COUNTS, **fields)
        self.children, self.described = children, 0

    def list_map_runs(self, **_: Any) -> dict[str, Any]:
        return {"mapRuns": [{"mapRunArn": arn, "startDate": BEGAN} for arn in self.children]}

    def describe_map_run(self, **_: Any) -> dict[str, Any]:
        return {"itemCounts": self.counts}

    def list_executions(self, **call: Any) -> dict[str, Any]:
        if "mapRunArn" not in call:
            return super().list_executions(**call)
        assert call["statusFilter"] == "FAILED"
        arn, start = call["mapRunArn"], int(call.get("nextToken", 0))
        end = start + call["maxResults"]
        indexes = range(len(self.children[arn]))[start:end]
        page = [
            {
                "executionArn": f"{LINE}{arn}-{n}",
                "name": f"{arn}-{n}",
                "status": "FAILED",
                "startDate": BEGAN,
                "stopDate": NOW,
            }
            for n in indexes
        ]
        more = {"nextToken": str(end)} if end < len(self.children[arn]) else {}
        return {"executions": page} | more

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        if not executionArn.startswith(LINE):
            return super().describe_execution(executionArn=executionArn)
        self.described += 1
        arn, _, n = executionArn.removeprefix(LINE).rpartition("-")
        return {
            "executionArn": executionArn,
            "status": "FAILED",
            "startDate": BEGAN,
            "stopDate": NOW,
            "input": json.dumps(self.children[arn][int(n)]),
            "error": "QuotaExhaustedError",
            "cause": json.dumps({"errorMessage": "no credit"}),
        }


def line(run_id: str) -> dict[str, Any]:
    return {"request": {"prompt": "A secret kite"}, "execution_name": run_id, "started": "now"}


def put(bucket: Bucket, name: str, *items: dict[str, Any], work: bool = True) -> None:
    key = f"staging/@spring/{EXECUTION}/{name}" if work else f"batches/spring/{name}"
    bucket.put(key, json_lines.to_bytes(items), content_type=json_lines.CONTENT_TYPE)


def problem(number: int, **more: Any) -> dict[str, Any]:
    about = {"line": number, "field": "count", "error": "InputError", "message": "count is 11"}
    return about | more


def read_all(api: Api, states: FakeStepFunctions, *, limit: int = 20) -> list[dict[str, Any]]:
    services = api.services.replace_services(
        batch_executions=Executions(states, machine=BATCH_MACHINE)
    )
    failures: list[dict[str, Any]] = []
    query = {"limit": str(limit)}
    while True:
        answer = api("GET", "/batches/spring/failures", query=query, services=services)
        assert answer.status == 200, answer.text
        assert "secret" not in answer.text
        failures += answer.json["failures"]
        if answer.json["cursor"] is None:
            return failures
        query |= {"cursor": answer.json["cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("status", ["RUNNING", "ABORTED"])
def test_all_sources_are_listed_once(api: Api, bucket: Bucket, limit: int, status: str) -> None:
    put(bucket, "problems.jsonl", problem(3, raw="never shown: secret"), problem(5, raw="secret"))
    keep_prompt(api, "spring-7")
    keep_prompt(api, "own-id")
    refused = claimed(api.services.ledger, run_id="own-id", n=1)
    assert api.services.ledger.mark_refused(refused, category="moderation_blocked")
    items = [{"line": n, "run_id": f"spring-{n}", "pictures": 1} for n in range(10, 240)]
    put(bucket, "lines.jsonl", *items, {"line": 300, "run_id": "own-id", "pictures": 1})
    children = {"a": [line("spring-7"), line("own-7")], "b": [line("spring-9")]}
    ended = {"stopDate": NOW} if status == "ABORTED" else {}

    failures = read_all(api, MapStepFunctions(children, status=status, **ended), limit=limit)

    assert [(failure["line"], failure["run_id"]) for failure in failures] == [
        (3, None),
        (5, None),
        (7, "spring-7"),
        (None, "own-7"),
        (9, "spring-9"),
        (300, "own-id"),
    ]
    wrong, _, failed, *_, last = failures
    assert (wrong["title"], wrong["field"]) == ("This line cannot be made", "count")
    assert wrong["what_to_do"] == "Correct this line in the file, then start the batch again."
    assert (failed["title"], failed["message"]) == ("OpenAI account out of credit", "no credit")
    assert failed["url"].endswith("/runs/spring-7")
    assert failures[3]["url"] is None  # it failed before it had a prompt
    assert (last["title"], last["error"]) == ("Refused by OpenAI", "ContentRefusedError")


@pytest.mark.usefixtures("bucket")
def test_failed_order_lists_each_of_its_lines(api: Api) -> None:
    pictures = [{"run_id": f"spring-{n}", "n": i} for n in (2, 3) for i in (1, 2)]

    failures = read_all(api, MapStepFunctions({"orders": [{"order": "o", "pictures": pictures}]}))

    assert [failure["line"] for failure in failures] == [2, 3]


@pytest.mark.usefixtures("bucket")
def test_ended_line_is_described_once(api: Api) -> None:
    states = MapStepFunctions({"a": [line("spring-7")]})
    services = api.services.replace_services(
        batch_executions=Executions(states, machine=BATCH_MACHINE)
    )

    for _ in range(3):
        api("GET", "/batches/spring/failures", services=services)

    assert states.described == 1


@pytest.mark.parametrize(
    "ended",
    [
        {"status": "SUCCEEDED", "output": json.dumps(REPORT)},
        {"status": "FAILED", "error": "BatchFailedError"},
    ],
)
def test_report_lists_everything_at_the_end(
    api: Api, bucket: Bucket, ended: dict[str, Any]
) -> None:
    put(bucket, "problems.jsonl", problem(1, raw="secret"))
    about = [
        problem(1, run_id=None),
        problem(4, run_id="x", error="NotMade", message="too late", field=None),
    ]
    put(bucket, "failures.jsonl", *about, work=False)

    failures = read_all(api, MapStepFunctions({"a": [line("b-1")]}, stopDate=NOW, **ended), limit=1)

    assert [failure["line"] for failure in failures] == [1, 4]
    assert failures[1]["title"] == "OpenAI did not make it in time"


@pytest.mark.parametrize("cursor", ["x", "check~x", "check~-1", "lines~x.", "check~1", "~"])
def test_other_cursor_is_refused(api: Api, bucket: Bucket, cursor: str) -> None:
    put(bucket, "problems.jsonl", problem(1, raw="a"), problem(2, raw="b"))
    services = api.services.replace_services(
        batch_executions=Executions(MapStepFunctions({}), machine=BATCH_MACHINE)
    )

    answer = api("GET", "/batches/spring/failures", query={"cursor": cursor}, services=services)

    assert (answer.status, answer.json["field"]) == (400, "cursor")
