"""Deletes, off unless confirmed, and to be undone."""

from typing import Any

import pytest

from tests.local_stack import LocalStack

SMALL = {"size": "256x256", "quality": "low"}


def made(aws: LocalStack, folder: str) -> str:
    return str(aws.run({"folder_name": folder, **SMALL})["report"]["pictures"][0]["key"])


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "delete_folder", "folder_name": "kept"},
        {"action": "delete_folder", "folder_name": "", "confirm": True},
        {"action": "delete_folder", "folder_name": "/", "confirm": True},
        {"action": "delete_folder", "folder_name": "*", "confirm": True},
        {"action": "delete_folder", "folder_name": "staging", "confirm": True},
        {"action": "delete_folder", "confirm": True},
        {"action": "delete_image", "confirm": True},
        {"action": "delete_everything", "confirm": True},
    ],
)
def test_nothing_is_deleted_without_a_confirmed_target(aws: LocalStack, request_: dict[str, Any]) -> None:
    key = made(aws, "kept")
    assert aws.run(request_)["error"] == "InputError"
    assert key in aws.keys("kept/")


def test_an_image_goes_with_what_belongs_to_it_and_can_be_had_back(aws: LocalStack) -> None:
    key, other = made(aws, "one"), made(aws, "one")
    report = aws.run({"action": "delete_image", "image_key": key, "confirm": True})["report"]
    assert (report["deleted"], report["recoverable_days"]) == (3, 30)
    assert [found for found in aws.keys("one/") if found.endswith(".png")] == [other]
    markers = aws.s3.list_object_versions(Bucket=aws.bucket, Prefix=key)["DeleteMarkers"]
    aws.s3.delete_object(Bucket=aws.bucket, Key=key, VersionId=next(m["VersionId"] for m in markers if m["Key"] == key))
    assert key in aws.keys("one/")


def test_a_folder_goes_and_its_neighbour_stays(aws: LocalStack) -> None:
    made(aws, "cats")
    neighbour = made(aws, "cats2")
    planned = aws.run({"action": "delete_folder", "folder_name": "cats", "dry_run": True})["report"]
    assert (planned["objects"], planned["deleted"]) == (4, 0)
    report = aws.run({"action": "delete_folder", "folder_name": "cats", "confirm": True})["report"]
    assert (report["objects"], report["deleted"]) == (4, 4)
    assert aws.keys("cats/") == aws.keys("thumbnails/cats/") == []
    assert neighbour in aws.keys("cats2/")


def test_starting_a_deleted_picture_s_run_again_reports_deleted_and_buys_nothing(aws: LocalStack) -> None:
    request = {"request_id": "gone-1", "folder_name": "gone", **SMALL}
    key = aws.run(request)["report"]["pictures"][0]["key"]
    aws.run({"action": "delete_image", "image_key": key, "confirm": True})
    aws.forget()
    report = aws.run(request)["report"]
    assert report["pictures"][0]["status"] == "deleted"
    assert aws.charged()["images"] == 0
    assert key not in aws.keys("gone/")
