"""The style of the benchmark's plots: SVG files that are readable on a light and on a dark page."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The background is transparent, so the text has a grey with contrast to both white and black.
GREY, OURS, PEER, BARE = "#777c83", "#d9730d", "#7b6fd0", "#5a8f9c"
_GREY_TEXT = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the common style while the block runs."""
    # Only the report draws, and matplotlib takes a second to import.
    from matplotlib import rc_context

    style: Any = {
        "svg.fonttype": "none",  # text stays text, which makes the file small
        "svg.hashsalt": "easel",
        "font.family": "sans-serif",
        "font.size": 9,
        **dict.fromkeys(_GREY_TEXT, GREY),
    }
    with rc_context(style):
        yield


def set_title(axes: Any, title: str) -> None:
    """Write a panel's title, and remove the frame around the panel."""
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    for side in axes.spines.values():
        side.set_visible(False)


def svg_of(figure: Any) -> str:
    """Return the SVG of a matplotlib figure."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    # Matplotlib ends some lines with a space.
    return re.sub(r" +$", "", out.getvalue(), flags=re.MULTILINE)
