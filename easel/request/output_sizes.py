"""The exact sizes that a request wants its images in, and the size to generate for them."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from easel.contract import naming
from easel.contract.errors import InputError, Summary, summarize
from easel.request import models
from easel.request.fields import Kind, Schema
from easel.request.models import STANDARD_SIZES, ImageFacts, output_tokens
from easel.request.named_sizes import NAMED_SIZES
from easel.request.sizes import SIMILAR, Size, parse

MAX_OUTPUTS = 8
LEAST_SIDE, LONGEST_SIDE = 16, 8_192
# The upload function encodes them within its time and memory. One size of 8192x8192 has 67 million.
MAX_OUTPUT_PIXELS = 80_000_000
SHAPES = tuple(NAMED_SIZES)
ALLOWED = (
    f"a name ({', '.join(SHAPES)}), or WIDTHxHEIGHT with sides of {LEAST_SIDE} to "
    f"{LONGEST_SIDE:,} pixels, such as 1080x1350"
)
FORMATS = ("auto", "jpeg", "webp", "avif", "png")
CROPS = ("focus", "center")


@dataclass(frozen=True, kw_only=True)
class OutputSize:
    """A size in pixels, with its name if the request used one."""

    width: int
    height: int
    name: str | None = None


@dataclass(frozen=True)
class OutputSizes(Kind):
    """A list of 1 to 8 sizes. A size that is listed twice counts once."""

    def check(self, name: str, value: Any) -> tuple[OutputSize, ...]:
        """Return the sizes."""
        allowed = f"a list of 1 to {MAX_OUTPUTS} sizes"
        if not isinstance(value, list):
            raise InputError(name, value, allowed)
        if not 1 <= len(value) <= MAX_OUTPUTS:
            raise InputError(name, Summary(f"a list of {len(value)}"), allowed)
        by_pixels: dict[tuple[int, int], OutputSize] = {}
        for item in value:
            size = _read(name, item)
            known = by_pixels.get((size.width, size.height))
            by_pixels[size.width, size.height] = known if known and known.name else size
        total = sum(width * height for width, height in by_pixels)
        if total > MAX_OUTPUT_PIXELS:
            shown = Summary(f"{total:,} pixels large")
            raise InputError(name, shown, f"at most {MAX_OUTPUT_PIXELS:,} pixels together")
        return tuple(by_pixels.values())

    def schema(self) -> Schema:
        """Return the schema of a list of names and sizes."""
        size = {"type": "string", "pattern": r"^\d{2,4}x\d{2,4}$"}
        items = {"anyOf": [{"type": "string", "enum": list(SHAPES)}, size]}
        return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_OUTPUTS}

    def from_text(self, text: str) -> list[str]:
        """Split a cell at its commas."""
        return [item.strip() for item in text.split(",")]


def _read(field: str, value: Any) -> OutputSize:
    if isinstance(value, str) and value in NAMED_SIZES:
        width, height = NAMED_SIZES[value]
        return OutputSize(width=width, height=height, name=value)
    size = parse(value)
    if size and all(LEAST_SIDE <= side <= LONGEST_SIDE for side in (size.width, size.height)):
        return OutputSize(width=size.width, height=size.height)
    if not isinstance(value, str) or not value or value[0].isdecimal():
        raise InputError(field, value, ALLOWED)
    near = difflib.get_close_matches(value.lower(), SHAPES, 1, cutoff=0)
    reason = f"there is no such name (did you mean {near[0]}?)"
    # A text that resembles no name may be from another column, so the error does not repeat it.
    resembles = difflib.get_close_matches(value.lower(), SHAPES, 1)
    shown = value if resembles else summarize(value)
    raise InputError(field, shown, ALLOWED, but=reason, nearest=near)


def check_format(outputs: Iterable[OutputSize], chosen: str) -> None:
    """Raise InputError for a size that is too large for its format."""
    most = naming.MAX_COMPACT_PIXELS
    large = next((size for size in outputs if size.width * size.height > most), None)
    if large and chosen in ("webp", "avif", "png"):
        reason = f"{large.width}x{large.height} has more than {most:,} pixels"
        raise InputError("sizes_format", chosen, "auto or jpeg", but=reason)


def generation_size(outputs: Iterable[OutputSize], model: str, quality: str) -> str:
    """Return the size to generate: the cheapest that covers all outputs.

    Its shape lies between the widest and the tallest output, since each of them is cut out of it: a
    long strip may be cheaper than a square, but little of it would be left. If no size of the model
    covers the outputs, it is the one that has to be enlarged least.
    """
    sides = [(output.width, output.height) for output in outputs]
    widths, heights = zip(*sides, strict=True)
    shapes = [width / height for width, height in sides]
    wish = Size(max(widths), max(heights))
    return str(_cheapest(wish, (min(shapes), max(shapes)), model, quality))


@cache  # the lines of a batch mostly want the same sizes
def _cheapest(wish: Size, shapes: tuple[float, float], model: str, quality: str) -> Size:
    facts = models.image_facts(model)
    if facts is None:  # the sizes that every server's model is likely to make
        options = [size for text in STANDARD_SIZES if (size := parse(text))]
        return min(options, key=lambda size: (_enlargement(wish, size), size.width * size.height))
    efforts = [facts.effort[quality]] if quality in facts.effort else list(facts.effort.values())

    def price(size: Size) -> tuple[int, int, Size]:
        tokens = max(output_tokens(effort, str(size)) for effort in efforts)
        return tokens, size.width * size.height, size

    covering = min(_options(facts, shapes, least=wish), key=price, default=None)
    if covering:
        return covering
    return min(
        _options(facts, shapes, least=Size(1, 1)),
        key=lambda size: (round(_enlargement(wish, size), 6), *price(size)),
    )


def _enlargement(wish: Size, size: Size) -> float:
    """Return by how much a size has to be enlarged to cover the wish, at least 1."""
    return max(1.0, wish.width / size.width, wish.height / size.height)


def _options(facts: ImageFacts, shapes: tuple[float, float], *, least: Size) -> Iterator[Size]:
    """Yield the model's sizes with a shape from `shapes` that are at least as large as `least`."""
    # Both sides are divisible by the step, so few sizes have exactly the shape of an output.
    lowest = max(1 / facts.ratio, min(shapes[0], facts.ratio) / SIMILAR)
    highest = min(facts.ratio, max(shapes[1], 1 / facts.ratio) * SIMILAR)
    step = facts.step
    for width in range(_up(least.width, step), facts.longest_edge + 1, step):
        first = max(least.height, width / highest, facts.least_pixels / width)
        last = min(facts.longest_edge, width / lowest, facts.most_pixels / width)
        for height in range(_up(first, step), int(last) + 1, step):
            yield Size(width, height)


def _up(value: float, step: int) -> int:
    return max(step, int(-(-value // step)) * step)
