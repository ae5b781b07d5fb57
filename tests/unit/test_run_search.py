"""The search of executions: nothing is lost or doubled between its pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from easel.contract import naming
from easel.contract.errors import InputError
from easel.runs import search as searching
from easel.runs.executions import Executions
from easel.runs.search import Criteria, kind_of, search
from tests.support.api import MACHINE

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANNA, BEN = "c4061ecb", "0a1b2c3d"
UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


class FakeList:
    """A fake Step Functions that lists executions, one a minute, in pages of its own size.

    A token is the number of executions that are older than the page's first, so new executions do
    not move the pages behind a token.
    """

    def __init__(self, *names: str, page: int = 3) -> None:
        self.oldest_first, self.page, self.calls = list(reversed(names)), page, 0

    def list_executions(self, **call: Any) -> dict[str, Any]:
        self.calls += 1
        end = int(call["nextToken"]) if "nextToken" in call else len(self.oldest_first)
        begin = max(0, end - min(self.page, call["maxResults"]))
        page = [self._entry(n) for n in reversed(range(begin, end))]
        return {"executions": page} | ({"nextToken": str(begin)} if begin else {})

    def _entry(self, n: int) -> dict[str, Any]:
        name, started = self.oldest_first[n], NOON + timedelta(minutes=n)
        return {"executionArn": name, "name": name, "status": "SUCCEEDED", "startDate": started}


def find(states: FakeList, *, limit: int = 2, after: str | None = None, **criteria: Any) -> Any:
    executions = Executions(states, machine=MACHINE)
    found, cursor = search(executions, Criteria(**criteria), limit=limit, after=after)
    return [execution.name for execution in found], cursor


def find_all(states: FakeList, *, limit: int = 2, **criteria: Any) -> list[str]:
    names, cursor = find(states, limit=limit, **criteria)
    while cursor:
        more, cursor = find(states, limit=limit, after=cursor, **criteria)
        names += more
    return list(names)


@pytest.mark.parametrize("limit", range(1, 12))
@pytest.mark.parametrize("page", [1, 2, 3, 4, 100])
def test_pages_lose_and_double_nothing(limit: int, page: int) -> None:
    names = [f"{(ANNA, BEN)[n % 3 == 0]}-{n}" for n in range(20)]

    found = find_all(FakeList(*names, page=page), limit=limit, person=ANNA)

    assert found == [name for name in names if name.startswith(ANNA)]


@pytest.mark.parametrize("started", [1, 5])
def test_new_executions_move_no_page(started: int) -> None:
    states = FakeList(*(f"{ANNA}-{n}" for n in range(9)), page=4)
    first, cursor = find(states, person=ANNA)
    states.oldest_first += [f"{ANNA}-new-{n}" for n in range(started)]

    second, _ = find(states, person=ANNA, after=cursor)

    assert (first, second) == ([f"{ANNA}-0", f"{ANNA}-1"], [f"{ANNA}-2", f"{ANNA}-3"])


def test_search_without_matches_ends_early_with_cursor() -> None:
    states = FakeList(*(f"{BEN}-{n}" for n in range(30)), f"{ANNA}-last", page=3)

    found, cursor = find(states, person=ANNA)

    assert (found, states.calls) == ([], searching.MOST_PAGES)
    assert find(states, person=ANNA, after=cursor)[0] == []
    assert find_all(states, person=ANNA) == [f"{ANNA}-last"]


def test_search_by_time_reads_nothing_older() -> None:
    states = FakeList(*(f"{ANNA}-{n}" for n in range(60)), page=10)
    since, before = NOON + timedelta(minutes=52), NOON + timedelta(minutes=55)

    names, cursor = find(states, limit=20, since=since, before=before)

    assert (names, cursor, states.calls) == ([f"{ANNA}-5", f"{ANNA}-6", f"{ANNA}-7"], None, 1)


def test_execution_that_left_the_list_is_no_gap() -> None:
    states = FakeList(*(f"{ANNA}-{n}" for n in range(6)), page=6)
    _, cursor = find(states, person=ANNA)
    states.oldest_first[states.oldest_first.index(f"{ANNA}-1")] = "gone"

    assert find(states, person=ANNA, after=cursor)[0] == [f"{ANNA}-2", f"{ANNA}-3"]


@pytest.mark.parametrize("cursor", ["x", "1~", "~a~", "x~a~b", "²~a~b"])
def test_other_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InputError, match="the cursor of an earlier answer"):
        find(FakeList("a"), person=ANNA, after=cursor)


@pytest.mark.parametrize(
    ("name", "kind", "caller"),
    [
        (f"{ANNA}-order-4711", "create", ANNA),
        (f"{ANNA}-{UUID}", "create", ANNA),
        (naming.upkeep_run("delete_folder", ANNA, "0" * 32), "delete", ANNA),
        (naming.upkeep_run("restore_image", ANNA, "0" * 32), "restore", ANNA),
        (naming.upkeep_run("unshare_image", ANNA, "0" * 32), "share", ANNA),
        (naming.upkeep_run("move_image", ANNA, "0" * 32), "move", ANNA),
        (f"delete_image-{UUID}", "delete", None),
        (UUID, "create", None),
        (f"{UUID}_{UUID}", "create", None),
        ("delete_image-by-hand", "create", None),
        ("schedule-2026-11-29T080000Z", "create", None),
        ("spring-2", "create", None),
    ],
)
def test_name_shows_kind_and_caller(name: str, kind: str, caller: str | None) -> None:
    assert (kind_of(name), naming.caller_of(name)) == (kind, caller)
