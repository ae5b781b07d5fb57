"""Rows 90 to 98 of docs/faults.md.

Deletes, purges and restores change only what they may, even if S3 or the function fails.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.faulty_stack import Storm
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL

DELETE: dict[str, Any] = {"action": "delete_folder", "confirm": True}


@pytest.fixture
def folder(stormy: Storm) -> Iterator[str]:
    """Yield a folder with two images, next to a folder whose name begins with its name."""
    name = f"removals-{uuid4().hex}"
    for where, count in ((name, 2), (f"{name}2", 1)):
        assert (
            stormy.run({"prompt": "A kite", "folder_name": where, "count": count, **SMALL})[
                "status"
            ]
            == "SUCCEEDED"
        )
    before = sorted(stormy.keys(f"{name}2/"))
    stormy.forget()
    yield name
    assert sorted(stormy.keys(f"{name}2/")) == before


def pictures(storm: Storm, folder: str) -> list[str]:
    return [key for key in storm.keys(f"{folder}/") if key.endswith(".png")]


def in_table(storm: Storm, folder: str) -> list[str]:
    found = storm.dynamodb.query(
        TableName=storm.table,
        IndexName="by_folder",
        KeyConditionExpression="shelf_folder = :folder",
        ExpressionAttributeValues={":folder": {"S": f"stored#{folder}"}},
    )
    return [item["key"]["S"] for item in found["Items"]]


def test_90_missing_object_is_already_deleted(stormy: Storm) -> None:
    ended = stormy.run({"action": "delete_image", "image_key": "never/was.png", "confirm": True})
    assert (ended["status"], ended["report"]["deleted"]) == ("SUCCEEDED", 0)


def test_92_undeletable_objects_fail_the_run(stormy: Storm, folder: str) -> None:
    kept = pictures(stormy, folder)[0]
    stormy.aws_faults.script(
        Rule(operation="DeleteObjects", object_errors=[(kept, "AccessDenied")], times=9)
    )
    ended = stormy.run(DELETE | {"folder_name": folder})
    assert ended["error"] == "StorageDeniedError"
    assert kept in ended["cause"]
    assert "AccessDenied" in ended["cause"]
    assert pictures(stormy, folder) == in_table(stormy, folder) == [kept]

    stormy.clear()
    stormy.states.redrive_execution(executionArn=ended["executionArn"])
    assert stormy.ended(ended["executionArn"])["status"] == "SUCCEEDED"
    assert stormy.keys(f"{folder}/") == []


def test_92_transient_delete_errors_are_retried(stormy: Storm, folder: str) -> None:
    stormy.aws_faults.script(
        Rule(operation="DeleteObjects", object_errors=[(".png", "InternalError")])
    )
    assert stormy.run(DELETE | {"folder_name": folder})["status"] == "SUCCEEDED"
    assert stormy.keys(f"{folder}/") == in_table(stormy, folder) == []


def test_93_delete_keeps_versions_and_purge_does_not(stormy: Storm, folder: str) -> None:
    deleted = stormy.run(DELETE | {"folder_name": folder})["report"]
    assert (deleted["recoverable_days"], stormy.keys(f"{folder}/")) == (30, [])
    assert [version for version in stormy.versions(f"{folder}/") if not version["deleted"]]

    purged = stormy.run(DELETE | {"folder_name": folder, "purge": True})["report"]
    assert purged["recoverable_days"] == 0
    assert stormy.versions(f"{folder}/") == stormy.versions(f"thumbnails/{folder}/") == []


def test_95_neighbour_folder_stays(stormy: Storm, folder: str) -> None:
    planned = stormy.run({"action": "delete_folder", "folder_name": folder, "dry_run": True})[
        "report"
    ]
    gone = stormy.run(DELETE | {"folder_name": folder, "purge": True})["report"]
    # Two images have three objects each, and the folder has a marker.
    assert planned["objects"] == gone["deleted"] == 7
    assert planned["bytes"] == gone["bytes"] > 0


@pytest.mark.parametrize("action", ["delete_folder", "restore_folder", "purge"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["TransactWriteItems", "DeleteObjects"])
def test_98_killed_function_is_restarted_and_finishes(
    stormy: Storm, folder: str, action: str, when: Any, operation: str
) -> None:
    request = {"restore_folder": {"action": action}, "purge": DELETE | {"purge": True}}.get(
        action, DELETE
    ) | {"folder_name": folder}
    before = pictures(stormy, folder)
    if action == "restore_folder":
        assert stormy.run(DELETE | {"folder_name": folder})["status"] == "SUCCEEDED"

    stormy.aws_faults.script(Rule(operation=operation, step="Cleanup", kill=when))
    ended = stormy.run(request)
    assert ended["status"] == "SUCCEEDED"
    assert stormy.aws_faults.waiting() == []

    left = before if action == "restore_folder" else []
    assert pictures(stormy, folder) == left
    assert sorted(in_table(stormy, folder)) == left


@pytest.mark.parametrize(
    ("purge", "listing"),
    [(False, "ListObjectsV2"), (True, "ListObjectVersions")],
    ids=["98 delete", "98 purge"],
)
def test_image_arriving_during_delete_survives(
    stormy: Storm, folder: str, purge: bool, listing: str
) -> None:
    go = threading.Event()
    stormy.aws_faults.script(
        Rule(operation=listing, step="Cleanup", contains=f"{folder}/", hold=go)
    )
    arn = stormy.start(DELETE | {"folder_name": folder, "purge": purge})
    stormy.until(lambda: any(call.fault == "hold" for call in stormy.calls("Cleanup")))
    # S3 reports times in whole seconds.
    started = stormy.states.describe_execution(executionArn=arn)["startDate"].timestamp()
    stormy.until(lambda: time.time() >= int(started) + 1)

    new = stormy.run({"prompt": "A kite", "folder_name": folder, **SMALL})["report"]["pictures"][0][
        "key"
    ]
    go.set()

    assert stormy.ended(arn)["status"] == "SUCCEEDED"
    assert pictures(stormy, folder) == in_table(stormy, folder) == [new]
