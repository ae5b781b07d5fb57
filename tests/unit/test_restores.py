"""Restores: they undo a delete, including the record, and leave existing objects alone."""

from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.contract.errors import StorageDeniedError, TransientError
from easel.contract.status import Status
from tests.support.images import png
from tests.support.memory_aws import Refusing, keys_in, versions_in
from tests.support.services import BUCKET, FakeDeadline, FakeServices
from tests.support.steps import CleanupStep

FOLDER = {"action": "restore_folder", "folder_name": "my_s3_folder"}
DELETE = {"action": "delete_folder", "folder_name": "my_s3_folder", "confirm": True}


@pytest.fixture
def step(services: FakeServices) -> CleanupStep:
    return CleanupStep(services)


def test_image_is_restored_with_its_companions(step: CleanupStep, s3: Any) -> None:
    key, _ = step.stored(1), step.stored(2)
    step.delete(**DELETE)

    restored = step.restore(action="restore_image", image_key=key)

    assert (restored.target, restored.objects, restored.restored) == (key, 3, 3)
    assert [name for name in keys_in(s3) if "staging/" not in name] == [
        key,
        f"{key}.json",
        f"thumbnails/{key}.webp",
    ]
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == png(colour="#000001")
    assert (step.status(1), step.status(2)) == (Status.STORED, Status.DELETED)


def test_restored_image_is_in_report_and_gallery(step: CleanupStep, aws: Any) -> None:
    def item() -> Any:
        return aws.dynamodb.get_item(
            TableName="records", Key={"pk": {"S": "run#run-1"}, "sk": {"S": "image#1"}}
        )["Item"]

    key = step.stored()
    before, reported = item(), step.finish().pictures
    step.delete(action="delete_image", image_key=key, confirm=True)
    step.restore(action="restore_image", image_key=key)

    assert item() == before
    assert step.finish().pictures == reported


def test_folder_is_restored_without_its_neighbours(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    neighbours = ("my_s3_folder2/a.png", "my_s3_folder", "thumbnails/my_s3_folder2/a.png.webp")
    for other in (*neighbours, "my_s3_folder/sub/b.png"):
        step.bucket.put(other, b"x", content_type="x/y")
    for other in neighbours:
        s3.delete_object(Bucket=BUCKET, Key=other)

    step.delete(**DELETE)

    assert step.restore(**FOLDER).restored == 4
    assert [name for name in keys_in(s3) if "staging/" not in name] == sorted(
        [key, f"{key}.json", f"thumbnails/{key}.webp", "my_s3_folder/sub/b.png"]
    )
    assert step.status() == Status.STORED


def test_second_restore_succeeds_without_work(step: CleanupStep) -> None:
    step.stored()
    step.delete(**DELETE)
    step.restore(**FOLDER)

    second = step.restore(**FOLDER)

    assert (second.objects, second.restored, second.bytes) == (0, 0, 0)


def test_purged_image_cannot_be_restored(step: CleanupStep) -> None:
    step.stored()
    step.delete(**DELETE, purge=True)
    assert step.restore(**FOLDER).restored == 0
    assert step.status() == Status.PURGED


def test_restore_dry_run_changes_nothing(step: CleanupStep, s3: Any) -> None:
    step.stored()
    deleted = step.delete(**DELETE)
    before = versions_in(s3)

    planned = step.restore(**FOLDER, dry_run=True)

    assert (planned.dry_run, planned.objects, planned.restored, planned.bytes) == (
        True,
        3,
        0,
        deleted.bytes,
    )
    assert versions_in(s3) == before
    assert step.status() == Status.DELETED


@pytest.mark.parametrize(
    "action",
    [
        {"action": "restore_folder", "folder_name": "f"},
        {"action": "restore_image", "image_key": "f/a.png"},
    ],
)
def test_reused_name_is_left_alone(step: CleanupStep, s3: Any, action: dict[str, Any]) -> None:
    step.bucket.put("f/a.png", b"first", content_type="x/y")
    s3.delete_object(Bucket=BUCKET, Key="f/a.png")
    step.bucket.put("f/a.png", b"second", content_type="x/y")
    before = versions_in(s3)

    assert step.restore(**action).restored == 0
    assert versions_in(s3) == before
    assert s3.get_object(Bucket=BUCKET, Key="f/a.png")["Body"].read() == b"second"


def test_marker_without_object_is_left_alone(step: CleanupStep, s3: Any) -> None:
    stored = s3.put_object(Bucket=BUCKET, Key="f/a.png", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="f/a.png")
    s3.delete_object(Bucket=BUCKET, Key="f/a.png", VersionId=stored["VersionId"])

    assert step.restore(action="restore_folder", folder_name="f").objects == 0
    assert versions_in(s3) == [("f/a.png", "marker")]


def test_restored_copy_does_not_store_the_image(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    s3.copy_object(Bucket=BUCKET, Key="copies/a.png", CopySource=f"{BUCKET}/{key}")

    step.delete(**DELETE)
    s3.delete_object(Bucket=BUCKET, Key="copies/a.png")

    assert step.restore(action="restore_image", image_key="copies/a.png").restored == 1
    assert step.status() == Status.DELETED


def test_later_image_of_shared_name_is_restored(step: CleanupStep, s3: Any) -> None:
    key = step.stored(1)
    step.delete(action="delete_image", image_key=key, confirm=True)
    other = step.stored(2)
    later = {"run-id": "run-1", "n": "2"}
    s3.copy_object(
        Bucket=BUCKET,
        Key=key,
        CopySource=f"{BUCKET}/{other}",
        MetadataDirective="REPLACE",
        Metadata=later | {"sha256": "x"},
    )
    table = step.ledger._table
    table.write(table.update(("run#run-1", "image#2"), "SET #key = :key", values={":key": key}))
    step.delete(action="delete_image", image_key=key, confirm=True)
    assert (step.status(1), step.status(2)) == (Status.DELETED, Status.DELETED)

    step.restore(action="restore_image", image_key=key)
    assert (step.status(1), step.status(2)) == (Status.DELETED, Status.STORED)
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == png(colour="#000002")


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_delete_markers_are_removed_across_pages(step: CleanupStep, s3: Any, page: int) -> None:
    for key in ("f/a.png", "f/b.png", "f/c.png"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"old")
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"newer")
        for _ in range(3):
            s3.delete_object(Bucket=BUCKET, Key=key)
    small = Bucket(s3, name=BUCKET, owner="123456789012", page=page)

    done = step.do({"action": "restore_folder", "folder_name": "f"}, bucket=small)

    assert (done.objects, done.bytes) == (3, 15)
    assert versions_in(s3) == [
        (key, "version")
        for key in ("f/a.png", "f/a.png", "f/b.png", "f/b.png", "f/c.png", "f/c.png")
    ]


def test_interrupted_restore_is_finished_by_next(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    step.delete(**DELETE)
    dying = Bucket(Refusing(s3, {}, dies_at=1), name=BUCKET, owner="123456789012")

    with pytest.raises(RuntimeError):
        step.do(FOLDER, bucket=dying)
    assert (step.status(), key in keys_in(s3)) == (Status.STORED, False)
    assert step.restore(**FOLDER).restored == 3
    assert (step.status(), key in keys_in(s3)) == (Status.STORED, True)


def test_kept_delete_marker_leaves_image_deleted(step: CleanupStep, s3: Any) -> None:
    kept_key, other = step.stored(1), step.stored(2)
    step.delete(**DELETE)
    refusing = Bucket(Refusing(s3, {kept_key: "AccessDenied"}), name=BUCKET, owner="123456789012")

    with pytest.raises(StorageDeniedError, match=r"5 objects are deleted, 1 remain"):
        step.do(FOLDER, bucket=refusing)
    assert (step.status(1), step.status(2)) == (Status.DELETED, Status.STORED)
    assert other in keys_in(s3)


def test_restore_stops_before_its_deadline(step: CleanupStep, s3: Any) -> None:
    step.stored()
    step.delete(**DELETE)
    with pytest.raises(TransientError, match=r"0 objects are deleted"):
        step.do(FOLDER, deadline=FakeDeadline(left=29))
    assert step.restore(**FOLDER).restored == 3
