"""Large numbers: images in a folder, folders, and the lines of a batch.

At full size these are 100,000 images, 10,000 folders and 100,000 lines.
"""

import logging
from collections.abc import Iterator

from bench import large_batch, large_folders, large_gallery, large_run
from bench.section import Figure, Options, Result

NAME, TITLE = "large", "Large numbers"
PARTS = {
    "images": large_gallery,
    "folders": large_folders,
    "batch": large_batch,
    "run": large_run,
}
HEADINGS = {
    "images": "Images in one folder",
    "folders": "Folders",
    "batch": "Check of a batch",
    "run": "A batch from end to end",
}


def measure(options: Options) -> Result:
    """Measure each part."""
    level = logging.root.manager.disable
    logging.disable()  # the API logs each request
    try:
        return {name: part.measure(large=options.large) for name, part in PARTS.items()}
    finally:
        logging.disable(level)


def figures(result: Result) -> Iterator[Figure]:
    """Return the figures of all parts."""
    for name, part in PARTS.items():
        yield from part.figures(result[name])


def text(result: Result) -> str:
    """Return the text of each part under its heading."""
    parts = (f"### {HEADINGS[name]}\n\n{part.text(result[name])}" for name, part in PARTS.items())
    return "\n\n".join(parts)
