"""Moves: the image keeps all but its key, nothing is overwritten, and a move can be undone."""

import json
from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.contract import naming
from easel.contract.errors import ConflictError, InputError, NotFoundError
from easel.contract.messages import Relocation, Several
from easel.contract.status import Status
from easel.ledger.folders import Folders
from easel.ledger.gallery import Gallery
from easel.ledger.moves import Moves
from easel.ledger.records import ImageRecord
from easel.ledger.references import References
from easel.request.request import parse
from tests.support.images import png
from tests.support.memory_aws import DyingClient, keys_in
from tests.support.records import prompt_record
from tests.support.services import BUCKET, NOW, OWNER, FakeServices, request_settings
from tests.support.steps import CleanupStep

MOVE = {"action": "move_image", "to_folder": "ads/spring"}


@pytest.fixture
def step(services: FakeServices) -> CleanupStep:
    return CleanupStep(services)


def record(step: CleanupStep, n: int = 1) -> ImageRecord:
    image = step.ledger.image("run-1", n)
    assert image
    return image


def move(step: CleanupStep, key: str, folder: str = "ads/spring") -> str:
    moved = step.act(**MOVE | {"image_key": key, "to_folder": folder})
    assert isinstance(moved, Relocation)
    assert moved.target == key
    return moved.key


def files(s3: Any) -> list[str]:
    return [key for key in keys_in(s3) if not key.startswith("staging/")]


def counts(step: CleanupStep) -> dict[str, tuple[int, int]]:
    folders, _ = Folders(step.services.table).page(limit=100)
    return {folder.name: (folder.images, folder.bytes) for folder in folders}


def test_image_moves_with_its_files_and_record(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    before = counts(step)["my_s3_folder"]

    moved = move(step, key)

    assert moved == f"ads/spring/{key.rpartition('/')[2]}"
    assert files(s3) == [moved, f"{moved}.json", f"thumbnails/{moved}.webp"]
    assert s3.get_object(Bucket=BUCKET, Key=moved)["Body"].read() == png(colour="#000001")
    sidecar = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{moved}.json")["Body"].read())
    assert (sidecar["key"], sidecar["id"]) == (moved, naming.image_id("run-1", 1))
    assert (record(step).key, record(step).earlier_keys) == (moved, [key])
    assert counts(step) == {"ads/spring": before}


def test_move_and_its_undo_can_be_repeated(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    first = files(s3)
    moved = move(step, key)
    assert move(step, moved) == moved

    assert move(step, moved, "my_s3_folder") == key
    assert move(step, key, "my_s3_folder") == key
    assert files(s3) == first
    assert record(step).earlier_keys == [moved]
    assert list(counts(step)) == ["my_s3_folder"]


def test_earlier_key_leads_to_the_image(step: CleanupStep) -> None:
    key = step.stored()
    moved = move(step, key)

    # Such as a request that was written before the move.
    raw = {"prompt": "x", "reference_images": [key]}
    request = parse(raw, request_settings(), today=NOW.date())
    references = References(step.services.table, step.bucket)
    assert references.resolve(request).keys == (moved,)
    assert [image.key for image in Gallery(step.services.table).owners([key])] == [moved]
    third = step.act(**MOVE | {"image_key": key, "to_folder": "third"})
    assert isinstance(third, Relocation)
    assert (third.target, third.key) == (moved, f"third/{key.rpartition('/')[2]}")


@pytest.mark.parametrize("taken_by", ["image", "stranger"])
def test_taken_name_changes_nothing(step: CleanupStep, s3: Any, taken_by: str) -> None:
    key = step.stored()
    target = f"ads/spring/{key.rpartition('/')[2]}"
    if taken_by == "image":
        assert step.ledger.owners.take(target, "run-2", 1)
    else:
        s3.put_object(Bucket=BUCKET, Key=target, Body=b"theirs")
    before = files(s3)

    with pytest.raises(ConflictError, match="is the name of another file"):
        move(step, key)

    assert files(s3) == before
    assert (record(step).key, record(step).earlier_keys) == (key, None)
    # The stranger's key is not kept by the image that did not get it.
    assert (step.ledger.owners.find(target) is None) == (taken_by == "stranger")


def test_deleted_image_is_not_moved(step: CleanupStep) -> None:
    key = step.stored()
    step.delete(action="delete_image", image_key=key, confirm=True)
    with pytest.raises(NotFoundError, match="is not stored, so it cannot be moved"):
        move(step, key)


def test_restore_of_the_old_folder_brings_nothing_back(step: CleanupStep, s3: Any) -> None:
    moved = move(step, step.stored())
    before = files(s3)

    step.restore(action="restore_folder", folder_name="my_s3_folder")

    assert files(s3) == before
    assert (record(step).status, record(step).key) == (Status.STORED, moved)


def test_moved_image_is_deleted_and_restored_in_its_folder(step: CleanupStep, s3: Any) -> None:
    moved = move(step, step.stored())
    before = files(s3)

    step.delete(action="delete_folder", folder_name="ads/spring", confirm=True)
    assert record(step).status == Status.DELETED
    step.restore(action="restore_folder", folder_name="ads/spring")

    assert files(s3) == before
    assert (record(step).status, record(step).key) == (Status.STORED, moved)


@pytest.mark.parametrize("at", range(1, 17))
def test_move_that_dies_is_finished_by_the_retry(
    step: CleanupStep, s3: Any, aws: Any, at: int
) -> None:
    key = step.stored()
    whole = {"ads/spring/" + key.rpartition("/")[2]}
    dying = DyingClient(aws.dynamodb, at)
    table = type(step.services.table)(dying, name=step.services.table._name)
    bucket = type(step.bucket)(dying.twin(s3), name=BUCKET, owner=OWNER)
    died = False
    try:
        Moves(table, bucket).move("run-1", 1, folder="ads/spring")
    except RuntimeError:
        died = True
        # Whatever line it was, one complete image is there.
        assert s3.head_object(Bucket=BUCKET, Key=str(record(step).key))

    Moves(step.services.table, step.bucket).move("run-1", 1, folder="ads/spring")

    (moved,) = whole
    assert files(s3) == [moved, f"{moved}.json", f"thumbnails/{moved}.webp"]
    assert counts(step)["ads/spring"][0] == 1
    assert list(counts(step)) == ["ads/spring"]
    assert died


def test_delete_during_a_move_wins(step: CleanupStep, s3: Any) -> None:
    key = step.stored()

    class DeletingBucket(type(step.bucket)):  # type: ignore[misc]
        """A bucket in which somebody deletes the image once its sidecar is copied."""

        def put(self, target: str, *args: Any, **kwargs: Any) -> None:
            super().put(target, *args, **kwargs)
            step.delete(action="delete_image", image_key=key, confirm=True)

    bucket = DeletingBucket(s3, name=BUCKET, owner=OWNER)
    with pytest.raises(ConflictError, match="was deleted or moved meanwhile"):
        Moves(step.services.table, bucket).move("run-1", 1, folder="ads/spring")

    assert files(s3) == []
    assert record(step).status == Status.DELETED
    step.restore(action="restore_image", image_key=key)
    assert files(s3)[0] == key


def test_each_of_several_images_is_moved(step: CleanupStep, s3: Any) -> None:
    step.stored(1), step.stored(2)
    ids = [naming.image_id("run-1", n) for n in (1, 2)]

    result = step.act(**MOVE | {"image_ids": ids})

    assert isinstance(result, Several)
    assert (result.images, result.target) == (2, "2 images")
    assert counts(step)["ads/spring"][0] == 2


def test_failure_of_one_image_names_it_and_moves_the_rest(step: CleanupStep) -> None:
    step.stored(1)
    ids = [naming.image_id("run-1", 1), "0123456789abcdef-1"]

    with pytest.raises(ConflictError) as exc_info:
        step.act(**MOVE | {"image_ids": ids})

    assert str(exc_info.value).startswith(
        "1 of 2 images are done, and these are unchanged: 0123456789abcdef-1: there is no image"
    )
    assert record(step).key.startswith("ads/spring/")  # type: ignore[union-attr]


def test_several_images_are_deleted_and_restored(step: CleanupStep, s3: Any) -> None:
    step.stored(1), step.stored(2)
    before = files(s3)
    ids = [naming.image_id("run-1", n) for n in (1, 2)]

    deleted = step.act(action="delete_image", image_ids=ids, confirm=True)
    assert isinstance(deleted, Several)
    assert (deleted.images, deleted.objects, files(s3)) == (2, 6, [])

    step.act(action="restore_image", image_ids=ids)
    assert files(s3) == before


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"to_folder": "x"}, "image_key"),
        ({"image_key": "a/b.png"}, "to_folder"),
        ({"image_key": "a/b.png", "to_folder": "staging"}, "to_folder"),
        ({"image_ids": [], "to_folder": "x"}, "image_ids"),
        ({"image_ids": ["x"], "to_folder": "x"}, "image_ids"),
        ({"image_ids": ["0123456789abcdef-1"] * 1_001, "to_folder": "x"}, "image_ids"),
        (
            {"image_ids": ["0123456789abcdef-1"], "image_key": "a/b.png", "to_folder": "x"},
            "image_key",
        ),
    ],
)
def test_wrong_move_names_its_field(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as exc_info:
        parse({"action": "move_image"} | raw, request_settings(), today=NOW.date())
    assert exc_info.value.field == field


def test_delete_by_an_earlier_key_deletes_the_image(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    move(step, move(step, key), "third")

    deleted = step.delete(action="delete_image", image_key=key, confirm=True)

    assert (deleted.objects, files(s3), record(step).status) == (3, [], Status.DELETED)


def test_purge_of_the_old_folder_leaves_the_share(
    services: FakeServices, public: Bucket, s3: Any
) -> None:
    step = CleanupStep(services.share_in(public))
    key = step.stored()
    assert services.shares
    services.shares.start("run-1", 1, key=key, now=NOW)
    moved = move(step, key)

    step.delete(action="delete_folder", folder_name="my_s3_folder", confirm=True, purge=True)

    assert [item.key for item in public.objects("shared/")] == [f"shared/{record(step).share}"]
    assert (record(step).status, files(s3)[0]) == (Status.STORED, moved)


def test_name_is_free_after_a_failed_move(step: CleanupStep, s3: Any) -> None:
    key = step.stored()
    s3.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(NotFoundError, match="is not in the bucket"):
        move(step, key)
    assert step.ledger.owners.find(f"ads/spring/{key.rpartition('/')[2]}") is None


def test_moved_image_still_counts_as_mirrored(step: CleanupStep) -> None:
    key = step.stored()
    step.ledger.note_mirrored("run-1", 1, url=f"s3://copies/{key}")
    move(step, key)
    assert not record(step).is_missing_from("s3://copies")


def test_tags_of_the_request_are_the_images_own(services: FakeServices) -> None:
    step = CleanupStep(services)
    prompt = prompt_record(run_id="run-9", choices={"tags": ["spring", "sale"]})
    services.ledger.keep_prompt(prompt, paid=None)
    step.upload.run(step.upload.staged(png(), run_id="run-9"))

    image = step.ledger.image("run-9", 1)
    assert image
    assert image.tags == {"spring", "sale"}
