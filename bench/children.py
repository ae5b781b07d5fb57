"""Child processes of benchmarks, which end with their block."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from infra import ROOT
from local import processes

END_SECONDS = 60  # a section takes its stack down before it ends


@contextmanager
def running(
    module: str, arguments: Sequence[str], **call: Any
) -> "Iterator[subprocess.Popen[str]]":
    """Run `python -m module` until the block ends. `call` has more arguments of Popen."""
    process: subprocess.Popen[str] | None = None
    try:
        with processes.defer_signals():
            command = [sys.executable, "-m", module, *arguments]
            process = subprocess.Popen(command, cwd=ROOT, text=True, **call)
        yield process
    finally:
        if process:
            _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
