"""Prices and shutdown dates of the models, from models.toml. Money is in micro-dollars."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from easel.contract.errors import InputError, ModelRetiredError
from easel.contract.money import round_up

SIZES = ("1024x1024", "1536x1024", "1024x1536")
QUALITIES = ("low", "medium", "high", "xhigh", "max")
LONGEST_EDGE, SHORTEST_LIMIT, MAX_RATIO, STEP = 3840, 2160, 3, 16
SIZE_RULE = (
    "auto, or WIDTHxHEIGHT with both divisible by 16, a ratio between 1:3 and 3:1, and at most "
    "3840x2160"
)
MAX_CHAT_TOKENS = 2500
# This bounds a prompt that the chat model writes. By token_bounds it is about 120 words of English.
MAX_WRITTEN_TOKENS = 450
MAX_TOKENS = 10**9  # a larger number in an answer's usage is invalid
# The formula was derived from published examples. The margin covers their rounding.
MARGIN = 1.05
# OpenAI's Batch API charges half the price: https://platform.openai.com/docs/guides/batch
ECONOMY = 0.5


@dataclass(frozen=True, kw_only=True)
class ImagePrice:
    """Dollars per million tokens, and for each quality the effort of the billing formula."""

    text: float
    image: float
    output: float
    effort: Mapping[str, int]


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "models.toml").read_text())


def _chat_price(model: str) -> tuple[float, float] | None:
    entry = _table()["chat"].get(model)
    return (float(entry["input"]), float(entry["output"])) if entry else None


def shutdown(model: str) -> tuple[date, str] | None:
    """Return the date of a model's shutdown and its successor, or None if no date is known."""
    entry = _table()["shutdown"].get(model)
    return (entry["on"], entry["successor"]) if entry else None


def retiring_models(*, today: date, days: int) -> dict[str, tuple[date, str]]:
    """Return the models that will be shut down within `days`, with date and successor."""
    last = today + timedelta(days=days)
    ends = {name: (entry["on"], entry["successor"]) for name, entry in _table()["shutdown"].items()}
    return {name: end for name, end in ends.items() if today < end[0] <= last}


def known_models() -> dict[str, set[str]]:
    """Return the names of the table's models: image, chat, and those with a shutdown date."""
    return {kind: set(_table()[kind]) for kind in ("image", "chat", "shutdown")}


def price_source() -> tuple[date, tuple[str, ...]]:
    """Return the date when the table was read, and its sources."""
    source = _table()["read"]
    return source["on"], tuple(source["sources"])


def check_not_retired(model: str, *, today: date) -> None:
    """Raise ModelRetiredError if the model is shut down on this date."""
    end = shutdown(model)
    if end and today >= end[0]:
        raise ModelRetiredError(f"model {model} was shut down on {end[0]}; use {end[1]}")


def image_price(model: str) -> ImagePrice | None:
    """Return the price of an image model, or None if it is unknown."""
    entry = _table()["image"].get(model)
    return ImagePrice(**entry) if entry else None


def image_models(*, today: date) -> dict[str, Mapping[str, int]]:
    """Return the image models that can be bought today, each with the effort of its qualities."""
    return {
        name: entry["effort"]
        for name, entry in _table()["image"].items()
        if (end := shutdown(name)) is None or today < end[0]
    }


def check_size(size: object, field: str = "size") -> str:
    """Return a size that today's models can make, or `auto`. Raises InputError."""
    if size == "auto":
        return "auto"
    width, _, height = size.partition("x") if isinstance(size, str) else ("", "", "")
    digits = width + height
    if not (width.isdecimal() and height.isdecimal() and digits.isascii() and len(digits) < 10):
        raise InputError(field, size, SIZE_RULE)
    w, h = int(width), int(height)
    long, short = max(w, h), min(w, h)
    too_large = long > LONGEST_EDGE or short > SHORTEST_LIMIT or long > MAX_RATIO * short
    if f"{w}x{h}" != size or short < STEP or w % STEP or h % STEP or too_large:
        raise InputError(field, size, SIZE_RULE)
    return f"{w}x{h}"


def token_bounds(text: str) -> Iterator[int]:
    """Yield the most tenths of a token that each character can add.

    A byte-level tokenizer never makes more tokens than there are bytes. Small letters and spaces
    need far fewer, because nearly every pair of them is a token. With a vocabulary of 100,000
    (cl100k_base), random letters need 0.58 tokens each, and English needs a quarter.
    """
    return (
        6 if "a" <= c <= "z" or c == " " else 10 * len(c.encode(errors="surrogatepass"))
        for c in text
    )


def estimate_image(
    model: str, *, prompt: str | None, size: str, quality: str, economy: bool = False
) -> int | None:
    """Return the upper bound of one image, or None if the price is unknown.

    `auto` counts as the most expensive choice. `prompt` is None if it is not written yet.
    """
    price = image_price(model)
    if price is None:
        return None
    efforts = list(price.effort.values()) if quality == "auto" else [price.effort[quality]]
    sizes = SIZES if size == "auto" else (size,)
    output = max(_output_tokens(effort, each) for effort in efforts for each in sizes)
    text = MAX_WRITTEN_TOKENS if prompt is None else sum(token_bounds(prompt)) / 10
    full = text * price.text + output * MARGIN * price.output
    return round_up(full * (ECONOMY if economy else 1))


def _output_tokens(effort: int, size: str) -> int:
    """Apply the formula of OpenAI's price calculator.

    A larger image can cost less than a smaller one.
    """
    width, height = map(int, size.split("x"))
    long, short = max(width, height), min(width, height)
    patches = effort * round(effort * short / long)
    return round_up(patches * (2_000_000 + width * height) / 4_000_000)


def image_cost(model: str, usage: Mapping[str, Any] | None, *, economy: bool = False) -> int | None:
    """Return an image's cost from its answer's `usage`, or None if price or usage is unknown."""
    price, output = image_price(model), _tokens(usage, "output_tokens")
    if price is None or output is None:
        return None
    details = usage.get("input_tokens_details") if usage else None
    images, text = _tokens(details, "image_tokens") or 0, _tokens(details, "text_tokens")
    if text is None:
        text = max(0, (_tokens(usage, "input_tokens") or 0) - images)
    full = text * price.text + images * price.image + output * price.output
    return round_up(full * (ECONOMY if economy else 1))


def estimate_chat(model: str, *, messages: str) -> int | None:
    """Return the upper bound of one chat call, or None if the price is unknown."""
    price = _chat_price(model)
    if price is None:
        return None
    return round_up(sum(token_bounds(messages)) / 10 * price[0] + MAX_CHAT_TOKENS * price[1])


def chat_cost(model: str, usage: Mapping[str, Any] | None) -> int | None:
    """Return a chat call's cost from its answer's `usage`, or None if price or usage is unknown."""
    price, read = _chat_price(model), _tokens(usage, "prompt_tokens")
    if price is None or read is None:
        return None
    return round_up(read * price[0] + (_tokens(usage, "completion_tokens") or 0) * price[1])


def _tokens(usage: object, name: str) -> int | None:
    """Return a count from an answer's `usage`, or None if it is missing or invalid."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    if not isinstance(count, int) or isinstance(count, bool):
        return None
    return count if 0 <= count <= MAX_TOKENS else None
