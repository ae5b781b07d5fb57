"""A mirror on the local stack.

Each stored image is copied to another bucket, and a mirror that fails costs no second image.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from local import stack
from local.stack import Local
from tests.e2e.test_batches import run, upload
from tests.e2e.test_trouble import IMAGES, openai_error
from tests.support.local_stack import LocalStack, free_port, own_environment

SMALL = {"size": "256x256", "quality": "low"}
COPIES = "copies-of-mine"


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
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
    there = [one["Key"] for page in pages for one in page.get("Contents", [])]
    return {key: bytes_of(aws, COPIES, key) for key in there}


def bytes_of(aws: LocalStack, bucket: str, key: str) -> tuple[bytes, str]:
    answer: Any = aws.s3.get_object(Bucket=bucket, Key=key)
    return answer["Body"].read(), answer["ContentType"]


def test_redrive_after_missing_mirror_pays_nothing(mirrored: LocalStack) -> None:
    for key in copies(mirrored):
        mirrored.s3.delete_object(Bucket=COPIES, Key=key)
    mirrored.s3.delete_bucket(Bucket=COPIES)
    mirrored.forget()
    arn = mirrored.start({"folder_name": "late", "count": 2, **SMALL})
    ended = mirrored.ended(arn)
    assert (ended["status"], ended["error"]) == ("FAILED", "ConfigError")
    assert f"s3://{COPIES}/a/" in ended["cause"]

    charged = mirrored.charged()
    make_bucket(mirrored)
    mirrored.states.redrive_execution(executionArn=arn)
    again = mirrored.ended(arn)
    assert again["status"] == "SUCCEEDED", again.get("cause")
    assert mirrored.charged()["chat"] == charged["chat"] == 1
    assert mirrored.charged()["images"] == again["report"]["stored"] == 2

    pictures = [
        key
        for key in mirrored.keys("late/") + mirrored.keys("thumbnails/late/")
        if not key.endswith("/")
    ]
    assert len(pictures) == 6
    assert copies(mirrored) == {
        f"a/{key}": bytes_of(mirrored, mirrored.bucket, key) for key in pictures
    }


def test_batches_and_economy_are_mirrored_too(mirrored: LocalStack) -> None:
    for name, economy in (("dear", False), ("cheap", True)):
        upload(
            mirrored,
            {"description": f"A {name} lamp.", "folder_name": name, **SMALL},
            key=f"batches/{name}.jsonl",
        )
        report = run(mirrored, manifest=f"batches/{name}.jsonl", economy=economy)["report"]
        assert report["stored"] == 1
        (picture,) = (key for key in mirrored.keys(f"{name}/") if key.endswith(".png"))
        assert copies(mirrored)[f"a/{picture}"] == bytes_of(mirrored, mirrored.bucket, picture)


@pytest.mark.parametrize("economy", [False, True])
def test_unmirrored_line_counts_as_failed(mirrored: LocalStack, economy: bool) -> None:
    name = f"taken-{economy}".lower()
    line = {"prompt": "A lamp.", "folder_name": name, "file_name": "lamp", **SMALL}
    upload(mirrored, line, key=f"batches/{name}.jsonl")
    mirrored.s3.put_object(Bucket=COPIES, Key=f"a/{name}/lamp.png", Body=b"theirs")
    mirrored.forget()
    asked: dict[str, Any] = {
        "manifest": f"batches/{name}.jsonl",
        "economy": economy,
        "tolerated_failure_percentage": 100,
    }
    report = run(mirrored, **asked)["report"]
    assert (report["stored"], report["failed"], report["reasons"]) == (1, 1, {"ConflictError": 1})

    mirrored.s3.delete_object(Bucket=COPIES, Key=f"a/{name}/lamp.png")
    again = run(mirrored, **asked | {"manifest": report["failed_key"]})["report"]
    assert (again["stored"], again["failed"]) == (1, 0)
    assert copies(mirrored)[f"a/{name}/lamp.png"] == bytes_of(
        mirrored, mirrored.bucket, f"{name}/lamp.png"
    )
    assert mirrored.charged()["images"] == 1


@pytest.mark.parametrize(("count", "refused"), [(3, 1), (2, 1), (1, 1)])
def test_refused_image_has_no_copy(mirrored: LocalStack, count: int, refused: int) -> None:
    mirrored.forget()
    mirrored.script(
        {
            "path": IMAGES,
            "status": 400,
            "body": openai_error("moderation_blocked"),
            "times": refused,
        }
    )
    folder = f"refused-{count}"
    ended = mirrored.run({"folder_name": folder, "count": count, **SMALL})
    assert (ended["status"], ended["report"]["stored"], ended["report"]["refused"]) == (
        "SUCCEEDED",
        count - refused,
        refused,
    )

    pictures = {f"a/{picture['key']}" for picture in ended["report"]["pictures"] if picture["key"]}
    assert {
        key for key in copies(mirrored) if key.startswith(f"a/{folder}/") and key.endswith(".png")
    } == pictures
    assert len(pictures) == count - refused


def test_restart_finds_copies_and_delete_keeps_them(mirrored: LocalStack) -> None:
    first = mirrored.run({"request_id": "twice", "folder_name": "twice", **SMALL})
    before = copies(mirrored)

    again = mirrored.run({"request_id": "twice", "folder_name": "twice", **SMALL})

    assert again["report"]["pictures"] == first["report"]["pictures"]
    assert (
        mirrored.run({"action": "delete_folder", "folder_name": "twice", "confirm": True})["status"]
        == "SUCCEEDED"
    )
    assert copies(mirrored) == before
