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
from tests.faults.faulty_stack import Storm
from tests.faults.lease_clock import run_out_after_kills
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL, refused
from tests.support.command_line import easel

GoOn = Callable[[Storm, dict[str, Any]], dict[str, Any]]


def redriven(storm: Storm, failed: dict[str, Any]) -> dict[str, Any]:
    storm.states.redrive_execution(executionArn=failed["executionArn"])
    return storm.ended(failed["executionArn"])


def started_again(storm: Storm, failed: dict[str, Any]) -> dict[str, Any]:
    return storm.run(json.loads(failed["input"]))


def request(run_id: str, count: int = 2) -> dict[str, Any]:
    return {"request_id": run_id, "folder_name": "goes-on", "count": count, **SMALL}


WAYS = pytest.mark.parametrize("go_on", [redriven, started_again])
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}


@WAYS
@pytest.mark.parametrize(
    ("aws", "stand_in", "error"),
    [
        ([Rule(operation="CopyObject", **DENIED)], [], "StorageDeniedError"),
        ([Rule(operation="PutObject", contains="thumbnails/", **DENIED)], [], "StorageDeniedError"),
        ([Rule(operation="ListObjectsV2", **DENIED)], [], "StorageDeniedError"),
        ([], [refused(429, "insufficient_quota")], "QuotaExhaustedError"),
        ([], [refused(401, "invalid_api_key", times=9)], "AuthError"),
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
    stormy: Storm, aws: list[Rule], stand_in: list[dict[str, Any]], error: str, go_on: GoOn
) -> None:
    run_out_after_kills(stormy)
    run_id = uuid4().hex
    stormy.aws_faults.script(*aws)
    stormy.script(*stand_in)
    failed = stormy.run(request(run_id), name=run_id)
    assert failed["error"] == error

    stormy.clear()
    ended = go_on(stormy, failed)
    assert (ended["status"], ended["report"]["stored"]) == ("SUCCEEDED", 2)

    charged = stormy.charged()
    assert (charged["chat"], charged["images"]) == (1, 2)
    assert stormy.staged(run_id) == []

    pictures = [
        key
        for key in stormy.keys("goes-on/")
        if naming.run8(run_id) in key and key.endswith(".png")
    ]
    assert len(pictures) == 2
    assert all(
        len([version for version in stormy.versions(key) if version["Key"] == key]) == 1
        for key in pictures
    )


def test_error_and_report_list_unstored_purchases(stormy: Storm, tmp_path: Path) -> None:
    stormy.aws_faults.script(Rule(operation="CopyObject", times=9, **DENIED))
    failed = stormy.run(request("owing", 1), name="owing")
    assert "bought but not stored yet: image 1" in failed["cause"]
    assert "pays only for what is missing" in failed["cause"]

    shown = easel(stormy, tmp_path, "report", "owing")
    assert shown.returncode == 0, shown.stderr
    assert "bought, not stored yet" in shown.stdout

    stormy.clear()
    done = easel(stormy, tmp_path, "redrive", "owing")
    assert done.returncode == 0, done.stderr
    assert stormy.charged()["images"] == 1


@WAYS
def test_88_expired_staged_image_is_not_rebought_silently(stormy: Storm, go_on: GoOn) -> None:
    run_id = f"expired-{go_on.__name__}"
    stormy.aws_faults.script(Rule(operation="CopyObject", **DENIED))
    failed = stormy.run(request(run_id, 1), name=run_id)
    assert failed["error"] == "StorageDeniedError"

    for version in stormy.versions(f"staging/{run_id}/"):
        stormy.s3.delete_object(
            Bucket=stormy.bucket, Key=version["Key"], VersionId=version["VersionId"]
        )
    ended = go_on(stormy, failed)
    assert ended["error"] == "ConfigError"
    assert "no longer exists" in ended["cause"]
    assert stormy.charged()["images"] == 1


def test_89_stopped_run_stores_nothing_and_can_resume(stormy: Storm) -> None:
    stormy.script({"path": IMAGES, "delay": 1})
    arn = stormy.start(request("stopped", 1), name="stopped")
    stormy.until(lambda: stormy.charged()["images"] == 1)
    stormy.states.stop_execution(executionArn=arn)
    assert stormy.ended(arn)["status"] == "ABORTED"

    stormy.until(lambda: "staging/stopped/1/1.bytes" in stormy.staged("stopped"))
    assert [key for key in stormy.keys("goes-on/") if naming.run8("stopped") in key] == []
    ended = stormy.run(request("stopped", 1))
    assert (ended["report"]["stored"], stormy.charged()["images"]) == (1, 1)


@pytest.mark.parametrize("at", ["CopyObject", "TransactWriteItems"])
def test_16_overlapping_runs_never_mix(stormy: Storm, at: str) -> None:
    stormy.aws_faults.script(Rule(operation=at, step="Upload", hang=0.5))
    arns = [
        stormy.start({"folder_name": f"mixed-{at}", "file_name": "same", **SMALL}) for _ in range(2)
    ]
    made = [stormy.ended(arn)["report"]["pictures"][0]["key"] for arn in arns]
    assert len(set(made)) == stormy.charged()["images"] == 2
