"""Presets and the prompt first, in the API."""

import json
from typing import Any

import pytest

from easel.contract import naming
from easel.ledger.presets import Presets
from tests.support.api import Api, keep_prompt, store_image

BRAND = {"style": "flat", "size": "1536x1024", "avoid": ["text"]}


def test_preset_is_made_listed_used_and_deleted(api: Api) -> None:
    store_image(api, keep_prompt(api, "run-1"))
    example = naming.image_id("run-1", 1)
    made = api("PUT", "/presets/brand", {"fields": BRAND | {"tags": None}, "example": example})
    assert (made.json["fields"], made.json["declared"]) == (BRAND, False)
    assert "thumbnails/" in made.json["thumbnail"]
    assert [each["name"] for each in api("GET", "/presets").json["presets"]] == ["brand"]

    estimate = api("POST", "/estimate", {"preset": "brand", "topic": "Sport"}).json
    assert (estimate["request"]["size"], estimate["request"]["style"]) == ("1536x1024", "flat")
    assert api.run({"preset": "brand"}).status == 202

    assert api("DELETE", "/presets/brand").json == {"name": "brand"}
    assert api("DELETE", "/presets/brand").status == 404
    assert api("GET", "/presets").json["presets"] == []


def test_deleted_example_has_no_thumbnail(api: Api) -> None:
    key = store_image(api, keep_prompt(api, "run-1"))
    example = naming.image_id("run-1", 1)
    api("PUT", "/presets/brand", {"fields": BRAND, "example": example})
    api.services.ledger.mark_deleted("run-1", 1, key=key)

    (shown,) = api("GET", "/presets").json["presets"]
    assert (shown["example"], shown["thumbnail"]) == (example, None)


@pytest.mark.parametrize(
    ("name", "body", "status", "field"),
    [
        ("brand", {"fields": {"preset": "brand"}}, 400, "fields.preset"),
        ("brand", {"fields": {"prompt": "x"}}, 400, "fields.prompt"),
        ("brand", {"fields": {}}, 400, "fields"),
        ("brand", {"fields": None}, 400, "fields"),
        ("brand", {"fields": {"size": "1x1"}}, 400, "size"),
        ("brand", {"fields": {"crop": "center"}}, 400, "crop"),
        ("brand", {"fields": BRAND, "example": "x"}, 400, "example"),
        ("brand", {"fields": BRAND, "example": "0123456789abcdef-1"}, 404, None),
        ("Brand", {"fields": BRAND}, 400, "name"),
        ("brand", {"fields": BRAND, "colour": "red"}, 400, "colour"),
    ],
)
def test_wrong_preset_is_refused(
    api: Api, name: str, body: Any, status: int, field: str | None
) -> None:
    answer = api("PUT", f"/presets/{name}", body)
    assert (answer.status, answer.json.get("field")) == (status, field)
    assert api("GET", "/presets").json["presets"] == []


def test_unknown_preset_names_the_known_ones(api: Api) -> None:
    api("PUT", "/presets/brand", {"fields": BRAND})
    answer = api.run({"preset": "brnad"})
    assert (answer.status, answer.json["field"]) == (400, "preset")
    assert "one of the presets: brand" in answer.json["detail"]
    assert api.executions() == []


def test_declared_preset_is_shown_and_kept(api: Api) -> None:
    declared = Presets(api.table, {"house": BRAND})
    assert declared.expand({"preset": "house"})[1] == BRAND
    api.services.configure(presets={"house": BRAND})

    assert api("GET", "/presets").json["presets"][0]["declared"] is True
    assert api("PUT", "/presets/house", {"fields": BRAND}).status == 409
    assert api("DELETE", "/presets/house").status == 409


def written(api: Api) -> str:
    """Leave an ended run that has only written its prompt, and return its id."""
    body = {"topic": "Sport", "count": 2, "only_prompt": True}
    run_id = str(api.run(body).json["id"])
    choices = {"folder_name": "f", "file_name": "image_{n}", "count": 2}
    keep_prompt(api, run_id, choices=choices, text="A red kite " * 150)
    api.states.stop_execution(executionArn=api.executions()[0]["executionArn"])
    return run_id


def test_written_prompt_is_shown_whole_with_its_price(api: Api) -> None:
    run = api("GET", f"/runs/{written(api)}").json

    assert run["written_prompt"] == "A red kite " * 150
    assert len(run["prompt"]) == 1_000
    assert 0 < run["paint_usd"] < run["estimate_usd"] * 3
    steps = {step["step"]: (step["status"], step["of"]) for step in run["steps"]}
    assert (steps["image"][1], steps["upload"][1]) == (0, 0)


def test_paint_starts_the_same_run_again(api: Api) -> None:
    run_id = written(api)
    answer = api("POST", f"/runs/{run_id}/paint", {"prompt": "A blue kite"})

    assert (answer.status, answer.json["run_id"]) == (202, run_id)
    inputs = [
        json.loads(api.states.describe_execution(executionArn=each["executionArn"])["input"])
        for each in api.executions()
    ]
    painting = next(each for each in inputs if "edited_prompt" in each)
    assert painting["edited_prompt"] == "A blue kite"
    assert (painting["request_id"], painting["count"]) == (run_id, 2)
    assert "only_prompt" not in painting


def test_only_the_starter_is_charged_for_painting(api: Api) -> None:
    run_id = written(api)
    refused = api("POST", f"/runs/{run_id}/paint", {"prompt": "A blue kite"}, sub="ben")
    assert (refused.status, refused.json["error"]) == (409, "ConflictError")
    assert len(api.executions()) == 1


def test_painted_run_takes_no_other_prompt(api: Api) -> None:
    run_id = written(api)
    prompt = api.services.ledger.prompt(run_id)
    assert prompt
    store_image(api, prompt)

    assert api("GET", f"/runs/{run_id}").json["written_prompt"] is None
    refused = api("POST", f"/runs/{run_id}/paint", {"prompt": "A blue kite"})
    assert (refused.status, refused.json["error"]) == (409, "ConflictError")
    assert api("POST", f"/runs/{run_id}/paint").status == 202
    store_image(api, prompt, 2)
    painted = api("POST", f"/runs/{run_id}/paint", {})
    assert (painted.status, "is painted already" in painted.json["detail"]) == (409, True)


@pytest.mark.parametrize(("body", "field"), [({"prompt": " "}, "prompt"), ({"x": 1}, "x")])
def test_wrong_paint_is_refused(api: Api, body: Any, field: str) -> None:
    answer = api("POST", f"/runs/{written(api)}/paint", body)
    assert (answer.status, answer.json["field"]) == (400, field)
    assert len(api.executions()) == 1


def test_run_without_a_prompt_is_not_painted(api: Api) -> None:
    run_id = str(api.run({"only_prompt": True}).json["id"])
    assert api("POST", f"/runs/{run_id}/paint", {}).status == 409
    api.states.stop_execution(executionArn=api.executions()[0]["executionArn"])
    assert "has no prompt yet" in api("POST", f"/runs/{run_id}/paint", {}).json["detail"]
