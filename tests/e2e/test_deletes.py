"""Deletes, which need a confirmation, their undo, and purges, which cannot be undone."""

from typing import Any

import pytest

from tests.support.local_stack import LocalStack

SMALL = {"size": "1024x640", "quality": "low"}


def store_image(aws: LocalStack, folder: str) -> str:
    return str(aws.run({"folder_name": folder, **SMALL})["report"]["pictures"][0]["key"])


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "delete_folder", "folder_name": "kept"},
        {"action": "delete_folder", "folder_name": "", "confirm": True},
        {"action": "delete_folder", "folder_name": "/", "confirm": True},
        {"action": "delete_folder", "folder_name": "*", "confirm": True},
        {"action": "delete_folder", "folder_name": "staging", "confirm": True},
        {"action": "delete_folder", "folder_name": "thumbnails", "confirm": True, "purge": True},
        {"action": "delete_folder", "folder_name": "kept", "purge": True},
        {"action": "delete_folder", "confirm": True},
        {"action": "delete_image", "confirm": True},
        {"action": "delete_everything", "confirm": True},
    ],
)
def test_delete_requires_a_confirmed_target(aws: LocalStack, request_: dict[str, Any]) -> None:
    key = store_image(aws, "kept")
    assert aws.run(request_)["error"] == "InputError"
    assert key in aws.keys("kept/")


def test_image_and_companions_are_deleted_and_restored(aws: LocalStack) -> None:
    key, other = store_image(aws, "one"), store_image(aws, "one")
    picture = aws.s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read()
    report = aws.run({"action": "delete_image", "image_key": key, "confirm": True})["report"]
    assert (report["deleted"], report["recoverable_days"]) == (4, 30)
    assert [name for name in aws.keys("one/") if name.endswith(".png")] == [other]

    report = aws.run({"action": "restore_image", "image_key": key})["report"]
    assert report == {
        "action": "restore_image",
        "target": key,
        "dry_run": False,
        "objects": 4,
        "restored": 4,
        "bytes": report["bytes"],
    }
    assert aws.s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read() == picture
    assert {key, f"{key}.json"} < set(aws.keys("one/"))
    previews = [f"thumbnails/{key}.640.webp", f"thumbnails/{key}.webp"]
    assert aws.keys(f"thumbnails/{key}") == previews


def test_folder_delete_keeps_its_neighbour(aws: LocalStack) -> None:
    store_image(aws, "cats")
    neighbour = store_image(aws, "cats2")
    planned = aws.run({"action": "delete_folder", "folder_name": "cats", "dry_run": True})["report"]
    assert (planned["objects"], planned["deleted"]) == (5, 0)

    report = aws.run({"action": "delete_folder", "folder_name": "cats", "confirm": True})["report"]
    assert (report["objects"], report["deleted"]) == (5, 5)
    assert aws.keys("cats/") == aws.keys("thumbnails/cats/") == []
    assert neighbour in aws.keys("cats2/")


def test_restarting_deleted_run_buys_nothing(aws: LocalStack) -> None:
    request = {"request_id": "gone-1", "folder_name": "gone", **SMALL}
    key = aws.run(request)["report"]["pictures"][0]["key"]
    aws.run({"action": "delete_image", "image_key": key, "confirm": True})
    aws.forget()

    report = aws.run(request)["report"]

    assert report["pictures"][0]["status"] == "deleted"
    assert aws.charges()["images"] == 0
    assert key not in aws.keys("gone/")


def test_restored_folder_is_stored_and_buys_nothing(aws: LocalStack) -> None:
    request = {"request_id": "back-1", "folder_name": "back", "count": 2, **SMALL}
    before = aws.run(request)["report"]["pictures"]
    kept = [*aws.keys("back/"), *aws.keys("thumbnails/back/")]
    neighbour = store_image(aws, "back2")
    for folder in ("back", "back2"):
        aws.run({"action": "delete_folder", "folder_name": folder, "confirm": True})
    planned = aws.run({"action": "restore_folder", "folder_name": "back", "dry_run": True})[
        "report"
    ]
    assert (planned["objects"], planned["restored"]) == (len(kept), 0)
    assert aws.keys("back/") == []
    assert aws.run({"action": "restore_folder", "folder_name": "back"})["report"][
        "restored"
    ] == len(kept)
    assert [*aws.keys("back/"), *aws.keys("thumbnails/back/")] == kept
    assert neighbour not in aws.keys("back2/")

    aws.forget()
    assert aws.run(request)["report"]["pictures"] == before
    assert aws.charges()["images"] == 0
    assert aws.run({"action": "restore_folder", "folder_name": "back"})["report"]["restored"] == 0


def test_deleted_image_keeps_its_name(aws: LocalStack) -> None:
    request = {"folder_name": "taken", "file_name": "kite", **SMALL}
    key = aws.run(request)["report"]["pictures"][0]["key"]
    aws.run({"action": "delete_image", "image_key": key, "confirm": True})
    assert aws.run(request)["report"]["pictures"][0]["key"] == "taken/kite_2.png"

    restore = {"action": "restore_image", "image_key": key}
    assert aws.run(restore)["report"]["restored"] == 4
    purge = {"action": "delete_image", "image_key": key, "confirm": True, "purge": True}
    aws.run(purge)
    assert aws.run(request)["report"]["pictures"][0]["key"] == key


def test_purge_removes_folder_and_keeps_neighbour(aws: LocalStack) -> None:
    request = {"request_id": "purged-1", "folder_name": "dogs", **SMALL}
    aws.run(request)
    neighbour = store_image(aws, "dogs2")
    aws.run({"action": "delete_folder", "folder_name": "dogs", "confirm": True})
    store_image(aws, "dogs")
    planned = aws.run(
        {"action": "delete_folder", "folder_name": "dogs", "purge": True, "dry_run": True}
    )["report"]

    report = aws.run(
        {"action": "delete_folder", "folder_name": "dogs", "purge": True, "confirm": True}
    )["report"]

    assert (report["purge"], report["recoverable_days"]) == (True, 0)
    assert report["deleted"] == planned["objects"] == report["objects"] == 10
    assert report["bytes"] == planned["bytes"] > 0
    assert aws.versioned_keys("dogs/") == aws.versioned_keys("thumbnails/dogs/") == []
    assert neighbour in aws.keys("dogs2/")
    assert aws.keys("thumbnails/dogs2/")
    assert aws.run({"action": "restore_folder", "folder_name": "dogs"})["report"]["restored"] == 0
    assert aws.run(request)["report"]["pictures"][0]["status"] == "purged"
