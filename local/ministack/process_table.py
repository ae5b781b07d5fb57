"""Which processes there are, on Linux (also in a container that has no `ps`) and on macOS."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def living(group: int) -> dict[int, str]:
    """The command line of each process of a process group that has not ended."""
    rows = _from_proc() if (_PROC / "self" / "stat").exists() else _from_ps()
    return {pid: command for pid, of, state, command in rows if of == group and not state.startswith("Z")}


def _from_proc() -> Iterator[tuple[int, int, str, str]]:
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # The name, in parentheses, may hold anything.
            state, _parent, group, *_ = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            yield int(folder.name), int(group), state, command


def _from_ps() -> Iterator[tuple[int, int, str, str]]:
    columns = ["ps", "-axwwo", "pid=,pgid=,stat=,command="]
    listing = subprocess.run(columns, capture_output=True, text=True, check=True).stdout  # noqa: S603  nobody's input
    for line in listing.splitlines():
        pid, group, state, command = [*line.split(None, 3), ""][:4]
        yield int(pid), int(group), state, command
