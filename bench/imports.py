"""The import of the image step from its code and layers, with and without bytecode."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import cold
from bench.section import Figure, Options, Result, in_turns, table

NAME, TITLE = "imports", "The image step from its layers"
PLACES = {
    "installed": "this environment, warm .pyc",
    "shipped": "layer zips with bytecode",
    "bare": "layer zips without",
}


def measure(_options: Options) -> Result:
    """Return the lowest CPU seconds from each place."""
    with tempfile.TemporaryDirectory() as folder:
        samples = in_turns(tuple(PLACES), cold.UnpackedLayers(Path(folder)).once)
    return {place: min(group) for place, group in samples.items()}


def figures(result: Result) -> Iterator[Figure]:
    """Compare the shipped bytecode with warm bytecode."""
    yield Figure(
        "import from layer zips built for this Python / warm .pyc",
        f"{result['shipped'] / result['installed']:.2f}",
        "≤ 1.1",
    )


def text(result: Result) -> str:
    """Return one row for each place."""
    rows = [
        (name, f"{result[place] * 1000:.0f}", f"{result[place] / result['installed']:.2f}")
        for place, name in PLACES.items()
    ]
    about = (
        "Layers have bytecode if they are built with Lambda's own Python, 3.14. Here they are "
        "built for this machine's Python."
    )
    return f"{about}\n\n{table(('from', 'CPU ms', '/ warm'), rows)}"
