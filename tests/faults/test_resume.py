"""Rows 66 to 68 and 87 to 89 of docs/faults.md.

A run that failed, died or was stopped resumes without paying again for what it has.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from easel.contract import naming
from tests.faults.fault_menu import IMAGES
from tests.faults.faulty_stack import FaultyStack
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, error_rule
from tests.support.command_line import easel

Resume = Callable[[FaultyStack, dict[str, Any]], dict[str, Any]]


def redrive(stack: FaultyStack, failed: dict[str, Any]) -> dict[str, Any]:
    stack.states.redrive_execution(executionArn=failed["executionArn"])
    return stack.wait_for_end(failed["executionArn"])


def start_again(stack: FaultyStack, failed: dict[str, Any]) -> dict[str, Any]:
    return stack.run(json.loads(failed["input"]))


def request(run_id: str, count: int = 2) -> dict[str, Any]:
    return {"request_id": run_id, "folder_name": "goes-on", "count": count, **SMALL}


BOTH_WAYS = pytest.mark.parametrize("resume", [redrive, start_again])
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}


@BOTH_WAYS
@pytest.mark.parametrize(
    ("aws", "stand_in", "error"),
    [
        ([Rule(operation="CopyObject", **DENIED)], [], "StorageDeniedError"),
        ([Rule(operation="PutObject", contains="thumbnails/", **DENIED)], [], "StorageDeniedError"),
        ([Rule(operation="ListObjectsV2", **DENIED)], [], "StorageDeniedError"),
        ([], [error_rule(429, "insufficient_quota")], "QuotaExhaustedError"),
        ([], [error_rule(401, "invalid_api_key", times=9)], "AuthError"),
        (
            [Rule(operation="CopyObject", contains="_1.png", kill="before", times=3)],
            [],
            "Runtime.ExitError",
        ),
        (
            [
                Rule(operation="PutObject", contains="/1/1.bytes", kill="after"),
                Rule(operation="GetItem", step="Image", kill="after", times=8),
            ],
            [],
            "Runtime.ExitError",
        ),
    ],
    ids=[
        "87 denied at the copy",
        "87 denied at the thumbnail",
        "87 denied at the cleanup",
        "87 no credit",
        "87 a wrong key set right",
        "68 upload dies three times",
        "67 image dies three times",
    ],
)
def test_failed_run_resumes_with_missing_images(
    faulty_stack: FaultyStack,
    aws: list[Rule],
    stand_in: list[dict[str, Any]],
    error: str,
    resume: Resume,
) -> None:
    run_out_after_kills(faulty_stack)
    run_id = uuid4().hex
    faulty_stack.aws_faults.script(*aws)
    faulty_stack.script(*stand_in)
    failed = faulty_stack.run(request(run_id), name=run_id)
    assert failed["error"] == error

    faulty_stack.clear()
    execution = resume(faulty_stack, failed)
    assert (execution["status"], execution["report"]["stored"]) == ("SUCCEEDED", 2)

    charges = faulty_stack.charges()
    assert (charges["chat"], charges["images"]) == (1, 2)
    assert faulty_stack.staged(run_id) == []

    pictures = [
        key
        for key in faulty_stack.keys("goes-on/")
        if naming.run8(run_id) in key and key.endswith(".png")
    ]
    assert len(pictures) == 2
    assert all(
        len([version for version in faulty_stack.versions(key) if version["Key"] == key]) == 1
        for key in pictures
    )


def test_error_and_report_list_unstored_purchases(
    faulty_stack: FaultyStack, tmp_path: Path
) -> None:
    faulty_stack.aws_faults.script(Rule(operation="CopyObject", times=9, **DENIED))
    failed = faulty_stack.run(request("owing", 1), name="owing")
    assert "bought but not stored yet: image 1" in failed["cause"]
    assert "pays only for what is missing" in failed["cause"]

    report = easel(faulty_stack, tmp_path, "report", "owing")
    assert report.returncode == 0, report.stderr
    assert "bought, but not stored yet" in report.stdout

    faulty_stack.clear()
    result = easel(faulty_stack, tmp_path, "redrive", "owing")
    assert result.returncode == 0, result.stderr
    assert faulty_stack.charges()["images"] == 1


@BOTH_WAYS
def test_88_expired_staged_image_is_not_rebought_silently(
    faulty_stack: FaultyStack, resume: Resume
) -> None:
    run_id = f"expired-{resume.__name__}"
    faulty_stack.aws_faults.script(Rule(operation="CopyObject", **DENIED))
    failed = faulty_stack.run(request(run_id, 1), name=run_id)
    assert failed["error"] == "StorageDeniedError"

    for version in faulty_stack.versions(f"staging/{run_id}/"):
        faulty_stack.s3.delete_object(
            Bucket=faulty_stack.bucket, Key=version["Key"], VersionId=version["VersionId"]
        )
    execution = resume(faulty_stack, failed)
    assert execution["error"] == "ConfigError"
    assert "no longer exists" in execution["cause"]
    assert faulty_stack.charges()["images"] == 1


def test_89_stopped_run_stores_nothing_and_can_resume(faulty_stack: FaultyStack) -> None:
    faulty_stack.script({"path": IMAGES, "delay": 1})
    arn = faulty_stack.start(request("stopped", 1), name="stopped")
    faulty_stack.until(lambda: faulty_stack.charges()["images"] == 1)
    faulty_stack.states.stop_execution(executionArn=arn)
    assert faulty_stack.wait_for_end(arn)["status"] == "ABORTED"

    faulty_stack.until(lambda: "staging/stopped/1/1.bytes" in faulty_stack.staged("stopped"))
    assert [key for key in faulty_stack.keys("goes-on/") if naming.run8("stopped") in key] == []
    execution = faulty_stack.run(request("stopped", 1))
    assert (execution["report"]["stored"], faulty_stack.charges()["images"]) == (1, 1)


@pytest.mark.parametrize("at", ["CopyObject", "TransactWriteItems"])
def test_16_overlapping_runs_never_mix(faulty_stack: FaultyStack, at: str) -> None:
    faulty_stack.aws_faults.script(Rule(operation=at, step="Upload", hang=0.5))
    arns = [
        faulty_stack.start({"folder_name": f"mixed-{at}", "file_name": "same", **SMALL})
        for _ in range(2)
    ]
    keys = [faulty_stack.wait_for_end(arn)["report"]["pictures"][0]["key"] for arn in arns]
    assert len(set(keys)) == faulty_stack.charges()["images"] == 2
