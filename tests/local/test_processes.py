"""The processes of the stack: listing and ending them, and signals while one starts."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from local import processes


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_block_acts_after_it(name: signal.Signals) -> None:
    result: list[str] = []
    before = signal.signal(name, lambda *_: result.append("the signal"))
    try:
        with processes.defer_signals():
            signal.raise_signal(name)
            result.append("the block")

        assert result == ["the block", "the signal"]
        assert callable(signal.getsignal(name))
    finally:
        signal.signal(name, before)


def test_without_signal_nothing_changes() -> None:
    before = [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)]

    with processes.defer_signals():
        pass

    assert [signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)] == before


# The signal arrives where Python drops the exception of its handler.
IN_FINALIZER = """
class Finalized:
    def __del__(self):
        arrive()

Finalized()
"""
IN_C = """
import io

class Raw(io.RawIOBase):
    def readable(self):
        return True

    def tell(self):
        arrive()
        return 0

io.BufferedReader(Raw())
"""
DROPPED = """
import os, signal, time
from local.processes import end_on_signals

def arrive():
    os.kill(os.getpid(), {signal})
    time.sleep(0.01)

with end_on_signals():
    try:
        exec({place!r})
        time.sleep(60)
    finally:
        os.kill(os.getpid(), {signal})
        time.sleep({pause})
        print("cleaned up")
"""


@pytest.mark.parametrize("place", [IN_FINALIZER, IN_C], ids=["in a finalizer", "called from C"])
@pytest.mark.parametrize(
    ("name", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_dropped_signal_ends_after_cleanup(name: signal.Signals, status: int, place: str) -> None:
    pause = 4 * processes.REPEAT_SECONDS
    script = DROPPED.format(signal=int(name), place=place, pause=pause)
    ended = subprocess.run(
        [sys.executable, "-c", script], timeout=50, check=False, capture_output=True, text=True
    )

    assert (ended.returncode, ended.stdout) == (status, "cleaned up\n")


@pytest.mark.parametrize(
    "listing",
    [
        pytest.param(
            processes._from_ps,
            marks=pytest.mark.skipif(not shutil.which("ps"), reason="a bare Linux has no ps"),
        ),
        pytest.param(
            processes._from_proc,
            marks=pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no Linux"),
        ),
    ],
)
def test_listing_has_this_process(listing: Callable[[], Iterable[tuple[Any, ...]]]) -> None:
    this = os.getpid()
    assert next(row[:2] for row in listing() if row[0] == this) == (this, os.getpgrp())


def test_stop_leaves_other_processes_alone() -> None:
    # A PID in the file may since belong to another program.
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as other:
        processes.stop(other.pid)
        assert other.poll() is None
