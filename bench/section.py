"""What a section of the benchmark is: one module that measures one thing.

A section is a module with the names of the protocol `Section`. Its result is JSON, so that a
section is measured once and can be reported many times.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from infra import ROOT

ROUNDS = 5  # measurements of each peer; the lowest counts, since a disturbance can only add to it
MB, MIB = 1_000_000, 2**20
Result = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a section is measured.

    With `large`, a section uses its full size. `earlier` is a checkout of an earlier commit, which
    cheap sections measure in the same turn.
    """

    large: bool = False
    earlier: Path | None = None

    def versions(self) -> dict[str, Path]:
        """Return the code to measure by name: this code, and the earlier code if there is one."""
        return {"now": ROOT} | ({"before": self.earlier} if self.earlier else {})


class Figure(NamedTuple):
    """One line of the table of figures. `before` is empty unless it was measured in this turn."""

    name: str
    measured: str
    limit: str
    before: str = ""


class Section(Protocol):
    """A section: a module with these names."""

    NAME: str
    TITLE: str

    def measure(self, options: Options) -> Result:
        """Measure, and return a result that JSON can store."""

    def figures(self, result: Result) -> Iterable[Figure]:
        """Return the figures with their limits."""

    def text(self, result: Result) -> str:
        """Return the text and the tables below the title, as Markdown."""


def in_turns(names: Sequence[str], once: Callable[[str], T]) -> dict[str, list[T]]:
    """Return the results of `once` for each name. The names take turns, ROUNDS times."""
    rounds = [{name: once(name) for name in names} for _ in range(ROUNDS)]
    return {name: [turn[name] for turn in rounds] for name in names}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are numbers, but for the first."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def log(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)
