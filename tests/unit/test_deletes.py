"""Deletes and purges: exactly the requested objects go, and those that S3 keeps are named."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend

from easel.aws.bucket import Bucket
from easel.contract.errors import (
    ConfigError,
    ConflictError,
    InputError,
    StorageBusyError,
    StorageDeniedError,
    TransientError,
)
from easel.contract.naming import image_id
from easel.contract.status import Status
from tests.support.memory_aws import Refusing, keys_in, versions_in
from tests.support.services import BUCKET, FakeDeadline, FakeServices
from tests.support.steps import CleanupStep

AFTER = {False: Status.DELETED, True: Status.PURGED}  # an image's status, by purge
FOLDER = {"action": "delete_folder", "folder_name": "my_s3_folder", "confirm": True}
PURGE = FOLDER | {"purge": True}
NEIGHBOURS = (
    "my_s3_folder2/a.png",
    "my_s3_folder",
    "a/my_s3_folder/a.png",
    "thumbnails/my_s3_folder2/a.png.webp",
)


@pytest.fixture
def step(services: FakeServices) -> CleanupStep:
    return CleanupStep(services)


def test_image_is_deleted_with_its_companions(step: CleanupStep, s3: Any) -> None:
    key, other = step.stored(1), step.stored(2)
    assert step.delete(action="delete_image", image_key=key, confirm=True).deleted == 3
    assert not [name for name in keys_in(s3) if key in name]
    assert other in keys_in(s3)


def test_deleted_image_stays_known_as_deleted(step: CleanupStep) -> None:
    key = step.stored()
    step.delete(action="delete_image", image_key=key, confirm=True)
    assert step.status() == Status.DELETED
    assert step.finish().pictures[0].status == "deleted"


def test_deleting_missing_image_succeeds(step: CleanupStep) -> None:
    assert step.delete(action="delete_image", image_key="f/none.png", confirm=True).deleted == 0
    assert step.delete(action="delete_folder", folder_name="none", confirm=True).deleted == 0


@pytest.mark.parametrize("purge", [False, True])
def test_folder_delete_spares_its_neighbours(step: CleanupStep, s3: Any, purge: bool) -> None:
    step.stored()
    for other in (*NEIGHBOURS, "my_s3_folder/sub/b.png"):
        step.bucket.put(other, b"x", content_type="x/y")

    removed = step.delete(**FOLDER, purge=purge)

    assert removed.deleted == 4
    assert [name for name in keys_in(s3) if not name.startswith("staging/")] == sorted(NEIGHBOURS)
    assert step.status() == AFTER[purge]


def test_delete_dry_run_counts_and_deletes_nothing(step: CleanupStep, s3: Any) -> None:
    step.stored()
    before = versions_in(s3)

    removed = step.delete(action="delete_folder", folder_name="my_s3_folder", dry_run=True)

    assert (removed.dry_run, removed.objects, removed.deleted) == (True, 3, 0)
    assert removed.bytes > 0
    assert versions_in(s3) == before
    assert step.status() == Status.STORED


def test_folder_of_more_than_one_page_is_handled(step: CleanupStep, s3: Any) -> None:
    folder, count = {"folder_name": "big"}, 1_100
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: s3.put_object(Bucket=BUCKET, Key=f"big/{i}"), range(count)))
    delete = {"action": "delete_folder", "confirm": True} | folder

    assert step.delete(**delete).deleted == count
    assert keys_in(s3) == []
    assert step.restore(action="restore_folder", **folder).restored == count
    assert step.delete(**delete, purge=True).deleted == count
    assert versions_in(s3) == []


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "delete_folder", "folder_name": "f"},
        {"action": "delete_folder", "confirm": True},
        [],
        None,
        PURGE | {"confirm": False},
    ],
)
def test_delete_requires_a_confirmed_target(step: CleanupStep, s3: Any, request_: Any) -> None:
    step.stored()
    before = versions_in(s3)
    with pytest.raises((InputError, ConfigError)):
        step.do(request_)
    assert versions_in(s3) == before


def test_recovery_days_depend_on_the_bucket(step: CleanupStep) -> None:
    assert step.do(FOLDER).to_state()["recoverable_days"] == 30
    assert step.do(PURGE).to_state()["recoverable_days"] == 0

    step.services.configure(recoverable_days=None)
    assert step.do(FOLDER).to_state()["recoverable_days"] is None
    assert step.do(PURGE).to_state()["recoverable_days"] == 0


# Purges.


def test_purge_removes_all_versions_of_a_folder(step: CleanupStep, s3: Any) -> None:
    step.stored()
    for other in NEIGHBOURS:
        for body in (b"old", b"new"):
            step.bucket.put(other, body, content_type="x/y")
        s3.delete_object(Bucket=BUCKET, Key=other)
    step.delete(**FOLDER)
    step.stored(2)
    removed = step.delete(**PURGE)
    assert (removed.purge, removed.deleted) == (True, 6)

    left = [(key, kind) for key, kind in versions_in(s3) if not key.startswith("staging/")]
    assert left == sorted(
        (key, kind) for key in NEIGHBOURS for kind in ("marker", "version", "version")
    )


def test_image_purge_spares_similar_keys(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    alike = (f"{key}.webp", f"{key}2.png", f"{key}.json.png", f"thumbnails/{key}.webp.webp")
    for other in alike:
        step.bucket.put(other, b"x", content_type="x/y")

    assert step.delete(action="delete_image", image_key=key, confirm=True, purge=True).deleted == 3
    assert sorted(name for name, _ in versions_in(s3) if not name.startswith("staging/")) == sorted(
        alike
    )
    assert step.status() == Status.PURGED


def test_purge_of_missing_image_spares_similar_keys(step: CleanupStep, s3: Any) -> None:
    step.bucket.put("f/a.png2.png", b"x", content_type="x/y")
    assert (
        step.delete(action="delete_image", image_key="f/a.png", confirm=True, purge=True).objects
        == 0
    )
    assert keys_in(s3) == ["f/a.png2.png"]


def test_purge_removes_earlier_deletes(step: CleanupStep, s3: Any) -> None:
    step.stored()
    step.delete(**FOLDER)

    assert step.delete(**PURGE).deleted == 3
    assert not [name for name, _ in versions_in(s3) if not name.startswith("staging/")]
    assert step.delete(**PURGE).deleted == 0


def test_purge_dry_run_counts_every_version(step: CleanupStep, s3: Any) -> None:
    for body in (b"one", b"three"):
        step.bucket.put("f/a.png", body, content_type="x/y")
    s3.delete_object(Bucket=BUCKET, Key="f/a.png")
    before = versions_in(s3)

    planned = step.delete(action="delete_folder", folder_name="f", purge=True, dry_run=True)

    assert (planned.objects, planned.deleted, planned.bytes) == (2, 0, 8)
    assert versions_in(s3) == before


@pytest.mark.parametrize("page", [1, 2, 3, 5])
def test_purge_finds_versions_across_pages(step: CleanupStep, s3: Any, page: int) -> None:
    for key in "abcd":
        for body in (b"1", b"2", b"3"):
            s3.put_object(Bucket=BUCKET, Key=f"f/{key}.png", Body=body)
        s3.delete_object(Bucket=BUCKET, Key=f"f/{key}.png")
    small = Bucket(s3, name=BUCKET, owner="123456789012", page=page)

    done = step.do(
        {"action": "delete_folder", "folder_name": "f", "confirm": True, "purge": True},
        bucket=small,
    )

    assert done.objects == 12
    assert versions_in(s3) == []


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_history_is_complete_across_pages(s3: Any, page: int) -> None:
    for key in ("a", "b", "ü", "😀"):
        for body in (b"1", b"22"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        s3.delete_object(Bucket=BUCKET, Key=key)
    histories = list(Bucket(s3, name=BUCKET, owner="123456789012", page=page).histories(""))
    assert [history[0].key for history in histories] == ["a", "b", "ü", "😀"]
    assert [[(v.marker, v.bytes, v.latest) for v in history] for history in histories] == [
        [(False, 2, False), (False, 1, False), (True, 0, True)]
    ] * 4


def test_interrupted_purge_never_revives_an_image(step: CleanupStep, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="f/a.png", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key="f/a.png")
    dying = Bucket(Refusing(s3, {}, dies_at=2), name=BUCKET, owner="123456789012", page=1)

    with pytest.raises(RuntimeError):
        step.do(
            {"action": "delete_folder", "folder_name": "f", "confirm": True, "purge": True},
            bucket=dying,
        )
    assert versions_in(s3) == [("f/a.png", "marker")]


# Objects that arrive during a delete.


@pytest.mark.parametrize("purge", [False, True])
def test_images_arriving_during_delete_survive(step: CleanupStep, s3: Any, purge: bool) -> None:
    old, new = step.stored(1), step.stored(2)
    aged(old, f"{old}.json", f"thumbnails/{old}.webp")

    done = step.do(FOLDER | {"purge": purge}, started="2026-01-02T00:00:00.500Z")

    assert done.objects == 3
    assert [name for name in keys_in(s3) if "staging/" not in name] == [
        new,
        f"{new}.json",
        f"thumbnails/{new}.webp",
    ]
    assert (step.status(1), step.status(2)) == (AFTER[purge], Status.STORED)


def test_image_arriving_during_its_delete_survives(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    done = step.do(
        {"action": "delete_image", "image_key": key, "confirm": True},
        started="2026-01-02T00:00:00Z",
    )
    assert done.objects == 0
    assert key in keys_in(s3)


def test_object_stored_in_start_second_is_deleted(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    aged(key)
    step.do(
        {"action": "delete_image", "image_key": key, "confirm": True},
        started="2026-01-01T00:00:00.001Z",
    )
    assert key not in keys_in(s3)


def test_purging_an_old_version_keeps_image_stored(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    aged(key)
    s3.copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/{key}", StorageClass="STANDARD_IA")

    done = step.do(
        {"action": "delete_image", "image_key": key, "confirm": True, "purge": True},
        started="2026-01-02T00:00:00Z",
    )

    assert (done.objects, step.status()) == (1, Status.STORED)
    assert key in keys_in(s3)


# A key belongs to one image.


def test_delete_of_an_image_spares_another_of_its_name(step: CleanupStep, s3: Any) -> None:
    key = step.stored(1)
    own = {"sha256": "x", "run-id": "run-2", "n": "1"}
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"another image", Metadata=own)

    with pytest.raises(ConflictError, match="no longer the key of image"):
        step.delete(
            action="delete_image", image_key=key, image_id=image_id("run-1", 1), confirm=True
        )
    step.delete(action="delete_image", image_key=key, image_id=image_id("run-2", 1), confirm=True)

    assert key not in keys_in(s3)


def test_second_delete_by_id_changes_nothing(step: CleanupStep, s3: Any) -> None:
    key, id_ = step.stored(), image_id("run-1", 1)
    by_id = {"action": "delete_image", "image_key": key, "image_id": id_, "confirm": True}

    assert step.delete(**by_id).deleted == 3
    assert step.delete(**by_id).deleted == 0

    assert step.status() == Status.DELETED
    assert step.delete(**by_id, purge=True).objects == 3
    assert step.status() == Status.PURGED


def test_name_is_free_only_after_a_purge(step: CleanupStep) -> None:
    owners = step.ledger.owners
    key = step.stored()
    step.delete(**FOLDER)
    assert not owners.take(key, "run-2", 1)

    step.delete(**FOLDER, purge=True)
    assert owners.take(key, "run-2", 1)


def test_purge_of_a_shared_key_ends_all_its_images(step: CleanupStep, s3: Any) -> None:
    # Older versions let a new image take the key of a deleted one.
    key, _ = step.stored(1), step.stored(2)
    table = step.ledger._table
    table.write(table.update(("run#run-1", "image#2"), "SET #key = :key", values={":key": key}))
    step.delete(action="delete_image", image_key=key, confirm=True)
    later = {"run-id": "run-1", "n": "2", "sha256": "x"}
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"later", Metadata=later)

    step.delete(action="delete_image", image_key=key, confirm=True, purge=True)

    assert (step.status(1), step.status(2)) == (Status.PURGED, Status.PURGED)
    assert step.ledger.owners.take(key, "run-2", 1)


def test_image_that_s3_keeps_keeps_its_name(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    refusing = Bucket(Refusing(s3, {key: "AccessDenied"}), name=BUCKET, owner="123456789012")
    with pytest.raises(StorageDeniedError):
        step.do(FOLDER | {"purge": True}, bucket=refusing)
    assert not step.ledger.owners.take(key, "run-2", 1)


# Objects that S3 does not delete.


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        (["InternalError"], StorageBusyError),
        (["SlowDown", "NeverHeardOf"], StorageBusyError),
        (["InternalError", "AccessDenied", "NeverHeardOf"], StorageDeniedError),
        (["NeverHeardOf"], ConfigError),
    ],
)
def test_kept_objects_are_errors_by_code(
    step: CleanupStep, s3: Any, codes: list[str], error: type[Exception]
) -> None:
    for i in range(12):
        step.bucket.put(f"f/{i:02}.png", b"x", content_type="x/y")
    refusing = Refusing(s3, {f"f/{2 * i:02}.png": code for i, code in enumerate(codes)})
    small = Bucket(refusing, name=BUCKET, owner="123456789012", page=2)

    with pytest.raises(
        error,
        match=(
            rf"^{12 - len(codes)} objects are deleted, {len(codes)} remain"
            rf".*'f/00\.png' \({codes[0]}\)"
        ),
    ):
        step.do({"action": "delete_folder", "folder_name": "f", "confirm": True}, bucket=small)
    assert keys_in(s3) == [f"f/{2 * i:02}.png" for i in range(len(codes))]


def test_at_most_five_kept_objects_are_named(step: CleanupStep, s3: Any) -> None:
    names = [f"f/\u202e{i}.png" for i in range(9)]
    for name in names:
        step.bucket.put(name, b"x", content_type="x/y")
    refusing = Bucket(
        Refusing(s3, dict.fromkeys(names, "AccessDenied")),
        name=BUCKET,
        owner="123456789012",
        page=2,
    )

    with pytest.raises(StorageDeniedError) as exc_info:
        step.do({"action": "delete_folder", "folder_name": "f", "confirm": True}, bucket=refusing)
    assert str(exc_info.value).count(r"'f/\u202e") == 5
    assert "9 remain" in str(exc_info.value)


@pytest.mark.parametrize("purge", [False, True])
def test_image_that_s3_keeps_stays_stored(step: CleanupStep, s3: Any, purge: bool) -> None:
    kept_key = step.stored(1)
    step.stored(2)
    refusing = Bucket(Refusing(s3, {kept_key: "AccessDenied"}), name=BUCKET, owner="123456789012")

    with pytest.raises(StorageDeniedError):
        step.do(FOLDER | {"purge": purge}, bucket=refusing)
    assert (step.status(1), step.status(2)) == (Status.STORED, AFTER[purge])


@pytest.mark.parametrize("purge", [False, True])
def test_image_kept_in_retry_stays_stored(step: CleanupStep, s3: Any, purge: bool) -> None:
    kept_key = step.stored(1)
    with pytest.raises(RuntimeError):
        step.do(
            FOLDER | {"purge": purge},
            bucket=Bucket(Refusing(s3, {}, dies_at=1), name=BUCKET, owner="123456789012"),
        )

    refusing = Bucket(Refusing(s3, {kept_key: "AccessDenied"}), name=BUCKET, owner="123456789012")
    with pytest.raises(StorageDeniedError):
        step.do(FOLDER | {"purge": purge}, bucket=refusing)
    assert (step.status(), kept_key in keys_in(s3)) == (Status.STORED, True)


def test_refused_delete_leaves_everything_stored(step: CleanupStep, s3: Any) -> None:
    class Denied(Refusing):
        def delete_objects(self, **_: Any) -> Any:
            answer: Any = {
                "Error": {"Code": "AccessDenied"},
                "ResponseMetadata": {"HTTPStatusCode": 403},
            }
            raise ClientError(answer, "DeleteObjects")

    key = step.stored()
    with pytest.raises(StorageDeniedError):
        step.do(FOLDER, bucket=Bucket(Denied(s3, {}), name=BUCKET, owner="123456789012"))
    assert (step.status(), key in keys_in(s3)) == (Status.STORED, True)


# Deletes that were interrupted and run again.


@pytest.mark.parametrize("purge", [False, True])
def test_interrupted_delete_is_finished_by_the_next(
    step: CleanupStep, s3: Any, purge: bool
) -> None:
    key = step.stored()
    dying = Bucket(Refusing(s3, {}, dies_at=1), name=BUCKET, owner="123456789012")

    with pytest.raises(RuntimeError):
        step.do(FOLDER | {"purge": purge}, bucket=dying)
    assert (step.status(), key in keys_in(s3)) == (AFTER[purge], True)
    assert step.do(FOLDER | {"purge": purge}).objects == 3
    assert key not in keys_in(s3)


@pytest.mark.parametrize("purge", [False, True])
def test_delete_stops_before_its_deadline(step: CleanupStep, s3: Any, purge: bool) -> None:
    for i in range(6):
        step.bucket.put(f"f/{i}.png", b"x", content_type="x/y")
    request = {"action": "delete_folder", "folder_name": "f", "confirm": True, "purge": purge}
    deadline = FakeDeadline(left=31)
    small = Bucket(
        Refusing(s3, {}, takes=(deadline, 1.0)), name=BUCKET, owner="123456789012", page=2
    )

    with pytest.raises(TransientError, match=r"4 objects are deleted.* the retry continues"):
        step.do(request, bucket=small, deadline=deadline)
    assert keys_in(s3) == ["f/4.png", "f/5.png"]
    assert step.do(request).objects == 2
    assert keys_in(s3) == []


def test_cleanup_refuses_a_create_request(step: CleanupStep) -> None:
    with pytest.raises(ConfigError, match="create"):
        step.do({})


def aged(*keys: str) -> None:
    """Set the time of these objects to the first of January."""
    bucket = get_backend("s3")["123456789012"]["aws"].buckets[BUCKET]
    for key in keys:
        bucket.keys[key].last_modified = datetime(2026, 1, 1)
