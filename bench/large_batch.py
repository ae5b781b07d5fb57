"""A very long batch: the check and the price of its lines with the code that ships.

Each check is a separate process (bench/large_check.py), whose bucket is a folder. One check is
killed in the middle, and the next one continues in the same folder. For the last check, half of the
lines already have their images.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.large_check import EXECUTION, MANIFEST
from bench.section import MB, MIB, Figure, Result, table
from easel.contract import naming
from easel.ledger.batches import LINES, PROBLEMS
from infra import ROOT
from infra.functions.catalogue import BATCH

MANY, LARGE = 5_000, 100_000
EVERY = 20  # one line in this many is faulty
FAULTS = (
    '{"prompt": "not closed',
    '{"prompt": "A kite", "quality": "best"}',
    '{"prompt": "A kite", "count": 11}',
)
WORDS = "over a field in soft morning light, seen from below, as a watercolour with much white"
CORE_MB = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
TMP_MIB = 512
POLL_SECONDS = 0.01


def measure(*, large: bool) -> Result:
    """Return the cost of each check, and whether it wrote the same files as the first one."""
    lines = LARGE if large else MANY
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as name:
        folder = Path(name)
        manifest = folder / MANIFEST
        manifest.parent.mkdir()
        manifest.write_text("".join(f"{line}\n" for line in map(_line, range(lines))))
        rows.append({"check": "the first"} | _check(folder))
        first = _files(folder)
        tmp = manifest.stat().st_size + sum(map(len, first.values()))
        _kill(folder, after=rows[0]["cpu_seconds"] / 2)
        rows.append({"check": "killed halfway and repeated"} | _check(folder, bought=0))
        same = _files(folder) == first
        half = rows[0]["lines"] // 2
        rows.append({"check": f"with {half:,} lines made"} | _check(folder, bought=half))
        rest = first["todo.jsonl"].splitlines()[half:]
        skips = _files(folder)["todo.jsonl"].splitlines() == rest
    return {
        "rows": rows,
        "manifest_lines": lines,
        "tmp_bytes": tmp,
        "same_files": same,
        "skips_bought": skips,
        "digest": sha256(first["todo.jsonl"]).hexdigest()[:8],
    }


def _line(number: int) -> str:
    if number % EVERY == EVERY // 2:
        return FAULTS[number // EVERY % len(FAULTS)]
    request = {
        "prompt": f"A kite numbered {number} {WORDS}",
        "quality": "low",
        "folder_name": "ads",
    }
    return json.dumps(request)


def _command(folder: Path, bought: int | None) -> list[str]:
    more = [] if bought is None else [str(bought)]
    return [sys.executable, "-m", "bench.large_check", str(folder), *more]


def _check(folder: Path, *, bought: int | None = None) -> dict[str, Any]:
    start = time.monotonic()
    ended = subprocess.run(
        _command(folder, bought), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, Any] = json.loads(ended.stdout)
    return result | {"seconds": time.monotonic() - start}


def _kill(folder: Path, *, after: float) -> None:
    """Kill a check some seconds after it has begun, and remove the earlier check's files."""
    for path in _paths(folder).values():
        path.unlink()
    started = folder / "started"
    started.unlink()
    process = subprocess.Popen(_command(folder, None), cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        while not started.exists() and process.poll() is None:
            time.sleep(POLL_SECONDS)
        time.sleep(after)
    finally:
        process.kill()
        process.wait()
    if _paths(folder)["todo.jsonl"].exists():
        raise SystemExit("the check ended before it was killed; measure with more lines")
    # The killed process has lost its table, so the next one gets the record of its start. It also
    # gets an empty file of lines, which it does not read.
    _paths(folder)[LINES].parent.mkdir(parents=True, exist_ok=True)
    _paths(folder)[LINES].touch()


def _paths(folder: Path) -> dict[str, Path]:
    work = folder / naming.batch_work("large", EXECUTION)
    return {name: work / name for name in (LINES, "todo.jsonl", PROBLEMS)}


def _files(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in _paths(folder).items()}


def _lambda_seconds(row: dict[str, Any]) -> float:
    """Return the seconds that the CPU time takes with the function's share of a CPU."""
    return float(row["cpu_seconds"]) * CORE_MB / BATCH.memory_mb


def figures(result: Result) -> Iterator[Figure]:
    """Return the memory, the time and what a repeated check does."""
    rows, name = result["rows"], f"batch of {result['manifest_lines']:,} lines"
    peak = max(row["peak_bytes"] for row in rows)
    yield Figure(f"{name}: peak memory", f"{peak / MIB:.0f} MiB", f"≤ {BATCH.memory_mb} MiB")
    tmp = result["tmp_bytes"] / MIB
    yield Figure(f"{name}: temporary files", f"{tmp:.0f} MiB", f"≤ {TMP_MIB} MiB")
    seconds = max(map(_lambda_seconds, rows))
    share = BATCH.memory_mb / CORE_MB
    yield Figure(f"{name}: seconds at {share:.2f} vCPU", f"{seconds:.0f}", "≤ 900")
    yield Figure(f"{name}: killed and repeated, the same files", str(result["same_files"]), "True")
    yield Figure(f"{name}: only missing lines to be made", str(result["skips_bought"]), "True")
    yield Figure(f"{name}: reserved by a check", f"{rows[0]['reserved']} micro-dollars", "0")


def text(result: Result) -> str:
    """Return one row for each check."""
    rows = [
        (
            row["check"],
            f"{row['lines']:,}",
            f"{row['bad']:,}",
            f"{row['todo']:,}",
            f"{row['cpu_seconds']:.1f}",
            f"{_lambda_seconds(row):.0f}",
            f"{row['table_calls']:,}",
            f"{row['peak_bytes'] / MB:.0f}",
        )
        for row in result["rows"]
    ]
    head = (
        "check",
        "good lines",
        "bad",
        "to be made",
        "CPU s",
        "s on Lambda",
        "table calls",
        "MB peak",
    )
    about = (
        "The table is in the process. Its records count in the peak memory, but its CPU time does "
        "not count. The CPU is this machine's. A killed process loses its table, so the next one "
        "gets the record of its start. A check writes nothing else to the table before its files."
    )
    return f"{about}\n\n{table(head, rows)}"
