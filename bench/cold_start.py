"""The CPU time and memory of each function's cold start, compared with other programs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import cold
from bench.section import MB, Figure, Options, Result, in_turns, table

NAME, TITLE = "cold-start", "Cold starts"
PEERS = ("bare script", "naive handler", "the SDKs alone", *cold.STEPS)
LIMITS = {"image": "≤ 1.10", "prompt": "≤ 1.05", "upload": "≤ 0.50", "cleanup": "≤ 0.45"}
BEFORE = ", before"


def measure(options: Options) -> Result:
    """Return the lowest CPU seconds and resident bytes of each peer."""
    earlier = [f"{step}{BEFORE}" for step in LIMITS] if options.earlier else []
    roots = options.versions()

    with tempfile.TemporaryDirectory() as folder:

        def once(name: str) -> tuple[float, int]:
            version = "before" if name.endswith(BEFORE) else "now"
            # The first of the rounds compiles. It does not count, since the lowest figure does.
            bytecode = Path(folder) / name.replace(" ", "-")
            return cold.once(name.removesuffix(BEFORE), bytecode=bytecode, root=roots[version])

        samples = in_turns((*PEERS, *earlier), once)
    return {
        part: {peer: min(sample[index] for sample in group) for peer, group in samples.items()}
        for index, part in enumerate(("cpu_seconds", "resident_bytes"))
    }


def figures(result: Result) -> Iterator[Figure]:
    """Compare the steps of a run with the bare script."""
    cpu = result["cpu_seconds"]
    bare = cpu["bare script"]
    for step, limit in LIMITS.items():
        before = cpu.get(f"{step}{BEFORE}")
        yield Figure(
            f"cold start of {step}, CPU / bare script",
            f"{cpu[step] / bare:.2f}",
            limit,
            f"{before / bare:.2f}" if before else "",
        )


def text(result: Result) -> str:
    """Return one row for each peer."""
    cpu, memory = result["cpu_seconds"], result["resident_bytes"]
    bare = cpu["bare script"]
    rows = [
        (peer, f"{cpu[peer] * 1000:.0f}", f"{cpu[peer] / bare:.2f}", f"{memory[peer] / MB:.0f}")
        for peer in cpu
    ]
    about = (
        "A new process until it can serve its first call. It imports modules and creates the "
        "clients that the call needs. The bytecode exists already. Easel's functions keep the "
        "garbage collector off during the start, and the other programs do not. The image step can "
        "therefore start faster than its SDKs alone."
    )
    return f"{about}\n\n{table(('what', 'CPU ms', '/ bare', 'resident MB'), rows)}"
