"""Estimates: they match what the run reserves, and show what is left of the month's budget."""

from datetime import date
from typing import Any

import pytest

from easel.request import request
from easel.request.estimate import quote
from easel.request.references import NO_INPUTS
from tests.support.api import Api
from tests.support.services import request_settings, reserve

REQUESTS: list[dict[str, Any]] = [
    {},
    {"count": 10, "size": "1536x1024", "quality": "high"},
    {"description": "our new teapot", "style": "watercolour"},
    {"prompt": "🎨" * 5_000},
    {"topics": ["a", "b" * 200]},
]


@pytest.mark.parametrize("fields", REQUESTS)
def test_estimate_is_never_below_the_reservation(api: Api, fields: dict[str, Any]) -> None:
    settings, today = request_settings(), date(2026, 11, 24)
    parsed = request.parse(fields, settings, today=today)
    estimate = api("POST", "/estimate", fields).json["estimate_usd"]
    for seed in range(20):
        topic = parsed.pick_topic(str(seed))
        reserved = quote(parsed, topic, settings, today=today, inputs=NO_INPUTS).total()
        assert reserved is not None
        assert reserved / 1e6 <= estimate <= 1.01 * reserved / 1e6


def test_prompt_alone_has_its_own_price(api: Api) -> None:
    whole = api("POST", "/estimate", {"count": 3}).json
    first = api("POST", "/estimate", {"count": 3, "only_prompt": True}).json

    assert 0 < whole["prompt_usd"] < whole["estimate_usd"] / 2
    assert first["estimate_usd"] == first["prompt_usd"] == whole["prompt_usd"]
    assert api("POST", "/estimate", {"prompt": "A kite"}).json["prompt_usd"] == 0


def test_query_and_body_estimates_agree(api: Api) -> None:
    fields = {
        "count": 3,
        "topics": ["Sport", "Art"],
        "output_format": "jpeg",
        "output_compression": 50,
        "dry_run": True,
    }
    query = {
        "count": "3",
        "topics": "Sport,Art",
        "output_format": "jpeg",
        "output_compression": "50",
        "dry_run": "true",
    }
    assert api("GET", "/estimate", query=query).json == api("POST", "/estimate", fields).json


def test_estimate_shows_request_and_models(api: Api) -> None:
    view = api("POST", "/estimate", {}).json
    assert view["request"]["folder_name"] == "my_s3_folder"
    assert view["request"]["topics"] == ["Education", "Science", "Sport", "Economy", "Health"]
    flare = next(model for model in view["models"] if model["name"] == "gpt-image-2.6-flare")
    assert flare["qualities"] == ["low", "medium", "high"]
    assert flare["backgrounds"] == ["auto", "opaque", "transparent"]
    assert flare["sizes"] == {
        "least_pixels": 655_360,
        "most_pixels": 8_294_400,
        "longest_edge": 3_840,
        "ratio": 3,
        "step": 16,
    }


def test_refused_size_comes_with_nearest_sizes(api: Api) -> None:
    problem = api("POST", "/estimate", {"size": "1200x630"})
    assert (problem.status, problem.json["field"]) == (400, "size")
    assert problem.json["nearest"] == ["1200x640", "1184x624"]


def test_estimate_shows_remaining_budget_and_fit(api: Api) -> None:
    view = api("POST", "/estimate", {"count": 1}).json
    assert view["budget"] == {
        "month": "2026-11",
        "cap_usd": 1,
        "spent_usd": 0,
        "reserved_usd": 0,
        "left_usd": 1,
    }
    assert view["fits"]

    reserve(api.services.ledger, 400_000, month="2026-11")
    budget = api("POST", "/estimate", {}).json["budget"]
    assert (budget["spent_usd"], budget["reserved_usd"], budget["left_usd"]) == (0, 0.4, 0.6)

    api.services.ledger.budget.set_cap("2026-11", 10)
    view = api("POST", "/estimate", {}).json
    assert (view["fits"], view["budget"]["left_usd"]) == (False, 0)

    api.services.ledger.budget.set_cap("2026-11", 0)
    assert not api("POST", "/estimate", {"prompt": "x", "quality": "low"}).json["fits"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"count": "0"}, "count"),
        ({"count": "three"}, "count"),
        ({"dry_run": "x"}, "dry_run"),
        ({"q": "1"}, "q"),
    ],
)
def test_wrong_parameter_is_named(api: Api, query: dict[str, str], field: str) -> None:
    answer = api("GET", "/estimate", query=query)
    assert (answer.status, answer.json["field"]) == (400, field), query
