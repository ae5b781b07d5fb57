"""What the models cost and when they are shut down, from models.toml. Money is in micro-dollars: a token at $1 per million costs 1."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from math import ceil as _ceil
from pathlib import Path
from typing import Any

from functions.errors import InputError, ModelRetiredError

SIZES = ("1024x1024", "1536x1024", "1024x1536")
QUALITIES = ("low", "medium", "high", "xhigh", "max")
MAX_CHAT_TOKENS = 2500
MAX_WRITTEN_TOKENS = 450  # of a prompt that the chat model writes, by the bound below: some 120 words of English
MAX_TOKENS = 10**9  # more in an answer's usage is no count
# The estimate is a bound, the formula was read off published examples: this covers what those round away.
MARGIN = 1.05
# OpenAI's Batch API takes half the price: https://platform.openai.com/docs/guides/batch
ECONOMY = 0.5


@dataclass(frozen=True, kw_only=True)
class ImagePrice:
    """Dollars per million tokens, and the billing formula's effort by quality."""

    text: float
    image: float
    output: float
    effort: Mapping[str, int]


def ceil(micro_usd: float) -> int:
    """Round up to whole micro-dollars, but for the dust of floating point."""
    return _ceil(round(micro_usd, 6))


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "models.toml").read_text())


def _chat_price(model: str) -> tuple[float, float] | None:
    entry = _table()["chat"].get(model)
    return (float(entry["input"]), float(entry["output"])) if entry else None


def shutdown(model: str) -> tuple[date, str] | None:
    """The day on which a model is shut down and its successor; None while no day is known."""
    entry = _table()["shutdown"].get(model)
    return (entry["on"], entry["successor"]) if entry else None


def retiring(*, today: date, days: int) -> dict[str, tuple[date, str]]:
    """The models that are shut down within so many days, with their day and successor; not those that are gone."""
    ends = {name: (entry["on"], entry["successor"]) for name, entry in _table()["shutdown"].items()}
    return {name: end for name, end in ends.items() if today < end[0] <= today + timedelta(days=days)}


def known() -> dict[str, set[str]]:
    """The names that the table has a price for, of image and of chat models, and those with a day of shutdown."""
    return {kind: set(_table()[kind]) for kind in ("image", "chat", "shutdown")}


def read_on() -> tuple[date, tuple[str, ...]]:
    """When the table was read, and from where."""
    read = _table()["read"]
    return read["on"], tuple(read["sources"])


def check_not_retired(model: str, *, today: date) -> None:
    """Raise ModelRetiredError from the day on which the model is shut down."""
    end = shutdown(model)
    if end and today >= end[0]:
        raise ModelRetiredError(f"model {model} was shut down on {end[0]}; use {end[1]}")


def image_price(model: str) -> ImagePrice | None:
    """The price of an image model, None where it is unknown."""
    entry = _table()["image"].get(model)
    return ImagePrice(**entry) if entry else None


def image_models(*, today: date) -> dict[str, Mapping[str, int]]:
    """The image models whose price is known and which are not shut down, each with the effort of its qualities."""
    return {name: entry["effort"] for name, entry in _table()["image"].items() if (end := shutdown(name)) is None or today < end[0]}


def check_size(size: object) -> str:
    """A size that the models of today can make, or `auto`."""
    allowed = "auto, or WIDTHxHEIGHT with both divisible by 16, a ratio within 1:3 and 3:1, at most 3840x2160"
    if size == "auto":
        return "auto"
    width, _, height = size.partition("x") if isinstance(size, str) else ("", "", "")
    if not (width.isdecimal() and height.isdecimal() and width.isascii() and height.isascii() and len(width + height) < 10):
        raise InputError("size", size, allowed)
    w, h = int(width), int(height)
    long, short = max(w, h), min(w, h)
    if f"{w}x{h}" != size or short < 16 or w % 16 or h % 16 or long > 3 * short or long > 3840 or short > 2160:
        raise InputError("size", size, allowed)
    return f"{w}x{h}"


def token_bounds(text: str) -> Iterator[int]:
    """For each character, how many tenths of a token it adds at most.

    A byte-level tokenizer never makes more tokens than there are bytes, and of small letters and spaces far fewer, since nearly each pair
    of them is a token: random ones come to 0.58 a letter with a vocabulary of 100,000 (cl100k_base), English to a quarter.
    """
    return (6 if "a" <= c <= "z" or c == " " else 10 * len(c.encode(errors="surrogatepass")) for c in text)


def estimate_image(model: str, *, prompt: str | None, size: str, quality: str, economy: bool = False) -> int | None:
    """Upper bound of one picture in micro-dollars; `auto` counts as the dearest choice; None where the price is unknown.

    `prompt` is None where the chat model has yet to write it.
    """
    price = image_price(model)
    if price is None:
        return None
    efforts = list(price.effort.values()) if quality == "auto" else [price.effort[quality]]
    sizes = SIZES if size == "auto" else (size,)
    tokens = max(_output_tokens(effort, one) for effort in efforts for one in sizes)
    asked = MAX_WRITTEN_TOKENS if prompt is None else sum(token_bounds(prompt)) / 10
    return ceil((asked * price.text + tokens * MARGIN * price.output) * (ECONOMY if economy else 1))


def _output_tokens(effort: int, size: str) -> int:
    """OpenAI's billing formula as its price calculator shows it: a larger picture can cost less than a smaller one."""
    width, height = map(int, size.split("x"))
    long, short = max(width, height), min(width, height)
    patches = effort * round(effort * short / long)
    return ceil(patches * (2_000_000 + width * height) / 4_000_000)


def image_cost(model: str, usage: Mapping[str, Any] | None, *, economy: bool = False) -> int | None:
    """What a picture cost by its answer's `usage`, in micro-dollars; None where price or usage is unknown."""
    price, output = image_price(model), _tokens(usage, "output_tokens")
    if price is None or output is None:
        return None
    details = usage.get("input_tokens_details") if usage else None
    images, text = _tokens(details, "image_tokens") or 0, _tokens(details, "text_tokens")
    if text is None:
        text = max(0, (_tokens(usage, "input_tokens") or 0) - images)
    return ceil((text * price.text + images * price.image + output * price.output) * (ECONOMY if economy else 1))


def estimate_chat(model: str, *, messages: str) -> int | None:
    """Upper bound of one chat call in micro-dollars; None where the price is unknown."""
    price = _chat_price(model)
    return ceil(sum(token_bounds(messages)) / 10 * price[0] + MAX_CHAT_TOKENS * price[1]) if price else None


def chat_cost(model: str, usage: Mapping[str, Any] | None) -> int | None:
    """What a chat call cost by its answer's `usage`, in micro-dollars; None where price or usage is unknown."""
    price, asked = _chat_price(model), _tokens(usage, "prompt_tokens")
    return None if price is None or asked is None else ceil(asked * price[0] + (_tokens(usage, "completion_tokens") or 0) * price[1])


def _tokens(usage: object, name: str) -> int | None:
    """A count in an answer's `usage`, None where it is not there or is none: every part of it is optional, and servers differ."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MAX_TOKENS else None
