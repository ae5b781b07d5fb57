from datetime import date
from typing import Any

import pytest

from cli.models import wrong_facts
from easel.contract.errors import ModelRetiredError
from easel.request import models
from local.fake_openai.requests import output_tokens


@pytest.mark.parametrize(
    ("model", "quality", "published_usd"),
    [
        ("gpt-image-2", "low", 0.006),
        ("gpt-image-2", "medium", 0.053),
        ("gpt-image-2", "high", 0.211),
        ("gpt-image-2.5-flare", "low", 0.006),
        ("gpt-image-2.5-flare", "medium", 0.013),
        ("gpt-image-2.5-flare", "high", 0.053),
    ],
)
def test_estimate_bounds_published_price_closely(
    model: str, quality: str, published_usd: float
) -> None:
    estimate = models.estimate_image(model, prompt="", size="1024x1024", quality=quality)
    assert estimate is not None
    assert published_usd * 1_000_000 <= estimate <= 1.2 * published_usd * 1_000_000


def test_larger_image_can_cost_less() -> None:
    square = models.estimate_image("gpt-image-2", prompt="", size="1024x1024", quality="high")
    wide = models.estimate_image("gpt-image-2", prompt="", size="1536x1024", quality="high")

    assert square is not None
    assert wide is not None
    assert wide < square


def test_auto_counts_as_most_expensive_choice() -> None:
    every = [
        models.estimate_image("gpt-image-2.6-flare", prompt="p", size=size, quality=quality) or 0
        for size in models.STANDARD_SIZES
        for quality in ("low", "medium", "high")
    ]
    assert models.estimate_image(
        "gpt-image-2.6-flare", prompt="p", size="auto", quality="auto"
    ) == max(every)


def test_unknown_price_is_never_zero() -> None:
    assert models.estimate_image("my-own-model", prompt="p", size="auto", quality="auto") is None
    assert models.image_cost("gpt-image-2.6-flare", None) is None
    assert models.image_cost("gpt-image-2.6-flare", {"total_tokens": 3}) is None
    assert models.chat_cost("my-own-model", {"prompt_tokens": 1}) is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"output_tokens": None},
        {"output_tokens": -5},
        {"output_tokens": True},
        {"output_tokens": "430"},
        {"output_tokens": 0, "input_tokens": 0},
        {"output_tokens": 0, "input_tokens": 20},
        {"output_tokens": 430, "input_tokens": 0},
        {"output_tokens": 430},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 100, "completion_tokens": None},
        {"prompt_tokens": 100},
        {"completion_tokens": 100},
        {"prompt_tokens": None},
        {"prompt_tokens": -1},
        {"prompt_tokens": "3"},
    ],
)
def test_meaningless_usage_is_an_unknown_cost(usage: Any) -> None:
    assert models.image_cost("gpt-image-2.6-flare", usage) is None
    assert models.chat_cost("gpt-6-luna", usage) is None


@pytest.mark.parametrize(
    "details", [None, [], {}, {"text_tokens": None, "image_tokens": None}, {"text_tokens": "10"}]
)
def test_odd_usage_details_keep_the_sum(details: Any) -> None:
    usage = {"input_tokens": 10, "input_tokens_details": details, "output_tokens": 100}
    assert models.image_cost("gpt-image-2.6-flare", usage) == 10 * 5 + 100 * 30


def test_missing_usage_details_still_settle() -> None:
    assert (
        models.image_cost("gpt-image-2.6-flare", {"input_tokens": 10, "output_tokens": 100})
        == 10 * 5 + 100 * 30
    )

    details = {"text_tokens": 4, "image_tokens": 6}
    usage = {"input_tokens": 10, "input_tokens_details": details, "output_tokens": 100}
    assert models.image_cost("gpt-image-2.6-flare", usage) == 4 * 5 + 6 * 8 + 100 * 30
    assert models.chat_cost("gpt-6-luna", {"prompt_tokens": 100, "completion_tokens": 10}) == 15


def test_model_is_refused_from_its_last_day() -> None:
    models.check_not_retired("gpt-image-1.5", today=date(2026, 11, 30))
    with pytest.raises(ModelRetiredError, match=r"use gpt-image-2\.6-flare"):
        models.check_not_retired("gpt-image-1.5", today=date(2026, 12, 1))


def test_average_estimate_slightly_exceeds_the_bill() -> None:
    """The average covers all sizes and qualities. The chat model writes half of the prompts.

    The bill follows OpenAI's formula.
    """
    words = (
        "A red kite over a school yard, a wide view, soft morning light, calm and clear, children "
        "running across the wet grass. " * 4
    )
    bounds = bills = 0
    for size in models.STANDARD_SIZES:
        for quality in ("low", "medium", "high"):
            width, height = map(int, size.split("x"))
            output = output_tokens(quality, width, height)
            usage = {"output_tokens": output, "input_tokens": len(words) // 4}
            bill = models.image_cost("gpt-image-2.6-flare", usage) or 0
            chat = (
                models.chat_cost("gpt-6-luna", {"prompt_tokens": 300, "completion_tokens": 200})
                or 0
            )
            chat_bound = sum(
                models.estimate_chat("gpt-6-luna", messages="x" * 1_300, attempt=attempt) or 0
                for attempt in (1, 2)
            )
            for prompt, call, cost in ((words, 0, 0), (None, chat_bound, chat)):
                bound = (
                    models.estimate_image(
                        "gpt-image-2.6-flare", prompt=prompt, size=size, quality=quality
                    )
                    or 0
                ) + call
                assert bound >= bill + cost
                bounds, bills = bounds + bound, bills + bill + cost
    assert bounds / bills <= 1.3


def test_economy_costs_half() -> None:
    whole, half = (
        models.estimate_image(
            "gpt-image-2.6-flare", prompt="p", size="1024x1024", quality="low", economy=economy
        )
        for economy in (False, True)
    )
    assert whole
    assert half
    assert half == pytest.approx(whole / 2, abs=1)

    usage = {"output_tokens": 196, "input_tokens": 20}
    assert (
        models.image_cost("gpt-image-2.6-flare", usage, economy=True)
        == (models.image_cost("gpt-image-2.6-flare", usage) or 0) / 2
    )


def test_only_soon_retiring_models_are_listed() -> None:
    soon = models.retiring_models(today=date(2026, 11, 25), days=10)
    assert soon == {
        name: (date(2026, 12, 1), "gpt-image-2.6-flare")
        for name in ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest")
    }


def test_facts_are_what_the_openai_package_accepts() -> None:
    assert list(wrong_facts()) == []


def test_wrong_fact_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "STANDARD_SIZES", ("1024x1024", "7x7"))
    assert list(wrong_facts()) == ["every model: the openai package has no size 7x7"]


def test_seen_images_are_part_of_the_bound() -> None:
    blind, seeing = (
        models.estimate_chat("gpt-6-luna", messages="A kite", attempt=1, images=images)
        for images in (0, 4)
    )

    assert (seeing or 0) - (blind or 0) == pytest.approx(4 * 2_833 * 0.10, abs=2)
