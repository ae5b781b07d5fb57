"""Folders that one of the test processes makes, and all of them read."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def make_once(
    factory: pytest.TempPathFactory, name: Sequence[str], make: Callable[[Path], None]
) -> Path:
    """Return the folder of this name. The first process that asks for it makes it."""
    base = factory.getbasetemp()
    # pytest-xdist gives each of its workers a folder inside the folder of the run.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = run / f"shared-{hashlib.sha256(repr(name).encode()).hexdigest()[:16]}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            make(folder)
    return folder
