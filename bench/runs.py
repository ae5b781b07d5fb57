"""The overhead of a run over a bare script that makes the same calls, on the local stack.

It is measured in time, CPU and memory.

Everything is measured in one session on one machine with one stand-in. Seconds depend on the
machine, and ratios depend on it less.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from bench import loads
from bench.section import MB, MIB, Figure, Options, Result, table

NAME, TITLE = "runs", "Local stack"
AT_ONCE = (1, 4, 16)
LIMITS = {"1": "6", "3": "10"}  # state transitions by the number of images of a run


def measure(_options: Options) -> Result:
    """Measure on separate stacks.

    Each load has a new stack, since a stack keeps the history of all its runs.
    """
    with loads.running() as bench:
        execution = bench.run()
        run_seconds, bare_seconds = bench.alone()
        counts = {count: bench.count_events(int(count)) for count in LIMITS}
    return {
        "image_bytes": json.loads(execution["output"])["pictures"][0]["bytes"],
        "run_seconds": run_seconds,  # the median of runs one after the other
        "bare_seconds": bare_seconds,
        "loads": [asdict(load(at_once)) for at_once in AT_ONCE],
        "transitions": {count: transitions for count, (transitions, _) in counts.items()},
        "invocations": {count: invocations for count, (_, invocations) in counts.items()},
    }


def load(at_once: int) -> loads.Load:
    """Measure this many runs at the same time, on a new stack."""
    with loads.running() as bench:
        return bench.load(at_once)


def figures(result: Result) -> Iterator[Figure]:
    """Return what Step Functions and Lambda bill."""
    for count, limit in LIMITS.items():
        name = f"state transitions (counted locally; AWS bills them) of a run of {count}"
        yield Figure(name, str(result["transitions"][count]), limit)
    yield Figure("Lambda invocations of a run of 1", str(result["invocations"]["1"]), "≤ 4")


def text(result: Result) -> str:
    """Return one row for each load."""
    rows = [
        (
            str(load["at_once"]),
            f"{load['pictures_per_second']:.1f}",
            f"{load['bare_pictures_per_second']:.1f}",
            *(f"{seconds * 1000:.0f}" for seconds in load["cpu_seconds_per_picture"].values()),
            f"{load['peak_bytes'] / MIB:.0f} ({_parts(load['peak_parts'])})",
        )
        for load in result["loads"]
    ]
    head = (
        "at once",
        "images/s",
        "bare script",
        *(f"{part}, CPU ms" for part in result["loads"][0]["cpu_seconds_per_picture"]),
        "peak MiB",
    )
    alone = (
        f"{result['run_seconds'] * 1000:.0f} ms a run alone, the bare script "
        f"{result['bare_seconds'] * 1000:.0f} ms."
    )
    about = (
        f"Whole runs of one image of {result['image_bytes'] / MB:.2f} MB each, with an OpenAI "
        f"that takes no time. {alone} Of {loads.ROUNDS} rounds: the best rate, the mean CPU, and "
        "the most memory."
    )
    return f"{about}\n\n{table(head, rows)}"


def _parts(peaks: Mapping[str, int]) -> str:
    return ", ".join(f"{part} {used / MIB:.0f}" for part, used in peaks.items())
