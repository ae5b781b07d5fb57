"""Rows 90 to 98 of docs/faults.md.

Deletes, purges and restores change only what they may, even if S3 or the function fails.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.faulty_stack import FaultyStack
from tests.faults.rule import Rule
from tests.faults.scenario import SMALL

DELETE: dict[str, Any] = {"action": "delete_folder", "confirm": True}


@pytest.fixture
def folder(faulty_stack: FaultyStack) -> Iterator[str]:
    """Yield a folder with two images, next to a folder whose name begins with its name."""
    name = f"removals-{uuid4().hex}"
    for where, count in ((name, 2), (f"{name}2", 1)):
        assert (
            faulty_stack.run({"prompt": "A kite", "folder_name": where, "count": count, **SMALL})[
                "status"
            ]
            == "SUCCEEDED"
        )
    before = sorted(faulty_stack.keys(f"{name}2/"))
    faulty_stack.forget()
    yield name
    assert sorted(faulty_stack.keys(f"{name}2/")) == before


def pictures(stack: FaultyStack, folder: str) -> list[str]:
    return [key for key in stack.keys(f"{folder}/") if key.endswith(".png")]


def test_90_missing_object_is_already_deleted(faulty_stack: FaultyStack) -> None:
    execution = faulty_stack.run(
        {"action": "delete_image", "image_key": "never/was.png", "confirm": True}
    )
    assert (execution["status"], execution["report"]["deleted"]) == ("SUCCEEDED", 0)


def test_92_undeletable_objects_fail_the_run(faulty_stack: FaultyStack, folder: str) -> None:
    kept = pictures(faulty_stack, folder)[0]
    faulty_stack.aws_faults.script(
        Rule(operation="DeleteObjects", object_errors=[(kept, "AccessDenied")], times=9)
    )
    execution = faulty_stack.run(DELETE | {"folder_name": folder})
    assert execution["error"] == "StorageDeniedError"
    assert kept in execution["cause"]
    assert "AccessDenied" in execution["cause"]
    assert pictures(faulty_stack, folder) == [kept]
    faulty_stack.wait_until_listed(folder, [kept])

    faulty_stack.clear()
    faulty_stack.states.redrive_execution(executionArn=execution["executionArn"])
    assert faulty_stack.wait_for_end(execution["executionArn"])["status"] == "SUCCEEDED"
    assert faulty_stack.keys(f"{folder}/") == []


def test_92_transient_delete_errors_are_retried(faulty_stack: FaultyStack, folder: str) -> None:
    faulty_stack.aws_faults.script(
        Rule(operation="DeleteObjects", object_errors=[(".png", "InternalError")])
    )
    assert faulty_stack.run(DELETE | {"folder_name": folder})["status"] == "SUCCEEDED"
    assert faulty_stack.keys(f"{folder}/") == []
    faulty_stack.wait_until_listed(folder, [])


def test_93_delete_keeps_versions_and_purge_does_not(
    faulty_stack: FaultyStack, folder: str
) -> None:
    deleted = faulty_stack.run(DELETE | {"folder_name": folder})["report"]
    assert (deleted["recoverable_days"], faulty_stack.keys(f"{folder}/")) == (30, [])
    assert [version for version in faulty_stack.versions(f"{folder}/") if not version["deleted"]]

    purged = faulty_stack.run(DELETE | {"folder_name": folder, "purge": True})["report"]
    assert purged["recoverable_days"] == 0
    assert (
        faulty_stack.versions(f"{folder}/") == faulty_stack.versions(f"thumbnails/{folder}/") == []
    )


def test_95_neighbour_folder_stays(faulty_stack: FaultyStack, folder: str) -> None:
    planned = faulty_stack.run({"action": "delete_folder", "folder_name": folder, "dry_run": True})[
        "report"
    ]
    gone = faulty_stack.run(DELETE | {"folder_name": folder, "purge": True})["report"]
    # Two images have four objects each, and the folder has a marker.
    assert planned["objects"] == gone["deleted"] == 9
    assert planned["bytes"] == gone["bytes"] > 0


@pytest.mark.parametrize("action", ["delete_folder", "restore_folder", "purge"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["TransactWriteItems", "DeleteObjects"])
def test_98_killed_function_is_restarted_and_finishes(
    faulty_stack: FaultyStack, folder: str, action: str, when: Any, operation: str
) -> None:
    request = {"restore_folder": {"action": action}, "purge": DELETE | {"purge": True}}.get(
        action, DELETE
    ) | {"folder_name": folder}
    before = pictures(faulty_stack, folder)
    if action == "restore_folder":
        assert faulty_stack.run(DELETE | {"folder_name": folder})["status"] == "SUCCEEDED"

    faulty_stack.aws_faults.script(Rule(operation=operation, step="Cleanup", kill=when))
    execution = faulty_stack.run(request)
    assert execution["status"] == "SUCCEEDED"
    assert faulty_stack.aws_faults.waiting() == []

    left = before if action == "restore_folder" else []
    assert pictures(faulty_stack, folder) == left
    faulty_stack.wait_until_listed(folder, left)


@pytest.mark.parametrize(
    ("purge", "listing"),
    [(False, "ListObjectsV2"), (True, "ListObjectVersions")],
    ids=["98 delete", "98 purge"],
)
def test_image_arriving_during_delete_survives(
    faulty_stack: FaultyStack, folder: str, purge: bool, listing: str
) -> None:
    go = threading.Event()
    faulty_stack.aws_faults.script(
        Rule(operation=listing, step="Cleanup", contains=f"{folder}/", hold=go)
    )
    arn = faulty_stack.start(DELETE | {"folder_name": folder, "purge": purge})
    faulty_stack.until(lambda: any(call.fault == "hold" for call in faulty_stack.calls("Cleanup")))
    # S3 reports times in whole seconds.
    started = faulty_stack.wait_for_start(arn)["startDate"].timestamp()
    faulty_stack.until(lambda: time.time() >= int(started) + 1)

    new = faulty_stack.run({"prompt": "A kite", "folder_name": folder, **SMALL})["report"][
        "pictures"
    ][0]["key"]
    go.set()

    assert faulty_stack.wait_for_end(arn)["status"] == "SUCCEEDED"
    assert pictures(faulty_stack, folder) == [new]
    faulty_stack.wait_until_listed(folder, [new])
