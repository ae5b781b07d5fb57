"""Batches on the local stack.

Each line is a run, failures are reported while the rest continues, and nothing is bought twice.
"""

import json
from typing import Any

from tests.support.api_caller import Caller
from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}


def upload(aws: LocalStack, *lines: dict[str, Any], key: str) -> None:
    body = "".join(json.dumps(SMALL | line) + "\n" for line in lines)
    aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=body.encode())


def start(aws: LocalStack, **request: Any) -> str:
    call = {"stateMachineArn": aws.outputs["batch_state_machine_arn"], "input": json.dumps(request)}
    return str(aws.states.start_execution(**call)["executionArn"])


def run(aws: LocalStack, **request: Any) -> dict[str, Any]:
    return aws.wait_for_end(start(aws, **request))


def read(aws: LocalStack, key: str) -> str:
    return str(aws.s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read().decode())


def pictures(aws: LocalStack, folder: str) -> int:
    return sum(key.endswith(".png") for key in aws.keys(f"{folder}/"))


def test_manifest_becomes_images_and_restart_buys_nothing(aws: LocalStack) -> None:
    body = (
        'description,count,folder_name,size,quality\n"A kite, red",,batch/csv,1024x640,low\n\nA'
        " ship,2,batch/csv,1024x640,low\n"
    )
    aws.s3.put_object(Bucket=aws.bucket, Key="batches/things.csv", Body=body.encode())
    first = run(aws, manifest="batches/things.csv")
    assert first["status"] == "SUCCEEDED", first["cause"]

    report = first["report"]
    assert (report["lines"], report["stored"], report["failed"], report["failed_key"]) == (
        2,
        3,
        0,
        None,
    )
    assert pictures(aws, "batch/csv") == 3
    assert report["cost_usd"] <= report["estimate_usd"]
    assert json.loads(read(aws, "batches/things/report.json")) == report

    # A line costs five transitions, and two more for each further image.
    (map_run,) = aws.states.list_map_runs(executionArn=first["executionArn"])["mapRuns"]
    children = aws.states.list_executions(mapRunArn=map_run["mapRunArn"])["executions"]
    assert sorted(len(aws.entered(child["executionArn"])) for child in children) == [5, 7]
    assert len(aws.entered(first["executionArn"])) == 4

    charges = aws.charges()
    assert (charges["chat"], charges["images"]) == (2, 3)
    second = run(aws, manifest="batches/things.csv")["report"]
    assert (second["stored"], second["cost_usd"], second["estimate_usd"]) == (
        3,
        report["cost_usd"],
        0,
    )
    assert aws.charges() == charges


def test_84_one_failed_line_leaves_nineteen_stored(aws: LocalStack) -> None:
    upload(
        aws,
        *({"prompt": f"A kite numbered {n}.", "folder_name": "batch/tolerant"} for n in range(20)),
        key="batches/tolerant.jsonl",
    )
    broken = {
        "path": "/v1/images/generations",
        "contains": "numbered 7.",
        "answer": {"data": [{"b64_json": "no base64!"}]},
        "times": 9,
    }
    aws.script(broken | {"charged": True})
    execution = run(aws, manifest="batches/tolerant.jsonl")
    report = execution["report"]
    assert execution["status"] == "SUCCEEDED"
    assert (report["stored"], report["failed"], report["reasons"]) == (19, 1, {"BadImageError": 1})
    assert [failure["line"] for failure in report["failures"]] == [8]

    (left,) = read(aws, report["failed_key"]).splitlines()
    assert json.loads(left)["request_id"] == "tolerant-8"
    assert aws.charges()["images"] == 20


def test_too_many_failures_fail_batch_until_restarted(aws: LocalStack) -> None:
    upload(
        aws,
        *({"prompt": f"A ship numbered {n}.", "folder_name": "batch/strict"} for n in range(12)),
        key="batches/strict.jsonl",
    )
    aws.script(
        {
            "path": "/v1/images/generations",
            "status": 401,
            "body": {"error": {"code": "invalid_api_key"}},
            "times": 1_000,
        }
    )
    execution = run(aws, manifest="batches/strict.jsonl", tolerated_failure_percentage=0)
    assert (execution["status"], execution["error"]) == ("FAILED", "BatchFailedError")

    report = json.loads(read(aws, "batches/strict/report.json"))
    assert report["stored"] == 0
    assert report["failed"] + report["not_started"] == 12
    assert report["reasons"]["AuthError"] >= 1
    assert len(read(aws, report["failed_key"]).splitlines()) == 12

    aws.forget()
    second = run(aws, manifest=report["failed_key"])["report"]
    assert (second["batch"], second["stored"], second["failed"]) == ("strict.failed", 12, 0)
    assert aws.charges()["images"] == pictures(aws, "batch/strict") == 12


def test_stopped_batch_resumes_with_missing_images(aws: LocalStack) -> None:
    upload(
        aws,
        *({"prompt": f"A tree numbered {n}.", "folder_name": "batch/stopped"} for n in range(12)),
        key="batches/stopped.jsonl",
    )
    arn = start(aws, manifest="batches/stopped.jsonl", max_parallel_images=2)
    aws.until(lambda: pictures(aws, "batch/stopped") >= 3)
    aws.states.stop_execution(executionArn=arn)

    execution = run(aws, manifest="batches/stopped.jsonl")

    assert execution["report"]["stored"] == pictures(aws, "batch/stopped") == 12
    assert aws.charges()["images"] == 12 + execution["report"]["possibly_paid"]


def test_failed_line_resumes_as_a_run(aws: LocalStack, caller: Caller) -> None:
    upload(
        aws,
        *({"prompt": f"A gate numbered {n}.", "folder_name": "batch/line"} for n in range(10)),
        key="batches/line.jsonl",
    )
    no_credit = {"error": {"code": "insufficient_quota", "message": "no"}}
    rule = {"path": "/v1/images/generations", "contains": "numbered 7.", "status": 429}
    aws.script(rule | {"body": no_credit})
    assert run(aws, manifest="batches/line.jsonl")["report"]["failed"] == 1
    line = caller("GET", "/runs/line-8").json
    assert (line["status"], line["can_redrive"]) == ("failed", True)

    resumed = caller("POST", "/runs/line-8/redrive")

    assert resumed.status == 202
    assert caller.wait_for_end(resumed.json)["status"] == "succeeded"
    assert caller("GET", "/runs/line-8").json["id"] == resumed.json["id"]
    assert aws.charges()["images"] == pictures(aws, "batch/line") == 10


def test_line_stops_only_with_its_batch(aws: LocalStack, caller: Caller) -> None:
    upload(aws, {"prompt": "A pond.", "folder_name": "batch/alone"}, key="batches/alone.jsonl")
    aws.script({"path": "/v1/images/generations", "delay": 3.0})
    arn = start(aws, manifest="batches/alone.jsonl")
    aws.until(lambda: caller("GET", "/runs/alone-1").status == 200)
    assert not caller("GET", "/runs/alone-1").json["can_stop"]

    answer = caller("POST", "/runs/alone-1/stop")

    assert (answer.status, answer.json["error"]) == (409, "ConflictError")
    aws.states.stop_execution(executionArn=arn)
    # Nobody stopped it through the API, so the API may show the state of a second ago.
    aws.until(lambda: caller("GET", "/runs/alone-1").json["status"] == "aborted")


def test_manifest_in_inbox_starts_its_batch(aws: LocalStack) -> None:
    upload(
        aws, {"prompt": "A red barn.", "folder_name": "batch/inbox"}, key="batches/inbox/barn.jsonl"
    )
    aws.until(lambda: "batches/barn/report.json" in aws.keys("batches/barn/"))
    assert pictures(aws, "batch/inbox") == 1


def test_other_inbox_files_start_nothing(aws: LocalStack) -> None:
    for key in ("batches/inbox/", "batches/inbox/notes.txt"):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"any")
    upload(aws, {"prompt": "A mill.", "folder_name": "batch/last"}, key="batches/inbox/mill.jsonl")
    # Events arrive in order, so the other files would have started their batches before this one.
    aws.until(lambda: "batches/mill/report.json" in aws.keys("batches/mill/"))

    machine = aws.outputs["batch_state_machine_arn"]
    executions = aws.states.list_executions(stateMachineArn=machine)["executions"]
    inputs = [
        aws.states.describe_execution(executionArn=execution["executionArn"])["input"]
        for execution in executions
    ]
    assert not [text for text in inputs if "notes.txt" in text or '"batches/inbox/"' in text]


def test_dry_run_reads_everything_and_buys_nothing(aws: LocalStack) -> None:
    upload(aws, {"topic": "Sport"}, {"count": 11}, key="batches/dry.jsonl")
    report = run(aws, manifest="batches/dry.jsonl", dry_run=True)["report"]

    assert (report["lines"], report["bad"], report["problems"][0]["line"]) == (1, 1, 2)
    assert report["estimate_usd"] > 0
    assert aws.charges()["images"] == aws.charges()["chat"] == 0


def test_refused_batch_pays_nothing_and_names_lines(aws: LocalStack) -> None:
    upload(aws, {"topic": "Sport"}, {"count": 11}, key="batches/wrong.jsonl")
    execution = run(aws, manifest="batches/wrong.jsonl")

    assert (execution["status"], execution["error"]) == ("FAILED", "InputError")
    assert "line 2: count is 11" in execution["cause"]
    assert aws.charges()["chat"] == 0
