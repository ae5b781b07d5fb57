"""Pages of results: what matches, their order, cursors, and limits."""

import random
from typing import Any

import pytest

from easel.aws.table import Table
from easel.contract.errors import InputError
from easel.search.leaf import Leaf
from easel.search.query import MAX_WORDS, Query, read_query
from easel.search.search import Search, has_gap
from tests.support.searchable import Searchable, at, cursor_of


@pytest.fixture
def index(table: Table) -> Searchable:
    return Searchable(table, leaf_size=2)


def fill(index: Searchable, count: int) -> list[str]:
    """Store this many images in random order, and return their positions, newest first."""
    seconds = list(range(count))
    random.Random(5).shuffle(seconds)  # noqa: S311 - not a secret
    positions = [
        index.put(
            f"run-{second}",
            n=1 + second % 3,
            title="Zeppelin" if second % 2 else "Boat",
            stored_at=at(second // 2),
        )
        for second in seconds
    ]
    for begin in range(0, count, 50):
        index.indexing.refresh(positions[begin : begin + 50])
    return sorted(map(str, positions), reverse=True)


@pytest.mark.parametrize("limit", [7, 24, 100])
def test_pages_have_every_image_once_newest_first(index: Searchable, limit: int) -> None:
    expected = fill(index, 60)

    pages = index.pages(Query(), limit=limit)

    assert [image for page in pages for image in page] == expected
    assert all(len(page) == limit for page in pages[:-1])


def test_pages_of_matches_are_exact(index: Searchable) -> None:
    expected = [position for position in fill(index, 60) if int(position.split("#")[1][4:]) % 2]

    pages = index.pages(index.query("zeppelin"), limit=7)

    assert [image for page in pages for image in page] == expected


def test_limit_of_leaves_ends_page_with_cursor(index: Searchable) -> None:
    expected = fill(index, 60)
    index.store("run-rare", title="Quagga", stored_at=at(0))
    index.search = Search(index.table, most_leaves=8, sleep=lambda _: None)

    everything = index.pages(Query(), limit=100)
    rare = index.pages(index.query("quagga"), limit=5)

    assert [image for page in everything for image in page if "rare" not in image] == expected
    assert len(everything) > 1
    assert [image for page in rare for image in page] == [f"{at(0)}#run-rare#1"]
    assert len(rare) > 1


class CountingTable(Table):
    """A table that counts the leaves that are read."""

    leaves = 0

    def newest(self, *args: Any, **call: Any) -> list[Any]:
        found = super().newest(*args, **call)
        self.leaves += len(found)
        return found


def leaves_read(index: Searchable, query: Query) -> int:
    """Return how many leaves the first page of a query reads."""
    table = CountingTable(index.table._client, name=index.table._name)
    Search(table).page(query, after=None, limit=5)
    return table.leaves


def test_search_reads_only_the_leaves_that_it_needs(index: Searchable) -> None:
    fill(index, 150)
    late = {"from": "2026-11-24T00:01:00Z", "to": "2026-11-24T00:01:02Z"}

    total = len(index.all_leaves())
    assert leaves_read(index, Query()) <= 8 * 2 < total / 2
    assert leaves_read(index, index.query("quagga")) == total
    assert leaves_read(index, index.query("quagga", **late)) < total / 2
    assert leaves_read(index, index.query("quagga", to="2026-11-24T00:00:20Z")) < total / 2


def test_words_are_beginnings_and_all_must_match(index: Searchable) -> None:
    index.store("run-1", title="Red kite")
    index.store("run-2", title="Red boat", prompt={"text": "at sea"})

    assert index.find("kit") == ["run-1"]
    assert index.find("red kite") == ["run-1"]
    assert index.find("ite") == []
    assert sorted(index.find("re")) == ["run-1", "run-2"]


def test_facts_filter_results(index: Searchable) -> None:
    index.store("run-1", favourite=True, tags=["Winter Sport"], stored_at=at(1))
    index.store("run-2", share="s", shared_at="t", model="gpt-image-1", stored_at=at(2))
    index.store("run-3", prompt={"person": "1f0c9a2e", "trigger": "batch"}, stored_at=at(3))
    index.store("run-4", hidden=True, stored_at=at(4))

    assert index.find() == ["run-3", "run-2", "run-1"]
    assert index.find(favourite=True) == ["run-1"]
    assert index.find(favourite=False) == ["run-3", "run-2"]
    assert index.find(tag="WINTER  sport") == ["run-1"]
    assert index.find(tag="winter") == []
    assert index.find(shared=True) == ["run-2"]
    assert index.find(model="gpt-image-1") == ["run-2"]
    assert index.find(person="1f0c9a2e") == ["run-3"]
    assert index.find(batch=True) == ["run-3"]
    assert index.find(batch=False) == ["run-2", "run-1"]
    assert index.find(hidden="yes") == ["run-4"]
    assert index.find(hidden="all") == ["run-4", "run-3", "run-2", "run-1"]


def test_facts_are_not_words(index: Searchable) -> None:
    index.store("run-1", favourite=True)

    for word in ("is", "favourite", "model", "is:favourite", ":is:favourite"):
        assert index.find(word) == []


def test_dates_are_included(index: Searchable) -> None:
    for day in range(1, 8):
        index.store(f"run-{day}", stored_at=f"2026-11-0{day}T23:59:59.999999Z")

    query = {"from": "2026-11-03", "to": "2026-11-05"}
    assert index.find(**query) == ["run-5", "run-4", "run-3"]
    assert index.find(**{"from": "2026-11-07T23:59:59.999999Z"}) == ["run-7"]
    assert index.find(to="2026-11-01T23:59:59.999999Z") == ["run-1"]
    assert index.find(to="2026-11-02T00:59:59.999999+01:00") == ["run-1"]
    assert index.find(**{"from": "2027-01-01"}) == []


def test_image_that_changed_since_is_left_out(index: Searchable) -> None:
    index.store("run-1", stored_at=at(1))
    index.store("run-2", stored_at=at(2))
    index.put("run-1", stored_at=at(1), status="deleted")
    index.put("run-2", stored_at=at(2), hidden=True)

    assert index.find("kite") == []


def test_images_of_a_page_have_their_prompts(index: Searchable) -> None:
    index.store("run-1", prompt={"text": "A kite over a lake"})

    page = index.search.page(index.query("lake"), after=None, limit=5)

    assert page.prompts["run-1"].text == "A kite over a lake"


@pytest.mark.parametrize("cursor", ["x", "e30=", "🎨", "MA=="])
def test_forged_cursor_is_refused(index: Searchable, cursor: str) -> None:
    with pytest.raises(InputError, match="cursor is"):
        index.search.page(Query(), after=cursor, limit=5)


def test_cursor_continues_after_its_image(index: Searchable) -> None:
    first = index.store("run-1", stored_at=at(1))
    second = index.store("run-2", stored_at=at(2))

    page = index.search.page(Query(), after=cursor_of(second), limit=5)

    assert [image.run_id for image in page.images] == [first.run_id]


def test_deleted_image_as_cursor_still_works(index: Searchable) -> None:
    index.store("run-1", stored_at=at(1))
    second = index.store("run-2", stored_at=at(2))
    index.store("run-2", stored_at=at(2), status="deleted")

    page = index.search.page(Query(), after=cursor_of(second), limit=5)

    assert [image.run_id for image in page.images] == ["run-1"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"q": "x" * 10_000}, "q is a text of 10,000 characters; allowed: text of 1 to 200"),
        ({"q": "—!?"}, "q is a text of 3 characters; allowed: text with at least one letter"),
        ({"q": " "}, "q is a text of 1 character; allowed: text of 1 to 200"),
        ({"from": "yesterday"}, 'from is "yesterday"; allowed: a date such as 2026-11-24'),
        ({"to": "2026-13-01"}, 'to is "2026-13-01"; allowed: a date'),
        ({"to": "9999-12-31"}, 'to is "9999-12-31"; allowed: a date'),
        ({"person": "anna"}, 'person is "anna"; allowed: 8 characters from 0-9 a-f'),
        ({"favourite": "maybe"}, 'favourite is "maybe"; allowed: true or false'),
        ({"hidden": "some"}, 'hidden is "some"; allowed: no'),
    ],
)
def test_wrong_parameter_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_query(parameters)

    assert message in str(refused.value)


def test_longest_query_is_accepted() -> None:
    assert len(read_query({"q": "a " * (MAX_WORDS // 2)}).words) == 1


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([("5", "~"), ("3", "5"), ("0", "3")], False),
        ([("3", "5"), ("0", "3")], True),
        ([("5", "~"), ("0", "3")], True),
        ([("5", "~"), ("0", "7")], False),
    ],
)
def test_gap_between_leaves_is_noticed(ranges: list[tuple[str, str]], expected: bool) -> None:
    leaves = [Leaf(start=start, until=until, version=1, data=b"") for start, until in ranges]

    assert has_gap(leaves, "~") is expected


def test_gap_is_read_again(index: Searchable) -> None:
    expected = fill(index, 60)
    lagging = {"shards": 8}
    table = index.table

    class Stale(Table):
        """A table whose first read of each shard does not see the newest leaf."""

        def newest(self, pk: str, *, consistent: bool = True, **call: Any) -> list[Any]:
            found = table.newest(pk, consistent=consistent, **call)
            if not consistent and lagging["shards"]:
                lagging["shards"] -= 1
                return found[1:]
            return found

    search = Search(Stale(table._client, name=table._name), sleep=lambda _: None)
    page = search.page(Query(), after=None, limit=60)

    assert [f"{image.stored_at}#{image.run_id}#{image.n}" for image in page.images] == expected
