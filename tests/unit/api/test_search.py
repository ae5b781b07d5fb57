"""The search of the API: its parameters, its errors, and hidden images in the gallery."""

import json
from datetime import timedelta
from typing import Any

import pytest

from easel.ledger.marks import Change, Marks
from easel.search.document import Position
from easel.search.indexing import Indexing
from functions.api.openapi import describe
from tests.support.api import Api, keep_prompt, noted, store_image
from tests.support.services import NOW


def store(api: Api, run_id: str, *, second: int = 0, **image: Any) -> None:
    """Store an image with further fields in its record, and index it."""
    prompt = keep_prompt(api, run_id, folder=image.pop("folder", "cats"), **image.pop("prompt", {}))
    store_image(api, prompt, at=NOW + timedelta(seconds=second))
    change(api, run_id, **image)


def change(api: Api, run_id: str, **fields: Any) -> None:
    """Change fields of an image's record, and index it."""
    item = api.table.get(f"run#{run_id}", "image#1")
    assert item is not None
    api.table.write(api.table.put(item | fields))
    Indexing(api.table).refresh([Position.of(item)])


def found(api: Api, **query: str) -> list[str]:
    answer = api("GET", "/images", query=query)
    assert answer.status == 200, answer.text
    return [image["run_id"] for image in answer.json["images"]]


def test_words_find_images_newest_first(api: Api) -> None:
    store(api, "run-1", prompt={"text": "A café by the lake"}, second=1)
    store(api, "run-2", prompt={"text": "A red kite"}, second=2)
    store(api, "run-3", prompt={"text": "Cafés in spring"}, second=3)

    assert found(api, q="CAFE") == ["run-3", "run-1"]
    assert found(api, q="cafe lak") == ["run-1"]


def test_pages_of_search_continue_by_cursor(api: Api) -> None:
    for second in range(5):
        store(api, f"run-{second}", second=second)
    seen: list[str] = []
    cursor = None

    for _ in range(3):
        query = {"q": "kite", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api("GET", "/images", query=query).json
        seen += [image["run_id"] for image in page["images"]]
        cursor = page["cursor"]

    assert seen == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert cursor is None


def test_filters_combine(api: Api) -> None:
    store(api, "run-1", favourite=True, folder="cats", second=1)
    store(api, "run-2", favourite=True, folder="dogs", second=2)
    store(api, "run-3", folder="cats", tags=["Spring"], second=3)

    assert found(api, favourite="true", folder="cats") == ["run-1"]
    assert found(api, favourite="false") == ["run-3"]
    assert found(api, tag="spring", topic="Sport") == ["run-3"]
    assert found(api, tag="spring", topic="Health") == []
    assert found(api, **{"from": "2026-11-25"}) == []


def test_hidden_images_are_left_out_by_default(api: Api) -> None:
    store(api, "run-1", second=1)
    store(api, "run-2", hidden=True, second=2)

    assert found(api) == ["run-1"]
    assert found(api, q="kite") == ["run-1"]
    assert found(api, hidden="yes") == ["run-2"]
    assert found(api, hidden="all") == ["run-2", "run-1"]
    assert found(api, q="kite", hidden="all") == ["run-2", "run-1"]


def test_marks_of_people_are_searched(api: Api) -> None:
    store(api, "run-1")
    marks = Marks(api.table)
    marks.change("run-1", 1, Change(favourite=True, add_tags=["Spring Sale"]))
    change(api, "run-1")

    assert found(api, favourite="true", tag="spring sale", q="sale") == ["run-1"]

    marks.change("run-1", 1, Change(favourite=False, hidden=True, remove_tags=["Spring Sale"]))
    change(api, "run-1")

    assert found(api, q="kite") == []
    assert found(api, q="kite", hidden="yes", favourite="false") == ["run-1"]
    assert found(api, q="sale", hidden="all") == []


def test_gallery_pages_stay_full_without_hidden_images(api: Api) -> None:
    for second in range(12):
        hidden = {"hidden": True} if 2 <= second < 8 else {}
        store(api, f"run-{second}", second=second, **hidden)
    pages, cursor = [], None

    while True:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = api("GET", "/images", query=query).json
        pages.append([image["run_id"] for image in page["images"]])
        cursor = page["cursor"]
        if cursor is None:
            break

    assert pages == [["run-11", "run-10", "run-9"], ["run-8", "run-1", "run-0"]]


def test_many_hidden_images_end_page_with_cursor(api: Api) -> None:
    for second in range(14):
        store(api, f"run-{second}", second=second, **({"hidden": True} if second else {}))

    page = api("GET", "/images", query={"limit": "1"}).json
    rest = api("GET", "/images", query={"limit": "1", "cursor": page["cursor"]}).json

    assert page["images"] == []
    assert [image["run_id"] for image in rest["images"]] == ["run-0"]


@pytest.mark.parametrize(
    ("query", "field", "detail"),
    [
        ({"q": "x" * 10_000}, "q", "a text of 10,000 characters; allowed: text of 1 to 200"),
        ({"q": "?!"}, "q", "allowed: text with at least one letter or digit"),
        ({"q": ""}, "q", "a text of 0 characters"),
        ({"from": "soon"}, "from", 'from is "soon"; allowed: a date such as'),
        ({"person": "anna"}, "person", "8 characters from 0-9 a-f"),
        ({"favourite": "1"}, "favourite", "true or false"),
        ({"hidden": "maybe"}, "hidden", "no | yes | all"),
        ({"q": "kite", "cursor": "x"}, "cursor", "the cursor of an earlier answer"),
        ({"q": "kite", "status": "deleted"}, "status", "q searches stored images only"),
        ({"query": "kite"}, "query", "there is no such parameter"),
    ],
)
def test_wrong_parameter_is_explained(
    api: Api, query: dict[str, str], field: str, detail: str
) -> None:
    answer = api("GET", "/images", query=query)

    assert (answer.status, answer.json["error"]) == (400, "InputError")
    assert answer.json["field"] == field
    assert detail in answer.json["detail"]
    assert "x" * 20 not in answer.text


def test_deleted_images_are_listed_with_hidden_ones(api: Api) -> None:
    store(api, "run-1", hidden=True)
    api.services.ledger.mark_deleted("run-1", 1, key="cats/image_run-1_1.png")

    assert found(api, status="deleted") == ["run-1"]


def test_gallery_without_search_never_reads_the_index(api: Api) -> None:
    store(api, "run-1")

    with noted(api) as calls:
        found(api, folder="cats")

    assert calls == ["Query", "BatchGetItem"]


def test_description_lists_search_parameters(api: Api) -> None:
    from functions.api.handler import RESOLVER

    operation = describe(RESOLVER)["paths"]["/images"]["get"]

    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert {"q", "from", "to", "person", "model", "tag", "hidden"} <= set(parameters)
    assert parameters["q"]["schema"]["maxLength"] == 200
    assert parameters["hidden"]["schema"]["enum"] == ["no", "yes", "all"]
    assert json.dumps(operation)
