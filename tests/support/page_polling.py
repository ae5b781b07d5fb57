"""How long the page waits between two reads of a run, read from its code."""

import re
from collections.abc import Iterator
from pathlib import Path

_CODE = Path(__file__).parents[2] / "web/client/run_polling.js"


def page_waits() -> Iterator[float]:
    """Yield the seconds before each read of a run that does not end."""
    wait = _constant("FIRST_SECONDS")
    slowest, growth = _constant("SLOWEST_SECONDS"), _constant("GROWTH")
    while True:
        yield wait
        wait = min(slowest, wait * growth)


def _constant(name: str) -> float:
    found = re.search(rf"^const {name} = ([\d.]+);$", _CODE.read_text(), re.MULTILINE)
    assert found, f"{_CODE} has no {name}"
    return float(found[1])
