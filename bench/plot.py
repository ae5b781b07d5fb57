"""The plot of the benchmark's results."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.drawing import BARE, GREY, OURS, PEER, set_title, styled, svg_of
from bench.entry import Entries, load_rows
from bench.section import MIB

Bars = Sequence[tuple[str, float, str]]  # name, value, colour


def draw(entries: Entries) -> str:
    """Return the plot. It has a panel for each measured section."""
    # Only the report needs it, and it takes a second to import.
    from matplotlib.figure import Figure

    panels = _panels(entries)
    with styled():
        figure = Figure(figsize=(8.4, 0.5 + 0.3 * max(map(len, panels.values()), default=1)))
        for index, (title, bars) in enumerate(panels.items(), start=1):
            _draw_panel(figure.add_subplot(1, len(panels), index), title, bars)
        figure.tight_layout(w_pad=2)
        return svg_of(figure)


def _draw_panel(axes: Any, title: str, bars: Bars) -> None:
    names, values, colours = zip(*bars, strict=True)
    places = range(len(bars), 0, -1)
    drawn = axes.barh(places, values, color=colours, height=0.7)
    axes.bar_label(
        drawn, [f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in values], padding=3
    )
    axes.set_yticks(places, names)
    set_title(axes, title)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.set_xlim(0, 1.25 * max(values))


def _panels(entries: Entries) -> dict[str, Bars]:
    results = {name: each.result for name, each in entries.items()}
    panels: dict[str, Bars] = {}
    if "paint" in results:
        panels["CPU per 1.5 MB image, ms"] = _cpu(results["paint"]["sizes"]["1500000"])
    if loads := load_rows(entries):
        rates, memory = [], []
        for at_once, (load, peer) in loads.items():
            rates.append((f"Easel, {at_once} at once", load["pictures_per_second"], OURS))
            memory.append((f"Easel, {at_once} at once", load["peak_bytes"] / MIB, OURS))
            if peer:
                rates.append((f"n8n, {at_once} at once", peer["pictures_a_second"], PEER))
                memory.append((f"n8n, {at_once} at once", peer["resident"] / MIB, PEER))
        panels |= {"Images per second, local AWS": rates, "Peak memory, MiB": memory}
    return panels


def _cpu(least: Mapping[str, Mapping[str, float]]) -> Bars:
    colours = {"bare script": BARE, "naive handler": BARE, "floor": GREY}
    return [
        (name, 1000 * figures["cpu_seconds"], colours.get(name, OURS))
        for name, figures in least.items()
        if not name.endswith("before")
    ]
