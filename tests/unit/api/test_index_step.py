"""The function that keeps the index: its jobs, its triggers, and rebuilds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from easel.aws.table import _typed
from easel.search.indexing import REBUILD, Rebuild, RebuildStep
from functions.index.handler import IndexServices, run
from tests.support.api import Api, keep_prompt, store_image
from tests.support.loopback import Quiet, serving
from tests.support.searchable import Searchable
from tests.support.services import NOW


@pytest.fixture
def index(api: Api) -> IndexServices:
    services = IndexServices(api.services)
    services.rebuild = Rebuild(api.table, services.indexing, slice_size=4)
    return services


def record(before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """Return a record of the table's stream."""
    images = {"NewImage": _typed(after)} | ({"OldImage": _typed(before)} if before else {})
    keys = _typed({"pk": after["pk"], "sk": after["sk"]})
    return {"eventName": "MODIFY" if before else "INSERT", "dynamodb": {"Keys": keys} | images}


def image(api: Api, run_id: str) -> dict[str, Any]:
    item = api.table.get(f"run#{run_id}", "image#1")
    assert item is not None
    return item


def stored(api: Api, count: int) -> list[str]:
    """Store images without documents. Return their run ids, newest first."""
    runs = [f"run-{second}" for second in range(count)]
    for second, run_id in enumerate(runs):
        store_image(api, keep_prompt(api, run_id), at=NOW + timedelta(seconds=second))
    return runs[::-1]


def find(api: Api) -> list[str]:
    return Searchable(api.table).find("kite")


def finish(api: Api, services: IndexServices) -> int:
    """Pass each state of the rebuild to the function, as the stream does. Return the steps."""
    for step in range(100):
        state = api.table.get(*REBUILD)
        assert state is not None
        if not run({"Records": [record(None, state)]}, services)["rebuilt"]:
            return step
    raise AssertionError("the rebuild does not end")


def test_stored_image_is_found(api: Api, index: IndexServices) -> None:
    stored(api, 1)
    item = image(api, "run-0")

    result = run({"Records": [record(item | {"status": "staged"}, item)]}, index)

    assert result == {"images": 1}
    assert find(api) == ["run-0"]


def test_deleted_image_leaves_and_restored_one_returns(api: Api, index: IndexServices) -> None:
    stored(api, 1)
    before = image(api, "run-0")
    run({"Records": [record(before | {"status": "staged"}, before)]}, index)

    api.services.ledger.mark_deleted("run-0", 1, key=before["key"])
    deleted = image(api, "run-0")
    run({"Records": [record(before, deleted)]}, index)
    gone = find(api)
    api.services.ledger.mark_restored("run-0", 1, key=before["key"])
    run({"Records": [record(deleted, image(api, "run-0"))]}, index)

    assert gone == []
    assert find(api) == ["run-0"]


def test_change_of_other_fields_reads_nothing(api: Api, index: IndexServices) -> None:
    stored(api, 1)
    item = image(api, "run-0")

    result = run({"Records": [record(item, item | {"mirrored": "gs://copy"})]}, index)

    assert result == {"images": 0}
    assert find(api) == []


def test_image_that_was_never_stored_is_ignored(api: Api, index: IndexServices) -> None:
    item = {"pk": "run#run-1", "sk": "image#1", "run_id": "run-1", "n": 1, "status": "purged"}

    assert run({"Records": [record(None, item)]}, index) == {"images": 0}


def test_rebuild_finds_images_of_an_older_version(api: Api, index: IndexServices) -> None:
    runs = stored(api, 11)

    index.rebuild.start()
    steps = finish(api, index)

    assert steps == 3
    assert find(api) == runs
    state = index.rebuild.state()
    assert state is not None
    assert (state.images, state.is_done) == (11, True)


def test_rebuild_of_empty_table_ends(api: Api, index: IndexServices) -> None:
    index.rebuild.start()

    assert finish(api, index) == 1


def test_repeated_event_does_not_repeat_step(api: Api, index: IndexServices) -> None:
    stored(api, 11)
    index.rebuild.start()
    first = api.table.get(*REBUILD)
    assert first is not None

    results = [run({"Records": [record(None, first)]}, index) for _ in range(2)]

    assert results == [{"rebuilt": 1}, {"rebuilt": 0}]


def test_rebuild_continues_after_death(api: Api, index: IndexServices) -> None:
    runs = stored(api, 11)
    index.rebuild.start()
    note = index.rebuild._note

    def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("the process died")

    index.rebuild._note = die  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        finish(api, index)
    index.rebuild._note = note  # type: ignore[method-assign]
    finish(api, index)

    assert find(api) == runs


def test_new_rebuild_ends_the_running_one(api: Api, index: IndexServices) -> None:
    stored(api, 11)
    index.rebuild.start()
    old = index.rebuild.state()
    assert old is not None

    index.rebuild.start()

    assert index.rebuild.advance(old) is False
    finish(api, index)
    assert len(find(api)) == 11


def test_image_stored_during_rebuild_is_found_once(api: Api, index: IndexServices) -> None:
    stored(api, 11)
    index.rebuild.start()
    state = api.table.get(*REBUILD)
    assert state is not None
    run({"Records": [record(None, state)]}, index)
    store_image(api, keep_prompt(api, "run-new"), at=NOW + timedelta(seconds=5))
    item = image(api, "run-new")
    run({"Records": [record(item | {"status": "staged"}, item)]}, index)

    finish(api, index)

    assert sorted(find(api)) == sorted([*(f"run-{n}" for n in range(11)), "run-new"])


@contextmanager
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the address to which a custom resource answers, and the answers."""
    answers: list[dict[str, Any]] = []

    class Answers(Quiet):
        def do_PUT(self) -> None:  # noqa: N802
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with serving(Answers) as url:
        yield url, answers


@pytest.mark.parametrize(
    ("kind", "starts"), [("Create", True), ("Update", True), ("Delete", False)]
)
def test_deployment_starts_rebuild(api: Api, index: IndexServices, kind: str, starts: bool) -> None:
    event = {"RequestType": kind, "StackId": "s", "RequestId": "r", "LogicalResourceId": "l"}

    with cloudformation() as (url, answers):
        run(event | {"ResponseURL": url}, index)

    assert [each["Status"] for each in answers] == ["SUCCESS"]
    assert isinstance(index.rebuild.state(), RebuildStep) is starts
