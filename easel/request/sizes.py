"""The sizes of images: which are allowed, and which of them are nearest to a refused one."""

from dataclasses import dataclass

from easel.contract.errors import InputError
from easel.request.models import ImageFacts

FORM = "auto, or WIDTHxHEIGHT in pixels, such as 1024x1024"
MAX_DIGITS = 5
SIMILAR = 1.03  # the most by which one ratio of width to height exceeds the other


@dataclass(frozen=True, order=True)
class Size:
    """A width and a height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def parse(text: object) -> Size | None:
    """Return the size that a text names, or None if it names none."""
    width, _, height = text.partition("x") if isinstance(text, str) else ("", "", "")
    digits = width + height
    is_number = width.isdecimal() and height.isdecimal() and digits.isascii()
    if not is_number or max(len(width), len(height)) > MAX_DIGITS:
        return None
    size = Size(int(width), int(height))
    return size if str(size) == text and min(size.width, size.height) > 0 else None


def check_form(text: object, field: str = "size") -> str:
    """Return `auto` or a size. Raises InputError. `check` knows what a model can make."""
    if text == "auto":
        return "auto"
    size = parse(text)
    if size is None:
        raise InputError(field, text, FORM)
    return str(size)


def check(text: str, model: str, facts: ImageFacts, field: str = "size") -> None:
    """Raise InputError if a model cannot make this size. The error names the nearest sizes."""
    size = parse(text)
    if size is None or fits(size, facts):
        return
    options = tuple(map(str, nearest(size, facts)))
    allowed = f"{describe(facts)}; nearest: {' or '.join(options)}"
    raise InputError(field, text, allowed, but=f"{model} cannot make it", nearest=options)


def describe(facts: ImageFacts) -> str:
    """Return the rule of a model's sizes, for people."""
    return (
        f"{facts.least_pixels:,} to {facts.most_pixels:,} pixels, both sides divisible by "
        f"{facts.step} and at most {facts.longest_edge}, a ratio between 1:{facts.ratio} and "
        f"{facts.ratio}:1"
    )


def fits(size: Size, facts: ImageFacts) -> bool:
    """Return whether a model can make this size."""
    long, short = max(size.width, size.height), min(size.width, size.height)
    return (
        size.width % facts.step == 0
        and size.height % facts.step == 0
        and long <= facts.longest_edge
        and long <= facts.ratio * short
        and facts.least_pixels <= size.width * size.height <= facts.most_pixels
    )


def nearest(size: Size, facts: ImageFacts) -> list[Size]:
    """Return up to two sizes that a model can make.

    The first is the smallest of similar shape that covers the size, if there is one. The second has
    the most similar shape.
    """
    steps = range(facts.step, facts.longest_edge + 1, facts.step)
    options = [Size(w, h) for w in steps for h in steps if fits(Size(w, h), facts)]
    shape = size.width / size.height

    def difference(option: Size) -> tuple[float, int]:
        other = option.width / option.height
        area = abs(option.width * option.height - size.width * size.height)
        return round(max(shape / other, other / shape), 2), area

    covering = [
        option
        for option in options
        if option.width >= size.width and option.height >= size.height
        if difference(option)[0] <= SIMILAR
    ]
    first = min(covering, key=lambda option: option.width * option.height, default=None)
    similar = min(options, key=difference)
    return list(dict.fromkeys(each for each in (first, similar) if each))
