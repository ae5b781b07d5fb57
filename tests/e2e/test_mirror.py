"""A mirror on the local stack.

Each stored image is copied to another bucket, and a mirror that fails costs no second image.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from local import stack
from local.stack import Local
from tests.e2e.test_batches import run, upload
from tests.e2e.test_failures import IMAGES, openai_error
from tests.support.local_stack import LocalStack, free_port, own_environment

SMALL = {"size": "1024x640", "quality": "low"}
COPIES = "copies-of-mine"


@pytest.fixture(scope="module")
def mirror_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Yield a stack whose mirror is an existing bucket."""
    environment = own_environment() | {"SFN_WAIT_SCALE": "0.02"}
    folder = tmp_path_factory.mktemp("mirrored")
    local = Local(
        folder=folder,
        port=free_port(),
        settings=(f"mirror=s3://{COPIES}/a",),
        environment=environment,
    )
    try:
        aws = LocalStack(stack.up(local))
        make_bucket(aws)
        yield aws
    finally:
        stack.down(local, keep=False)


def make_bucket(aws: LocalStack) -> None:
    aws.s3.create_bucket(
        Bucket=COPIES, CreateBucketConfiguration={"LocationConstraint": "ap-southeast-1"}
    )


def copies(aws: LocalStack) -> dict[str, tuple[bytes, str]]:
    pages = aws.s3.get_paginator("list_objects_v2").paginate(Bucket=COPIES)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key: bytes_of(aws, COPIES, key) for key in keys}


def bytes_of(aws: LocalStack, bucket: str, key: str) -> tuple[bytes, str]:
    answer: Any = aws.s3.get_object(Bucket=bucket, Key=key)
    return answer["Body"].read(), answer["ContentType"]


def test_redrive_after_missing_mirror_pays_nothing(mirror_stack: LocalStack) -> None:
    for key in copies(mirror_stack):
        mirror_stack.s3.delete_object(Bucket=COPIES, Key=key)
    mirror_stack.s3.delete_bucket(Bucket=COPIES)
    mirror_stack.forget()
    arn = mirror_stack.start({"folder_name": "late", "count": 2, **SMALL})
    execution = mirror_stack.wait_for_end(arn)
    assert (execution["status"], execution["error"]) == ("FAILED", "ConfigError")
    assert f"s3://{COPIES}/a/" in execution["cause"]

    charges = mirror_stack.charges()
    make_bucket(mirror_stack)
    mirror_stack.states.redrive_execution(executionArn=arn)
    redriven_run = mirror_stack.wait_for_end(arn)
    assert redriven_run["status"] == "SUCCEEDED", redriven_run.get("cause")
    assert mirror_stack.charges()["chat"] == charges["chat"] == 1
    assert mirror_stack.charges()["images"] == redriven_run["report"]["stored"] == 2

    pictures = [
        key
        for key in mirror_stack.keys("late/") + mirror_stack.keys("thumbnails/late/")
        if not key.endswith("/")
    ]
    assert len(pictures) == 8
    assert copies(mirror_stack) == {
        f"a/{key}": bytes_of(mirror_stack, mirror_stack.bucket, key) for key in pictures
    }


def test_batches_and_economy_are_mirrored_too(mirror_stack: LocalStack) -> None:
    for name, economy in (("dear", False), ("cheap", True)):
        upload(
            mirror_stack,
            {"description": f"A {name} lamp.", "folder_name": name, **SMALL},
            key=f"batches/{name}.jsonl",
        )
        report = run(mirror_stack, manifest=f"batches/{name}.jsonl", economy=economy)["report"]
        assert report["stored"] == 1
        (picture,) = (key for key in mirror_stack.keys(f"{name}/") if key.endswith(".png"))
        assert copies(mirror_stack)[f"a/{picture}"] == bytes_of(
            mirror_stack, mirror_stack.bucket, picture
        )


@pytest.mark.parametrize("economy", [False, True])
def test_unmirrored_line_counts_as_failed(mirror_stack: LocalStack, economy: bool) -> None:
    name = f"taken-{economy}".lower()
    line = {"prompt": "A lamp.", "folder_name": name, "file_name": "lamp", **SMALL}
    upload(mirror_stack, line, key=f"batches/{name}.jsonl")
    mirror_stack.s3.put_object(Bucket=COPIES, Key=f"a/{name}/lamp.png", Body=b"theirs")
    mirror_stack.forget()
    request: dict[str, Any] = {
        "manifest": f"batches/{name}.jsonl",
        "economy": economy,
        "tolerated_failure_percentage": 100,
    }
    report = run(mirror_stack, **request)["report"]
    assert (report["stored"], report["failed"], report["reasons"]) == (1, 1, {"ConflictError": 1})

    mirror_stack.s3.delete_object(Bucket=COPIES, Key=f"a/{name}/lamp.png")
    retry = run(mirror_stack, **request | {"manifest": report["failed_key"]})["report"]
    assert (retry["stored"], retry["failed"]) == (1, 0)
    assert copies(mirror_stack)[f"a/{name}/lamp.png"] == bytes_of(
        mirror_stack, mirror_stack.bucket, f"{name}/lamp.png"
    )
    assert mirror_stack.charges()["images"] == 1


@pytest.mark.parametrize(("count", "refused"), [(3, 1), (2, 1), (1, 1)])
def test_refused_image_has_no_copy(mirror_stack: LocalStack, count: int, refused: int) -> None:
    mirror_stack.forget()
    mirror_stack.script(
        {
            "path": IMAGES,
            "status": 400,
            "body": openai_error("moderation_blocked"),
            "times": refused,
        }
    )
    folder = f"refused-{count}"
    execution = mirror_stack.run({"folder_name": folder, "count": count, **SMALL})
    assert (execution["status"], execution["report"]["stored"], execution["report"]["refused"]) == (
        "SUCCEEDED",
        count - refused,
        refused,
    )

    pictures = {
        f"a/{picture['key']}" for picture in execution["report"]["pictures"] if picture["key"]
    }
    assert {
        key
        for key in copies(mirror_stack)
        if key.startswith(f"a/{folder}/") and key.endswith(".png")
    } == pictures
    assert len(pictures) == count - refused


def test_restart_finds_copies_and_delete_keeps_them(mirror_stack: LocalStack) -> None:
    first = mirror_stack.run({"request_id": "twice", "folder_name": "twice", **SMALL})
    before = copies(mirror_stack)

    second = mirror_stack.run({"request_id": "twice", "folder_name": "twice", **SMALL})

    assert second["report"]["pictures"] == first["report"]["pictures"]
    assert (
        mirror_stack.run({"action": "delete_folder", "folder_name": "twice", "confirm": True})[
            "status"
        ]
        == "SUCCEEDED"
    )
    assert copies(mirror_stack) == before
