"""The processes of the stack: listing and ending them, and signals while one starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

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


def test_both_process_listings_agree() -> None:
    this = os.getpid()
    expected = (this, os.getpgrp())
    assert next(row[:2] for row in processes._from_ps() if row[0] == this) == expected
    if Path("/proc/self/stat").exists():
        assert next(row[:2] for row in processes._from_proc() if row[0] == this) == expected


def test_stop_leaves_other_processes_alone() -> None:
    # A PID in the file may since belong to another program.
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as other:
        processes.stop(other.pid)
        assert other.poll() is None
