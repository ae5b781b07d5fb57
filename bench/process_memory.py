"""The memory of a process, as Linux reports it in /proc."""

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int | str = "self") -> int:
    """Return the bytes that are resident now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def peak(pid: int | str = "self") -> int:
    """Return the highest number of resident bytes so far.

    The number of getrusage includes the parent's memory from before the process's program began.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def reset_peak() -> None:
    """Reset this process's peak to its resident memory now."""
    Path("/proc/self/clear_refs").write_text("5")
