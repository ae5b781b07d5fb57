"""The ledger under contention, compared with an earlier version."""

from collections.abc import Iterable

from bench.ledger_load import TRANSACTION
from bench.section import Figure, Options, Result, table
from bench.versions import run_with

NAME = "contention"
TITLE = "Many calls at once"
LONGEST_SECONDS = 1  # the limit for 99% of all claims and settlements


def measure(options: Options) -> Result:
    """Return the outcome of each load, for each version."""
    return {
        version: run_with(root, "bench.ledger_load") for version, root in options.versions().items()
    }


def figures(result: Result) -> Iterable[Figure]:
    """Return the number of calls that gave up, and the longest wait of the others."""
    before = {each["load"]: each for each in result.get("before", [])}
    for now in result["now"]:
        earlier = before.get(now["load"])
        yield Figure(
            f"{now['load']}: gave up, longest wait of 99%",
            f"{now['gave_up']}, {now['p99']:.2f} s",
            f"0, ≤ {LONGEST_SECONDS} s",
            f"{earlier['gave_up']}, {earlier['p99']:.2f} s" if earlier else "",
        )


def text(result: Result) -> str:
    """Return a table of all loads."""
    about = (
        "Claims and settlements of one person in one folder, in virtual time. The ledger is the "
        f"code that ships. A transaction takes {TRANSACTION * 1000:.0f} ms on average. As on AWS, "
        "other writes of its items are refused until it ends. If a call gives up, the state "
        "machine retries it some seconds later. These retries are not counted here."
    )
    head = ("load", "version", "gave up", "over budget", "median s", "99% s", "longest s")
    rows = [
        (
            *(each["load"], version, f"{each['gave_up']:,}", f"{each['refused']:,}"),
            *(f"{each[name]:.2f}" for name in ("p50", "p99", "longest")),
        )
        for version, loads in result.items()
        for each in loads
    ]
    return f"{about}\n\n{table(head, rows)}"
