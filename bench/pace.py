"""Print what happens when many workers share one rate limit: `python -m bench.pace`."""

import argparse
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table as Grid

from bench.pace_simulation import LIMIT, WORKERS, Outcome, simulate

TOO_HIGH = 400  # a setting that OpenAI's limit does not allow


def main() -> None:
    """Print the outcomes of a correct setting and of one that is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument(
        "--workers", type=int, default=WORKERS, help="lines that all batches work on at once"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=WORKERS,
        help="calls at once that RateLimit allows: max_parallel_images",
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcomes = []
    for setting in (LIMIT, TOO_HIGH):
        started = time.perf_counter()
        outcomes.append(
            simulate(
                items=options.items,
                workers=options.workers,
                at_once=options.at_once,
                setting=setting,
                seed=options.seed,
            )
        )
        print(
            f"setting {setting}: {outcomes[-1].seconds / 60:.1f} virtual minutes in "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    _print(outcomes)


def _print(outcomes: Sequence[Outcome]) -> None:
    title = (
        f"{outcomes[0].items:,} image calls by {outcomes[0].workers} workers against "
        f"{outcomes[0].limit} a minute"
    )
    grid = Grid(title=title, title_justify="left")
    grid.add_column("")
    for outcome in outcomes:
        grid.add_column(f"setting {outcome.setting}", justify="right")
    rows: dict[str, Callable[[Outcome], str]] = {
        "images stored": lambda outcome: f"{outcome.pictures:,}",
        "calls accepted": lambda outcome: f"{len(outcome.accepted):,}",
        "calls refused (429)": lambda outcome: (
            f"{outcome.refused:,}, {outcome.refused_percentage:.2f} %"
        ),
        "throughput, of the limit": lambda outcome: f"{outcome.throughput_percentage:.1f} %",
        "minutes, first to last call": lambda outcome: f"{outcome.seconds / 60:.1f}",
        "longest wait for a slot": lambda outcome: f"{outcome.longest_wait:.1f} s",
        "slots refused": lambda outcome: f"{outcome.no_slot:,}",
        "retries after a 429": lambda outcome: f"{outcome.retries:,}",
        "invocations of one image, most": lambda outcome: f"{outcome.most_attempts}",
        "DynamoDB updates per image": lambda outcome: (
            f"{outcome.calls['update_item'] / outcome.items:.2f}"
        ),
        "DynamoDB reads per image": lambda outcome: (
            f"{outcome.calls['get_item'] / outcome.items:.2f}"
        ),
        "DynamoDB write units per image": lambda outcome: (
            f"{outcome.write_units / outcome.items:.1f}"
        ),
    }
    for name, show in rows.items():
        grid.add_row(name, *map(show, outcomes))
    Console().print(grid)


if __name__ == "__main__":
    main()
