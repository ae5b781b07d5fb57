"""The limits inside a function's process. This text is put before MiniStack's script for it."""

import errno
import io
import os
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

TMP_BYTES, CLOCK_SKEW = "_EASEL_TMP_BYTES", "_EASEL_CLOCK_SKEW"


def apply_limits(folder: str) -> None:
    """Apply the limits in the environment to this process, whose own folder this is."""
    tempfile.tempdir = os.environ["TMPDIR"] = os.path.join(folder, "tmp")  # noqa: PTH118
    os.mkdir(tempfile.tempdir)  # noqa: PTH102
    if limit := int(os.environ.pop(TMP_BYTES)):
        _Storage(os.path.realpath(tempfile.tempdir), limit).limit_temporary_files()
    if skew := float(os.environ.pop(CLOCK_SKEW)):
        _skew_clock(skew)


class _Storage:
    """The storage for temporary files, and how many bytes are left."""

    def __init__(self, folder: str, limit: int) -> None:
        self._folder, self._limit, self._left = folder, limit, limit

    def limit_temporary_files(self) -> None:
        module: Any = tempfile
        module._io = SimpleNamespace(**{**vars(io), "open": self._open})

    def take(self, size: int) -> None:
        """Count a write. Raise OSError if it does not fit."""
        if size > self._left:
            # Files may have been deleted since.
            self._left = self._limit - self._used()
        if size > self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= size

    def _used(self) -> int:
        """Return the bytes of all files: those with a name, and those that are only open."""
        inodes: dict[int, int] = {}
        for path, _, names in os.walk(self._folder):
            for name in names:
                status = os.stat(os.path.join(path, name))  # noqa: PTH116, PTH118
                inodes[status.st_ino] = status.st_size
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            try:
                target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
                status = os.fstat(int(name))
            except OSError:  # it was the descriptor of the listing itself
                continue
            if target.startswith(f"{self._folder}/"):
                inodes[status.st_ino] = status.st_size
        return sum(inodes.values())

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, **options: Any) -> Any:
        """Open a file as `open` does, and count what is written to it."""
        storage = self

        class Counted(io.FileIO):
            def write(self, data: Any) -> int:
                storage.take(memoryview(data).nbytes)
                return super().write(data)

        raw = Counted(
            file,
            mode.translate({ord("b"): None, ord("t"): None}),
            opener=options.pop("opener", None),
        )
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, **options)


def _skew_clock(seconds: float) -> None:
    # time-machine would import pytest if it is installed, which takes half a second.
    sys.modules["pytest"] = None  # type: ignore[assignment]
    import time_machine

    del sys.modules["pytest"]
    time_machine.travel(time.time() + seconds).start()
    time.time()  # the skewed clock starts with its first use
