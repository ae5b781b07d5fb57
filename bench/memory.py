"""The resident memory and CPU time of a local stack during a benchmark.

They are measured for its emulator, its functions and the stand-in.
"""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import process_memory
from local.processes import living_processes

EVERY_SECONDS = 0.2  # taking a sample costs about 5 ms
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Resident bytes at one time (epoch seconds).

    Memory that several processes share counts for each of them.
    """

    at: float
    emulator: int
    functions: int
    stand_in: int

    @property
    def total(self) -> int:
        """Return the sum of the parts."""
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """Return the bytes by part."""
        return {"emulator": self.emulator, "functions": self.functions, "stand-in": self.stand_in}


class Memory:
    """A sampler that takes samples while its block runs.

    It needs two process ids: the emulator's, whose process group includes its functions, and the
    stand-in's.
    """

    def __init__(self, *, emulator: int, stand_in: int) -> None:
        self.samples: list[Sample] = []
        self._emulator, self._stand_in = emulator, stand_in
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak(self) -> Sample:
        """Return the sample with the highest total."""
        return max(self.samples, key=lambda sample: sample.total)

    def _sample(self) -> None:
        while True:
            functions = sum(
                _resident(pid) for pid in living_processes(self._emulator) if pid != self._emulator
            )
            own = {
                "emulator": _resident(self._emulator),
                "functions": functions,
                "stand_in": _resident(self._stand_in),
            }
            self.samples.append(Sample(at=time.time(), **own))
            if self._over.wait(EVERY_SECONDS):
                return


def cpu_seconds(*, emulator: int, stand_in: int) -> dict[str, float]:
    """Return CPU seconds so far by part, including functions that have ended."""
    own, ended = _used(emulator)
    functions = sum(sum(_used(pid)) for pid in living_processes(emulator) if pid != emulator)
    return {"emulator": own, "functions": functions + ended, "stand-in": _used(stand_in)[0]}


def _used(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process, and of its children that have ended."""
    with suppress(OSError):
        # The name is in parentheses and may contain any character.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        user, system, ended_user, ended_system = (int(field) / TICKS for field in fields[11:15])
        return user + system, ended_user + ended_system
    return 0.0, 0.0


def _resident(pid: int) -> int:
    """Return the resident bytes that Linux reports, or 0 if the process has ended."""
    with suppress(OSError):
        return process_memory.resident(pid)
    return 0
