"""Finds the part of an image that a crop should keep: the one with the most edges.

Skies, walls and blurred backgrounds have few edges, and faces, text and products have many.
"""

import struct
from itertools import accumulate

from PIL import Image, ImageFilter

MAP_EDGE = 256  # pixels; more would only add noise
ABOUT = 0.99  # of the largest sum
Box = tuple[float, float, float, float]  # left, top, right, bottom


class Focus:
    """The edges of one image, summed up by column and by row."""

    def __init__(self, image: Image.Image) -> None:
        small = image.copy()
        small.thumbnail((MAP_EDGE, MAP_EDGE))
        if small.mode == "RGBA":
            ground = Image.new("RGBA", small.size, "white")
            small = Image.alpha_composite(ground, small)
        edges = small.convert("L").filter(ImageFilter.FIND_EDGES)
        # The filter leaves the pixels at the border unchanged, so they do not count as edges.
        inner = Image.new("L", edges.size, 0)
        inside = (1, 1, max(1, edges.width - 1), max(1, edges.height - 1))
        inner.paste(edges.crop(inside), inside)
        exact = inner.convert("F")
        self._columns = _values(exact.resize((edges.width, 1), Image.Resampling.BOX))
        self._rows = _values(exact.resize((1, edges.height), Image.Resampling.BOX))

    def left(self, share: float) -> float:
        """Return where the best window begins that has this share of the width, from 0 to 1."""
        return _best_start(self._columns, share)

    def top(self, share: float) -> float:
        """Return where the best window begins that has this share of the height, from 0 to 1."""
        return _best_start(self._rows, share)


def _values(line: Image.Image) -> list[float]:
    values = struct.unpack(f"{line.width * line.height}f", line.tobytes())
    # The border has no edges, and a crop must not cut it off for that.
    return [values[1], *values[1:-1], values[-2]] if len(values) > 2 else list(values)


def _best_start(sums: list[float], share: float) -> float:
    """Return the start of the window with the largest sum.

    Several windows may be about as good. The middle one of them has its subject in its center.
    """
    length = len(sums)
    window = min(length, max(1, round(length * share)))
    totals = [0.0, *accumulate(sums)]
    scores = [totals[start + window] - totals[start] for start in range(length - window + 1)]
    enough = max(scores) * ABOUT
    middle = (length - window) / 2
    good = [start for start, score in enumerate(scores) if score >= enough]
    first = last = min(good, key=lambda start: abs(start - middle))
    while first - 1 in good:
        first -= 1
    while last + 1 in good:
        last += 1
    return min((first + last) / 2 / length, 1 - share)


def crop_box(size: tuple[int, int], wanted: tuple[int, int], focus: Focus | None) -> Box:
    """Return the largest part of an image with the wanted shape. Without a focus, it is central."""
    (width, height), (wide, high) = size, wanted
    if width * high > height * wide:
        kept = height * wide / high
        share = kept / width
        left = _whole(width * (focus.left(share) if focus else (1 - share) / 2), width - kept)
        return left, 0, min(left + kept, width), height
    kept = width * high / wide
    share = kept / height
    top = _whole(height * (focus.top(share) if focus else (1 - share) / 2), height - kept)
    return 0, top, width, min(top + kept, height)


def _whole(start: float, most: float) -> int:
    """Return a start on a whole pixel, because a crop that is not scaled would be blurred."""
    return min(round(start), int(most))
