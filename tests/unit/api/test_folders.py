"""The folders' routes: pages, prefixes, names, and the reads that they take."""

from typing import Any

import pytest

from easel.ledger.folders import DIGITS, counter_key
from tests.support.api import Api, noted


def count(api: Api, folder: str, *, digits: str = DIGITS, images: int = 1) -> None:
    """Write a folder's counters, as stored images leave them."""
    keys = (counter_key(folder, digit) for digit in digits)
    counts: dict[str, Any] = {"pictures": images, "bytes": 10 * images}
    for pk, sk in keys:
        item = api.table.put({"pk": pk, "sk": sk} | counts)["Put"]
        api.dynamodb.put_item(**item)  # the emulator's transactions copy the whole table


def pages(api: Api, **query: str) -> list[list[str]]:
    """Return the names on all pages."""
    names: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = api("GET", "/folders", query=query | ({"cursor": cursor} if cursor else {})).json
        names.append([folder["name"] for folder in page["folders"]])
        if (cursor := page["cursor"]) is None:
            return names


def test_folders_are_paged_by_name(api: Api) -> None:
    names = [f"folder {number:02}" for number in range(7)]
    for name in names:
        count(api, name)

    assert pages(api, limit="3") == [names[:3], names[3:6], names[6:]]
    assert pages(api) == [names]
    first = api("GET", "/folders", query={"limit": "1"}).json["folders"]
    assert first == [{"name": names[0], "count": 16, "bytes": 160}]


@pytest.mark.parametrize("limit", ["1", "2", "5", "100"])
def test_names_with_hashes_are_listed_once(api: Api, limit: str) -> None:
    """The counters of these folders are between each other's."""
    counters = {
        "a": "01f",
        "a#0": "3",
        "a#0b": DIGITS,
        "a#0b#0": "7",
        "a#1": "0",
        "a#10": "af",
        "a#1#0": "0",
        "a b": DIGITS,
        "a#2#2": "2",
        "b": "f",
    }
    for name, digits in counters.items():
        count(api, name, digits=digits)

    listed: dict[str, int] = {}
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = api("GET", "/folders", query=query).json
        assert not listed.keys() & {folder["name"] for folder in page["folders"]}
        listed |= {folder["name"]: folder["count"] for folder in page["folders"]}
        cursor = page["cursor"]

    assert listed == {name: len(digits) for name, digits in counters.items()}


def test_prefix_and_name_select_folders(api: Api) -> None:
    for name in ("ads", "ads/mai", "ads/märz", "adsense", "Ads", "zoo"):
        count(api, name, digits="4")

    assert pages(api, prefix="ads", limit="2") == [["ads", "ads/mai"], ["ads/märz", "adsense"]]
    assert pages(api, prefix="ads/") == [["ads/mai", "ads/märz"]]
    assert pages(api, prefix="ads/ma\u0308") == [["ads/märz"]]
    assert pages(api, name="ads") == [["ads"]]
    assert pages(api, name="ad") == [[]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "bm90aGluZw=="}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"limit": "101"}, "limit"),
        ({"prefix": "é" * 600}, "prefix"),
        ({"name": "a//b"}, "name"),
        ({"name": "a", "prefix": "a"}, "prefix"),
        ({"q": "a"}, "q"),
    ],
)
def test_wrong_parameter_is_refused(api: Api, query: dict[str, str], field: str) -> None:
    answer = api("GET", "/folders", query=query)
    assert (answer.status, answer.json["field"]) == (400, field)


def test_empty_folders_are_left_out(api: Api) -> None:
    for number in range(50):
        count(api, f"empty {number:02}", images=0)
    count(api, "full")

    listed = pages(api, limit="1")

    assert [name for page in listed for name in page] == ["full"]
    assert len(listed) > 1


@pytest.mark.parametrize("folders", [3, 40])
def test_reads_do_not_grow_with_folders(api: Api, folders: int) -> None:
    for number in range(folders):
        count(api, f"folder {number:02}")

    with noted(api) as calls:
        api("GET", "/folders", query={"limit": "2"})
        query = {"name": "folder 02", "confirm": "true"}
        assert api("DELETE", "/folders", query=query).status == 202

    assert calls == ["Query", "BatchGetItem"]


def test_delete_finds_folders_below(api: Api) -> None:
    for number in range(30):
        count(api, f"ads/{number:02}", images=0)
    query = {"name": "ads", "confirm": "true"}
    with noted(api) as calls:
        assert api("DELETE", "/folders", query=query).status == 404
    assert calls == ["BatchGetItem", "Query"]

    count(api, "ads/spring/best", digits="e")

    assert api("DELETE", "/folders", query=query).status == 202
