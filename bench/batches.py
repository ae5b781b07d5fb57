"""A large batch on its own local stack.

It measures the pace, whether the pace stays constant, the memory, and the effects of faults and of
a crash.

Run `python -m bench.batches --items 1000`, with `--faults` for a fault at every twentieth call, or
with `--kill` for a crash in the middle. The stand-in for OpenAI is not part of the stack and keeps
running, as OpenAI would, so its bill covers all starts.
"""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench import crashes, stacks
from bench.batch import SETTINGS, BenchBatch, print_rows
from bench.memory import Memory, Sample
from bench.section import MB
from local import processes, stack

TENTHS = 10


def main() -> None:
    """Bring up a separate stack, measure, and take the stack down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--chat", action="store_true", help="let the chat model write each prompt")
    trouble = parser.add_mutually_exclusive_group()
    trouble.add_argument("--faults", action="store_true", help="let every twentieth call fail")
    trouble.add_argument(
        "--kill",
        nargs="?",
        const="power",
        choices=crashes.KINDS,
        help="crash it; see bench/crashes.py",
    )
    options = parser.parse_args()
    with processes.end_on_signals(), stacks.with_lasting_openai(*SETTINGS) as (local, stand_in):
        batch = BenchBatch(aws=stacks.client_of(local), items=options.items, chat=options.chat)
        if options.kill:
            crashes.crash(options.kill, local, batch)
        else:
            _measure(
                batch,
                emulator=stack.started_processes(local)["emulator"],
                stand_in=stand_in,
                faults=options.faults,
            )


def _measure(batch: BenchBatch, *, emulator: int, stand_in: int, faults: bool) -> None:
    batch.upload()
    scripted = (
        {f"fault: {name}": f"{number}" for name, number in batch.script_faults().items()}
        if faults
        else {}
    )
    with Memory(emulator=emulator, stand_in=stand_in) as memory:
        result = batch.wait(batch.start())
    stored_at = batch.stored_at()
    if len(stored_at) >= 2 * TENTHS:
        _print_tenths(stored_at, memory.samples)
    peak = memory.peak
    rows = {
        "images per second": f"{len(stored_at) / result.seconds:.2f}",
        "memory at its peak": _megabytes(peak.total),
        **{f"  of that {name}": _megabytes(size) for name, size in peak.parts().items()},
    }
    print_rows(
        f"A batch of {batch.items:,} images of "
        f"1024x640{', each with a chat call' if batch.chat else ''}",
        rows,
    )
    print_rows("Outcome", result.rows())
    print_rows("Payments", scripted | result.account(batch.aws.charges(), batch.items))


def _print_tenths(stored_at: Sequence[float], samples: Sequence[Sample]) -> None:
    table = Table(title="Tenths, in the order in which images were stored", title_justify="left")
    for column in ("tenth", "s per image", *samples[0].parts(), "in all"):
        table.add_column(column, justify="right")
    size, paces = len(stored_at) // TENTHS, []
    for tenth in range(TENTHS):
        first, last = tenth * size, min((tenth + 1) * size, len(stored_at) - 1)
        at_end = min(samples, key=lambda sample: abs(sample.at - stored_at[last]))
        paces.append((stored_at[last] - stored_at[first]) / (last - first))
        table.add_row(
            f"{tenth + 1}",
            f"{paces[-1]:.3f}",
            *map(_megabytes, at_end.parts().values()),
            _megabytes(at_end.total),
        )
    console = Console()
    console.print(table)
    ratios = (
        f"{paces[-1] / paces[0]:.2f} times as long as the first, the slowest "
        f"{max(paces) / min(paces):.2f} times the fastest"
    )
    console.print(f"the last tenth takes {ratios}", highlight=False)


def _megabytes(size: int) -> str:
    return f"{size / MB:.0f} MB"


if __name__ == "__main__":
    main()
