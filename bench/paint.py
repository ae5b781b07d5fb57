"""The image step and its competitors, from the call to the stored image."""

import os
from collections.abc import Iterator
from typing import Any

from bench import cold, painters, sink
from bench.section import MB, Figure, Options, Result, in_turns, table

NAME, TITLE = "paint", "The way of an image"
SIZES = {1_500_000: 15, 8_000_000: 4}  # bytes of an image, and how many images make one measurement
OURS, BEFORE = ("Easel", "Easel, size unknown"), ", before"


def measure(options: Options) -> Result:
    """Return the lowest figures of each way, by the size of the image."""
    ways = {way: (way, "now") for way in painters.PAINTERS}
    if options.earlier:
        ways |= {f"{way}{BEFORE}": (way, "before") for way in OURS}
    roots, sizes = options.versions(), {}
    with sink.running() as environment:
        complete = os.environ | cold.ENVIRONMENT | cold.ON_LAMBDA | environment
        for size, count in SIZES.items():

            def once(name: str, size: int = size, count: int = count) -> dict[str, float]:
                way, version = ways[name]
                return painters.once(
                    way, size=size, count=count, environment=complete, root=roots[version]
                )

            samples = in_turns(tuple(ways), once)
            sizes[str(size)] = {
                name: {kind: min(sample[kind] for sample in group) for kind in group[0]}
                for name, group in samples.items()
            }
    return {"sizes": sizes}


def figures(result: Result) -> Iterator[Figure]:
    """Compare the image step with the bare script and with the floor."""
    for name, least in result["sizes"].items():
        size, mb = int(name), f"{int(name) / MB:g} MB"
        now, before = _worst(least, ""), _worst(least, BEFORE)
        bare, floor = (least[way]["cpu_seconds"] for way in ("bare script", "floor"))
        rows = [(f"image step, CPU per image of {mb} / floor", "cpu_seconds", floor, "≤ 3.0")]
        if size == painters.USUAL:
            label = f"image step, CPU per image of {mb} / bare script"
            rows.insert(0, (label, "cpu_seconds", bare, "≤ 0.55"))
        else:
            label = f"image step, peak bytes per byte of {mb}"
            rows.insert(0, (label, "peak_bytes", size, "≤ 2.8"))
            label = f"image step, resident MB with an image of {mb}"
            rows.insert(1, (label, "resident_bytes", MB, "≤ 110"))
        for label, kind, unit, limit in rows:
            values = [f"{ours[kind] / unit:.2f}" if ours else "" for ours in (now, before)]
            yield Figure(label, values[0], limit, values[1])


def _worst(least: dict[str, dict[str, float]], suffix: str) -> dict[str, float]:
    """Return the higher figures of both servers, since a server may leave out the length."""
    ours = [least[way + suffix] for way in OURS if way + suffix in least]
    return {kind: max(way[kind] for way in ours) for kind in ours[0]} if ours else {}


def text(result: Result) -> str:
    """Return one table with all ways and sizes."""
    rows = [row for size, least in result["sizes"].items() for row in _rows(int(size), dict(least))]
    head = ("image", "way", "CPU ms", "/ bare", "/ floor", "peak bytes per byte", "resident MB")
    about = (
        "From the call to the bytes in the bucket, over TLS on loopback. Only the runs below have "
        "claims and records. Bare script: the calls of openai and boto3. Naive handler: with "
        "Tracer, parser and a boto3 resource. Floor: raw HTTP with base64 and one signed PUT. "
        "Size unknown: the server does not announce the length of its response. The figures above "
        "use the worse row of Easel. Peak: the resident memory that an image adds."
    )
    return f"{about}\n\n{table(head, rows)}"


def _rows(size: int, least: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    bare, floor = (least[way]["cpu_seconds"] for way in ("bare script", "floor"))
    for name, figure in least.items():
        cpu, resident = figure["cpu_seconds"], figure["resident_bytes"] / MB
        # Usual images also warm the process up, so one of the same size reuses its memory and the
        # peak means nothing.
        peak = f"{figure['peak_bytes'] / size:.2f}" if size != painters.USUAL else "–"
        yield (
            f"{size / MB:g} MB",
            name,
            f"{cpu * 1000:.1f}",
            f"{cpu / bare:.2f}",
            f"{cpu / floor:.2f}",
            peak,
            f"{resident:.0f}",
        )
