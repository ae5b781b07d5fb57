"""Batches and many runs through the API: check, start, watch, stop, resume, and list failures."""

import json
from typing import Any
from uuid import uuid4

from tests.support.api_caller import ENDED, Caller, fetch
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}
IMAGES = "/v1/images/generations"
NO_CREDIT = {"error": {"code": "insufficient_quota", "message": "no"}}
REFUSAL = {"error": {"code": "moderation_blocked", "message": "no"}}


def upload(caller: Caller, *lines: dict[str, Any] | str) -> str:
    """Upload a manifest through a link of the API, and return the batch's name."""
    texts = [line if isinstance(line, str) else json.dumps(SMALL | line) for line in lines]
    body = "\n".join(texts).encode()
    name = f"b{uuid4().hex[:8]}"
    link = caller("POST", "/batches", {"name": name, "bytes": len(body)}).json["upload"]
    assert fetch(link["url"], method="PUT", data=body, headers=link["headers"]).status == 200
    return name


def check(caller: Caller, name: str, **fields: Any) -> dict[str, Any]:
    """Check a manifest without buying anything."""
    started = caller("POST", f"/batches/{name}/start", {"dry_run": True, **fields})
    assert started.status == 202, started.json
    return wait_for_end(caller, started.json)


def start(caller: Caller, name: str, **fields: Any) -> dict[str, Any]:
    started = caller("POST", f"/batches/{name}/start", fields)
    assert started.status == 202, started.json
    return dict(started.json)


def wait_for_end(caller: Caller, batch: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of one start of a batch, and return the batch."""
    seen: dict[str, Any] = {}

    def over() -> bool:
        query = {"execution": batch["execution"]}
        seen.update(caller("GET", f"/batches/{batch['name']}", query=query).json)
        return seen["status"] in ENDED

    caller.aws.until(over)
    return seen


def failures(caller: Caller, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = caller("GET", f"/batches/{name}/failures", query=query).json
        found += page["failures"]
        cursor = page["cursor"]
        if cursor is None:
            return found


def test_stopped_batch_resumes_and_pays_once(aws: LocalStack, caller: Caller) -> None:
    lines = [{"prompt": f"A pier numbered {n}."} for n in range(10)]
    name = upload(caller, *lines)
    checked = check(caller, name)
    assert (checked["checked"]["lines"], aws.charges()["images"]) == (10, 0)
    version = checked["version_id"]
    batch = start(caller, name, version_id=version, max_parallel_images=2)
    aws.until(lambda: aws.charges()["images"] >= 3)

    stopped = caller("POST", f"/batches/{name}/stop")
    assert (stopped.status, stopped.json["status"]) == (202, "aborted")
    assert (stopped.json["can_resume"], stopped.json["version_id"]) == (True, version)
    assert failures(caller, name) == []
    assert aws.charges()["images"] < 10

    resumed = caller("POST", f"/batches/{name}/resume")
    assert resumed.status == 202
    ended = wait_for_end(caller, resumed.json)

    report = ended["report"]
    assert (report["stored"], report["version_id"]) == (10, version)
    assert aws.charges()["images"] == 10 + report["possibly_paid"]
    assert ended["cost_usd"] == report["cost_usd"]
    assert not ended["can_resume"]
    assert resumed.json["execution"] != batch["execution"]


def test_failed_lines_are_listed_while_the_batch_runs(aws: LocalStack, caller: Caller) -> None:
    aws.script(
        {"path": IMAGES, "contains": "credit", "status": 429, "body": NO_CREDIT, "times": 2},
        {"path": IMAGES, "contains": "forbidden", "status": 400, "body": REFUSAL},
        {"path": IMAGES, "contains": "slow", "delay": 10.0},
    )
    name = upload(
        caller,
        {"count": 11},
        {"prompt": "An image out of credit.", "request_id": f"own-{uuid4().hex[:8]}"},
        {"prompt": "A forbidden image."},
        {"prompt": "A slow image."},
        {"prompt": "Another image out of credit."},
        {"prompt": "An easy image."},
    )
    checked = check(caller, name, tolerated_failure_percentage=90)
    assert [line["line"] for line in failures(caller, name)] == [1]
    fields = {"version_id": checked["version_id"], "tolerated_failure_percentage": 90}
    batch = start(caller, name, **fields)

    def titles() -> set[str]:
        return {failure["title"] for failure in failures(caller, name)}

    expected = {"This line cannot be made", "OpenAI account out of credit", "Refused by OpenAI"}
    aws.until(lambda: titles() == expected)
    aws.until(lambda: caller("GET", f"/batches/{name}").json["cost_usd"] > 0)
    assert caller("GET", f"/batches/{name}").json["status"] == "running"

    ended = wait_for_end(caller, batch)
    assert ended["status"] == "succeeded"
    found = {failure["line"]: failure for failure in failures(caller, name)}
    assert {line: failure["error"] for line, failure in found.items()} == {
        1: "InputError",
        2: "QuotaExhaustedError",
        3: "ContentRefusedError",
        5: "QuotaExhaustedError",
    }
    assert found[1]["message"].startswith("count is 11")
    assert all(failure["what_to_do"] for failure in found.values())


def test_many_runs_are_resumed_at_once(aws: LocalStack, caller: Caller) -> None:
    aws.script({"path": IMAGES, "status": 429, "body": NO_CREDIT, "times": 2})
    runs = [
        caller.wait_for_end(caller.run(SMALL | {"prompt": f"A bay {n}"}, key=uuid4().hex).json)
        for n in range(3)
    ]
    assert [run["status"] for run in runs] == ["failed", "failed", "succeeded"]

    answer = caller("POST", "/runs/redrive", {"ids": [run["id"] for run in runs]})

    assert answer.status == 200
    assert [run["resumed"] for run in answer.json["runs"]] == [True, True, False]
    assert answer.json["runs"][2]["error"]["error"] == "ConflictError"
    for run in answer.json["runs"][:2]:
        assert caller.wait_for_end({"id": run["execution"]})["status"] == "succeeded"


def test_runs_are_filtered_by_person_and_kind(aws: LocalStack, caller: Caller) -> None:
    run = caller.wait_for_end(caller.run(SMALL | {"prompt": "A cove"}, key=uuid4().hex).json)
    deleted = caller("DELETE", f"/images/{run['pictures'][0]['id']}").json
    caller.wait_for_end(deleted)
    other = aws.run(SMALL | {"prompt": "A reef"})["executionArn"].rpartition(":")[2]

    def listed(**query: str) -> set[str]:
        return {run["id"] for run in caller("GET", "/runs", query=query).json["runs"]}

    person = caller("GET", f"/runs/{run['id']}").json["person"]
    assert run["id"].startswith(f"{person}-")
    assert listed(person=person) >= {run["id"], deleted["id"]}
    assert other not in listed(person=person)
    assert deleted["id"] in listed(person=person, kind="delete")
    assert run["id"] not in listed(kind="delete")
    assert other in listed(kind="create", **{"from": "2026-01-01"})
    assert listed(to="2020-01-01") == set()
