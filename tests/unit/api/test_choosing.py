"""Choosing among images: favourites, rejected ones, tags, and actions on many at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from easel.contract import naming
from easel.ledger.marks import Change
from tests.support.api import Api, keep_prompt, noted, store_image

CHOSEN = {"favourite": True, "add_tags": ["Spring 27", "sale"]}


@pytest.fixture
def image(api: Api) -> str:
    """Return the id of a stored image."""
    store_image(api, keep_prompt(api, "run-1"))
    return naming.image_id("run-1", 1)


def stored(api: Api, count: int) -> list[str]:
    prompt = keep_prompt(api, "many", choices={"folder_name": "f", "count": count})
    for n in range(1, count + 1):
        store_image(api, prompt, n)
    return [naming.image_id("many", n) for n in range(1, count + 1)]


def test_image_is_marked_and_tagged(api: Api, image: str) -> None:
    answer = api("PATCH", f"/images/{image}", CHOSEN).json
    assert (answer["favourite"], answer["hidden"]) == (True, False)
    assert answer["own_tags"] == ["Spring 27", "sale"]
    shown = api("GET", f"/images/{image}").json
    assert shown["tags"] == ["Spring 27", "sale", "kite"]  # the model's last

    change = {"favourite": False, "hidden": True, "remove_tags": ["sale", "unknown"]}
    answer = api("PATCH", f"/images/{image}", change).json
    assert (answer["favourite"], answer["hidden"]) == (False, True)
    assert answer["own_tags"] == ["Spring 27"]

    assert api("PATCH", f"/images/{image}", change).json["own_tags"] == ["Spring 27"]
    assert api("GET", "/images").json["images"] == []
    (listed,) = api("GET", "/images", query={"hidden": "all"}).json["images"]
    assert (listed["hidden"], listed["own_tags"]) == (True, ["Spring 27"])


def test_tags_that_differ_in_case_are_one(api: Api, image: str) -> None:
    api("PATCH", f"/images/{image}", {"add_tags": ["Spring"]})
    assert api("PATCH", f"/images/{image}", {"add_tags": ["spring"]}).json["own_tags"] == ["Spring"]
    assert api("PATCH", f"/images/{image}", {"remove_tags": ["SPRING"]}).json["own_tags"] == []


def test_one_change_may_add_and_remove_tags(api: Api, image: str) -> None:
    api("PATCH", f"/images/{image}", {"add_tags": ["old"]})
    change = {"add_tags": ["new"], "remove_tags": ["old"]}
    assert api("PATCH", f"/images/{image}", change).json["own_tags"] == ["new"]


def test_tags_of_several_people_at_once_are_all_kept(api: Api, image: str) -> None:
    def tag(number: int) -> None:
        api.services.marks.change("run-1", 1, Change(add_tags=[f"tag {number}"]))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(tag, range(15)))
    tags = api("GET", f"/images/{image}").json["own_tags"]
    assert sorted(tags) == sorted(f"tag {number}" for number in range(15))


def test_full_image_takes_no_further_tag(api: Api, image: str) -> None:
    full = [f"tag {number}" for number in range(20)]
    api("PATCH", f"/images/{image}", {"add_tags": full})

    assert api("PATCH", f"/images/{image}", {"add_tags": full[:2]}).status == 200
    swap = {"add_tags": ["more"], "remove_tags": [full[0]]}
    assert api("PATCH", f"/images/{image}", swap).status == 200
    api("PATCH", f"/images/{image}", {"add_tags": [full[0]], "remove_tags": ["more"]})
    refused = api("PATCH", f"/images/{image}", {"add_tags": ["more"]})
    assert (refused.status, refused.json["error"]) == (409, "ConflictError")
    assert len(api("GET", f"/images/{image}").json["own_tags"]) == 20


def test_deleted_image_is_not_marked(api: Api, image: str) -> None:
    key = api("GET", f"/images/{image}").json["key"]
    api.services.ledger.mark_deleted("run-1", 1, key=key)

    assert api("PATCH", f"/images/{image}", CHOSEN).status == 409
    answer = api("POST", "/images/changes", {"ids": [image]} | CHOSEN).json
    assert (answer["changed"], answer["failed"][0]["error"]) == (0, "NotFoundError")


def test_many_images_are_changed_and_the_rest_is_named(api: Api) -> None:
    ids = stored(api, 3)
    unknown = "0123456789abcdef-1"

    answer = api("POST", "/images/changes", {"ids": [*ids, unknown]} | CHOSEN).json

    assert (answer["changed"], [each["id"] for each in answer["failed"]]) == (3, [unknown])
    listed = api("GET", "/images").json["images"]
    assert [each["own_tags"] for each in listed] == [["Spring 27", "sale"]] * 3


def test_change_costs_three_calls_of_the_table(api: Api, image: str) -> None:
    with noted(api) as calls:
        api("POST", "/images/changes", {"ids": [image]} | CHOSEN)
    assert sorted(calls) == ["GetItem", "Query", "TransactWriteItems"]


@pytest.mark.parametrize("action", ["delete", "restore", "unshare", "move"])
def test_action_starts_one_run_for_all(api: Api, action: str) -> None:
    ids = stored(api, 2)
    body: dict[str, Any] = {"ids": ids, "action": action}
    answer = api("POST", "/images/actions", body | ({"folder": "ads"} if action == "move" else {}))

    assert answer.status == 202
    (execution,) = api.executions()
    started = api.states.describe_execution(executionArn=execution["executionArn"])
    sent = json.loads(started["input"])
    assert (sent["action"], sent["image_ids"]) == (f"{action}_image", ids)
    assert sent.get("confirm") is (True if action == "delete" else None)
    assert sent.get("to_folder") == ("ads" if action == "move" else None)


def test_image_moves_by_its_id(api: Api, image: str) -> None:
    assert api("POST", f"/images/{image}/move", {"folder": "ads"}).status == 202
    (execution,) = api.executions()
    started = api.states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(started["input"])["image_id"] == image


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("changes", {"favourite": True}, "ids"),
        ("changes", {"ids": ["0123456789abcdef-1"] * 1_001, "favourite": True}, "ids"),
        ("changes", {"ids": [], "favourite": True}, "ids"),
        ("changes", {"ids": ["x"], "favourite": True}, "ids"),
        ("changes", {"ids": ["0123456789abcdef-1"]}, "the body"),
        ("changes", {"ids": ["0123456789abcdef-1"], "favourite": "yes"}, "favourite"),
        ("changes", {"ids": ["0123456789abcdef-1"], "add_tags": ["<b>x</b>"]}, "add_tags"),
        ("changes", {"ids": ["0123456789abcdef-1"], "stars": 5}, "stars"),
        ("actions", {"ids": ["0123456789abcdef-1"]}, "action"),
        ("actions", {"ids": ["0123456789abcdef-1"], "action": "purge"}, "action"),
        ("actions", {"ids": ["0123456789abcdef-1"], "action": "move"}, "folder"),
        ("actions", {"ids": ["0123456789abcdef-1"], "action": "delete", "folder": "x"}, "folder"),
        ("actions", {"ids": ["0123456789abcdef-1"] * 1_001, "action": "delete"}, "ids"),
    ],
)
def test_wrong_choice_changes_nothing(api: Api, path: str, body: Any, field: str) -> None:
    answer = api("POST", f"/images/{path}", body)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert api.executions() == []


def test_lineage_has_the_whole_request(api: Api) -> None:
    request = {"description": "A kite", "style": "flat", "count": 1}
    prompt = keep_prompt(api, "run-1", request=request, person="1f0c9a2e", trigger="page")
    store_image(api, prompt)

    shown = api("GET", f"/images/{naming.image_id('run-1', 1)}").json
    assert (shown["request"], shown["person"], shown["trigger"]) == (request, "1f0c9a2e", "page")
