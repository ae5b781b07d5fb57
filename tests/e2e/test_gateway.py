"""Access through the gateway, and its limits."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from functions.api.routes import DATA, READ
from local.deploy import ROOT
from tests.support.api_caller import Answer, Caller, fetch, machine, target
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}


def executions(aws: LocalStack) -> set[str]:
    pages = aws.states.get_paginator("list_executions").paginate(stateMachineArn=aws.machine)
    return {execution["name"] for page in pages for execution in page["executions"]}


@pytest.mark.parametrize("token", [None, "nonsense", "tampered"])
def test_invalid_token_gets_nothing(aws: LocalStack, token: str | None) -> None:
    before = executions(aws)
    good = str(machine(aws).token)
    head, claims, signature = good.split(".")
    nobody = Caller(
        aws, f"{head}.{claims}.{signature[:-8]}AAAAAAAA" if token == "tampered" else token
    )
    for method, path, _ in DATA:
        answer = nobody(
            method,
            path.replace("{id}", "x").replace("{name}", "x"),
            {} if method == "POST" else None,
            headers={"Idempotency-Key": uuid4().hex},
        )
        assert (answer.status, answer.json) == (401, {"message": "Unauthorized"}), (method, path)

    assert executions(aws) == before


def test_read_scope_changes_nothing(aws: LocalStack) -> None:
    before, reader = executions(aws), machine(aws, "read")
    for method, path, scope in DATA:
        answer = reader(
            method,
            path.replace("{id}", "x").replace("{name}", "x"),
            {} if method == "POST" else None,
            headers={"Idempotency-Key": uuid4().hex},
        )
        assert (answer.status == 403) == (scope != READ), (method, path)
    assert executions(aws) == before


def test_write_scope_starts_runs_without_seeing_images(aws: LocalStack) -> None:
    writer, key, request = machine(aws, "write"), uuid4().hex, {"prompt": "A kite", **SMALL}
    started = writer.run(request, key=key)
    assert started.status == 202
    # Programs share one client, so this one may see the run.
    machine(aws).wait_for_end(started.json)

    repeated = writer.run(request, key=key)

    assert (repeated.status, repeated.json["status"]) == (200, "succeeded")
    assert (repeated.json["prompt"], repeated.json["pictures"]) == (None, [])
    assert b"A kite" not in repeated.body
    assert b"X-Amz-" not in repeated.body
    assert writer("GET", "/images").status == 403
    assert writer("POST", f"/runs/{started.json['id']}/stop").status == 409


def test_concurrent_requests_with_one_key_share_a_run(aws: LocalStack, caller: Caller) -> None:
    key, before = uuid4().hex, executions(aws)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: caller.run({"prompt": "A kite", **SMALL}, key=key), range(8))
        )

    assert {answer.status for answer in answers} <= {200, 202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert caller.wait_for_end(answers[0].json)["status"] == "succeeded"
    assert len(executions(aws) - before) == 1
    assert aws.charges()["images"] == 1


def test_body_of_300_kb_starts_nothing(aws: LocalStack, caller: Caller) -> None:
    before = executions(aws)
    answer = caller(
        "POST",
        "/runs",
        json.dumps({"prompt": "x" * 300_000}).encode(),
        headers={"Idempotency-Key": "large"},
    )
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
    assert executions(aws) == before


def test_batch_completes_and_restart_buys_nothing(aws: LocalStack, caller: Caller) -> None:
    name = f"doors-{uuid4().hex[:8]}"
    manifest = (ROOT / "examples" / "catalogue.csv").read_bytes()
    created = caller("POST", "/batches", {"name": name, "format": "csv", "bytes": len(manifest)})
    assert created.status == 201, created.body

    put = put_manifest(created.json["upload"], manifest)
    assert put.status == 200

    def start() -> dict[str, Any]:
        started = caller(
            "POST", f"/batches/{name}/start", {"version_id": put.headers["x-amz-version-id"]}
        )
        assert (started.status, started.headers["location"]) == (202, started.json["url"])
        return wait_for_batch(caller, started.json)

    first = start()
    assert first["status"] == "succeeded", first["error"]
    assert first["lines"] == {
        "total": 5,
        "pending": 0,
        "running": 0,
        "succeeded": 5,
        "failed": 0,
        "aborted": 0,
    }
    assert (first["checked"]["todo"], first["checked"]["bad"], first["report"]["stored"]) == (
        5,
        0,
        6,
    )
    assert 0 < first["report"]["cost_usd"] <= first["checked"]["estimate_usd"]

    # A line is an ordinary run.
    line = caller("GET", "/runs/still-life-figs").json
    assert line["id"] == "still-life-figs"
    assert line["url"].endswith("/runs/still-life-figs")
    assert (line["status"], [picture["status"] for picture in line["pictures"]]) == (
        "succeeded",
        ["stored"],
    )
    assert [step["step"] for step in line["steps"] if step["ended"]] == [
        "prompt",
        "image",
        "upload",
        "cleanup",
    ]

    second = start()
    assert second["execution"] != first["execution"]
    assert (second["checked"]["todo"], second["report"]["stored"], second["lines"]) == (0, 6, None)
    assert aws.charges()["images"] == 6


def put_manifest(upload: dict[str, Any], body: bytes, **headers: str) -> Answer:
    """Upload a manifest with its link."""
    sent = upload["headers"] | {name.replace("_", "-"): text for name, text in headers.items()}
    return fetch(upload["url"], method=upload["method"], data=body, headers=sent)


def test_upload_link_takes_one_size_and_type(aws: LocalStack, caller: Caller) -> None:
    name, manifest = f"bound-{uuid4().hex[:8]}", b'{"topic": "Sport"}\n'
    created = caller("POST", "/batches", {"name": name, "bytes": len(manifest)})
    upload = created.json["upload"]

    refused = [
        put_manifest(upload, manifest + b" "),
        put_manifest(upload, manifest[:-1]),
        put_manifest(upload, b"x" * 1_000_000),
        put_manifest(upload, manifest, Content_Type="text/html"),
        put_manifest(upload | {"headers": {}}, manifest),
    ]
    stored = put_manifest(upload, manifest)

    assert [answer.status for answer in refused] == [403] * len(refused)
    assert stored.status == 200
    versions = aws.s3.list_object_versions(Bucket=aws.bucket, Prefix=f"batches/{name}")["Versions"]
    assert [version["VersionId"] for version in versions] == [stored.headers["x-amz-version-id"]]


def test_start_uses_the_version_that_was_priced(aws: LocalStack, caller: Caller) -> None:
    name, cheap, dear = f"swap-{uuid4().hex[:8]}", b'{"count": 1}\n', b'{"count": 9}\n'
    upload = caller("POST", "/batches", {"name": name, "bytes": len(cheap)}).json["upload"]
    version = put_manifest(upload, cheap).headers["x-amz-version-id"]
    assert put_manifest(upload, dear).status == 200

    start = f"/batches/{name}/start"
    without = caller("POST", start, {})
    priced = caller("POST", start, {"dry_run": True, "version_id": version})

    assert (without.status, without.json["field"]) == (400, "version_id")
    checked = wait_for_batch(caller, priced.json)["checked"]
    assert (checked["lines"], checked["pictures"]) == (1, 1)


def wait_for_batch(caller: Caller, started: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a batch's start, and return the view of the batch.

    The batch's view may lag behind a new start, so this waits until it shows that start.
    """
    seen: dict[str, Any] = {}

    def over() -> bool:
        seen.update(caller("GET", f"/batches/{started['name']}").json)
        return bool(seen["execution"] == started["execution"] and seen["ended"])

    caller.aws.until(over)
    return seen


def test_logs_contain_no_prompt_link_or_token(aws: LocalStack, caller: Caller) -> None:
    words = f"a secret garden {uuid4().hex}"
    run = caller.wait_for_end(caller.run({"prompt": words, **SMALL}, key=uuid4().hex).json)
    assert run["pictures"][0]["links"]

    caller("GET", "/images", query={"topic": words})
    assert caller("POST", "/batches", {"name": "logged", "bytes": 1}).status == 201
    caller("POST", "/estimate", {"prompt": words, "size": "1x1"})
    logged = "\n".join(aws.log_lines())
    assert "picture stored" in logged
    for kept in (words, "X-Amz-Signature", "X-Amz-Security-Token", str(caller.token)):
        assert kept not in logged


def test_openai_identifies_a_program_by_hash(aws: LocalStack) -> None:
    program = machine(aws)
    assert (
        program.wait_for_end(
            program.run({"topic": "Sport", "folder_name": "told", **SMALL}, key=uuid4().hex).json
        )["status"]
        == "succeeded"
    )
    clients = target(aws).output("UserPoolId"), target(aws).output("ProgramClientId")
    assert aws.charges()["users"] == {hashlib.sha256("\n".join(clients).encode()).hexdigest(): 2}
