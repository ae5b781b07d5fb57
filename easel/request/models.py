"""Facts, prices and shutdown dates of the models, from models.toml. Money is in micro-dollars."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from easel.contract.errors import ModelRetiredError
from easel.contract.money import round_up

QUALITIES = ("low", "medium", "high", "xhigh", "max")
STANDARD_SIZES = ("1024x1024", "1536x1024", "1024x1536")
# A prompt of 120 words with title, alt text and tags needs about 400 tokens in English, and up to
# twice as many in other scripts. A reasoning model needs room for its thoughts as well.
CHAT_TOKENS, CHAT_TOKENS_WITH_REASONING = 1_000, 2_000
MORE_ROOM = 2  # an answer that was cut off is repeated once with this many times the tokens
# This bounds a prompt that the chat model writes: about 180 words of English.
MAX_WRITTEN_BYTES = 1_200
# The most that a model of the table charges for an image in low detail, which is what gpt-4o-mini
# charges: https://developers.openai.com/api/docs/guides/images-vision
THUMBNAIL_TOKENS = 2_833
MAX_TOKENS = 10**9  # a larger number in an answer's usage is invalid
# The formula was derived from published examples. The margin covers their rounding.
MARGIN = 1.05
Size = tuple[int, int]  # width and height in pixels
# OpenAI's Batch API charges half the price: https://platform.openai.com/docs/guides/batch
ECONOMY = 0.5


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What an image model makes, and for how much.

    `effort` is the effort of the billing formula for each quality. `text`, `image` and `output` are
    dollars per million tokens. `inputs` is the maximum number of reference images. The other fields
    of inputs are explained in models.toml.
    """

    text: float
    image: float
    output: float
    effort: Mapping[str, int]
    least_pixels: int
    most_pixels: int
    longest_edge: int
    ratio: int
    step: int
    backgrounds: Sequence[str]
    inputs: int
    input_edge: int
    input_patch: int
    input_tokens: int


@dataclass(frozen=True, kw_only=True)
class ChatFacts:
    """The efforts of a chat model, least first, and its dollars per million tokens.

    `images` is whether it sees images.
    """

    input: float
    output: float
    efforts: Sequence[str] = ()
    images: bool = False


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "models.toml").read_text())


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


def image_facts(model: str) -> ImageFacts | None:
    """Return the facts of an image model, or None if it is not in the table."""
    entry = _table()["image"].get(model)
    if entry is None:
        return None
    own = {name: value for name, value in entry.items() if name != "family"}
    return ImageFacts(**_table()["family"][entry["family"]] | own)


def chat_facts(model: str) -> ChatFacts | None:
    """Return the facts of a chat model, or None if it is not in the table."""
    entry = _table()["chat"].get(model)
    return ChatFacts(**entry) if entry else None


def image_models(*, today: date) -> dict[str, ImageFacts]:
    """Return the image models that can be bought today."""
    known = {name: image_facts(name) for name in _table()["image"]}
    return {
        name: facts
        for name, facts in known.items()
        if facts and ((end := shutdown(name)) is None or today < end[0])
    }


def max_tokens(text: str) -> int:
    """Return the most tokens that any tokenizer can make of a text.

    A byte-level tokenizer never makes more tokens than there are bytes. English needs a quarter of
    that, but for chosen letters, such as `gkq` repeated, it is all that is certain.
    """
    return len(text.encode(errors="surrogatepass"))


def estimate_image(
    model: str,
    *,
    prompt: str | None,
    size: str,
    quality: str,
    inputs: Iterable[Size] = (),
    economy: bool = False,
) -> int | None:
    """Return the upper bound of one image, or None if the price is unknown.

    `auto` counts as the most expensive choice. `prompt` is None if it is not written yet. `inputs`
    are the sizes of the reference images and the mask.
    """
    facts = image_facts(model)
    if facts is None:
        return None
    efforts = list(facts.effort.values()) if quality == "auto" else [facts.effort[quality]]
    sizes = STANDARD_SIZES if size == "auto" else (size,)
    output = max(output_tokens(effort, each) for effort in efforts for each in sizes)
    text = MAX_WRITTEN_BYTES if prompt is None else max_tokens(prompt)
    images = sum(input_tokens(facts, width, height) for width, height in inputs)
    full = text * facts.text + MARGIN * (images * facts.image + output * facts.output)
    return round_up(full * (ECONOMY if economy else 1))


def input_tokens(facts: ImageFacts, width: int, height: int) -> int:
    """Return the most tokens of an input image with this size in pixels."""
    long = max(width, height)
    scale = max(1.0, min(2.0, facts.input_edge / long))
    short = max(min(width, height), long / facts.ratio)
    patches = ceil(long * scale / facts.input_patch) * ceil(short * scale / facts.input_patch)
    return min(patches, facts.input_tokens)


def output_tokens(effort: int, size: str) -> int:
    """Apply the formula of OpenAI's price calculator.

    A larger image can cost less than a smaller one.
    """
    width, height = map(int, size.split("x"))
    long, short = max(width, height), min(width, height)
    patches = effort * round(effort * short / long)
    return round_up(patches * (2_000_000 + width * height) / 4_000_000)


def image_cost(model: str, usage: Mapping[str, Any] | None, *, economy: bool = False) -> int | None:
    """Return an image's cost from its answer's `usage`, or None if price or usage is unknown.

    An image has output tokens and a prompt has input tokens, so a 0 is a gateway's placeholder.
    """
    facts, output = image_facts(model), _tokens(usage, "output_tokens")
    details = usage.get("input_tokens_details") if usage else None
    images, text = _tokens(details, "image_tokens") or 0, _tokens(details, "text_tokens")
    if text is None:
        text = (_tokens(usage, "input_tokens") or 0) - images
    if facts is None or not output or text <= 0:
        return None
    full = text * facts.text + images * facts.image + output * facts.output
    return round_up(full * (ECONOMY if economy else 1))


def chat_tokens(model: str, *, attempt: int) -> int:
    """Return the token limit of a chat call's answer. `attempt` is 1 or 2."""
    facts = chat_facts(model)
    reasons = facts is None or bool(facts.efforts)
    tokens = CHAT_TOKENS_WITH_REASONING if reasons else CHAT_TOKENS
    return tokens if attempt == 1 else tokens * MORE_ROOM


def chat_effort(model: str, *, attempt: int) -> str | None:
    """Return the effort of a chat call, or None if the model has none.

    A prompt needs little reasoning. The second attempt uses the least effort.
    """
    facts = chat_facts(model)
    if facts is None or not facts.efforts:
        return None
    return "low" if attempt == 1 and "low" in facts.efforts else facts.efforts[0]


def sees_images(model: str) -> bool:
    """Return whether a chat model is known to see images."""
    facts = chat_facts(model)
    return facts is not None and facts.images


def estimate_chat(model: str, *, messages: str, attempt: int, images: int = 0) -> int | None:
    """Return the upper bound of one chat call, or None if the price is unknown.

    `images` is the number of thumbnails that the model sees.
    """
    facts = chat_facts(model)
    if facts is None:
        return None
    output = chat_tokens(model, attempt=attempt)
    read = max_tokens(messages) + images * THUMBNAIL_TOKENS
    return round_up(read * facts.input + output * facts.output)


def chat_cost(model: str, usage: Mapping[str, Any] | None) -> int | None:
    """Return a chat call's cost from its answer's `usage`, or None if price or usage is unknown.

    A call has a question and an answer, so a 0 is a gateway's placeholder.
    """
    facts = chat_facts(model)
    read, written = _tokens(usage, "prompt_tokens"), _tokens(usage, "completion_tokens")
    if facts is None or not read or not written:
        return None
    return round_up(read * facts.input + written * facts.output)


def _tokens(usage: object, name: str) -> int | None:
    """Return a count from an answer's `usage`, or None if it is missing or invalid."""
    count = usage.get(name) if isinstance(usage, Mapping) else None
    if not isinstance(count, int) or isinstance(count, bool):
        return None
    return count if 0 <= count <= MAX_TOKENS else None
