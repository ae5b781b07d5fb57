"""Measures one section in its own process and keeps the result: `make bench` starts it.

A section may change its environment and load the functions' code, so no two share a process.
"""

import argparse
import time
from pathlib import Path

from bench import entry, registry
from bench.entry import Entry, Kept
from bench.section import Options
from local.processes import end_on_signals


def main() -> None:
    """Measure, and keep the result."""
    parser = argparse.ArgumentParser(prog="bench.measure", description=__doc__)
    parser.add_argument("section", choices=[section.NAME for section in registry.SECTIONS])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--earlier", type=Path)
    options = parser.parse_args()
    section, commit = registry.find(options.section), entry.current_commit()
    start, load = time.monotonic(), entry.machine_load()
    with end_on_signals():
        result = section.measure(Options(large=options.large, earlier=options.earlier))
    Kept(options.folder).keep(
        Entry(
            section=section.NAME,
            large=options.large,
            commit=commit,
            date=entry.today(),
            machine=entry.machine(),
            seconds=round(time.monotonic() - start, 1),
            load=load,
            result=result,
        )
    )


if __name__ == "__main__":
    main()
