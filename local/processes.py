"""Start, list and end the processes of the stack: the emulator, its functions, the fake OpenAI."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_ROOT = Path(__file__).resolve().parents[1]
_PROC = Path("/proc")
REPEAT_SECONDS = 0.05
_OUR_COMMANDS = ("-m local.ministack", "-m local.fake_openai", "-m ministack", "/ministack-lambda-")


class ProcessError(RuntimeError):
    """A process did not start, or did not end."""


def start_module(
    module: str, arguments: Sequence[str] = (), *, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """Start `python -m module` in a new session. Its output goes to the log file.

    Ctrl-C does not reach the new session, so the caller has to stop the process. Call this function
    within `defer_signals`, and store the process in the same block.
    """
    log.unlink(missing_ok=True)  # a file keeps its mode when it is written again
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  the modules are our own or MiniStack's
            [sys.executable, "-m", module, *arguments],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextmanager
def end_on_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C, and exit with status 143 on SIGTERM, within the block.

    Python drops an exception that is raised in a finalizer, such as Popen's, or in a call from some
    functions written in C, such as io.BufferedReader's. So the exception is raised again until some
    code is handling it. From then on, further signals do not disturb the cleanup.
    """

    def end(number: int) -> None:
        if _is_ending():
            return
        signal.signal(signal.SIGALRM, lambda *_: end(number))
        signal.setitimer(signal.ITIMER_REAL, REPEAT_SECONDS)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    handlers = {
        number: signal.signal(number, lambda number, _: end(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _is_ending() -> bool:
    """Return whether the interrupted code handles an exception that a signal has raised."""
    error = sys.exc_info()[1]
    while error and not isinstance(error, KeyboardInterrupt | SystemExit):
        error = error.__context__
    return error is not None


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM while a process starts, so that its PID is never lost.

    The signals are not masked, because the new process would inherit the mask. SIGALRM is deferred
    as well, because `end_on_signals` repeats the others with it.
    """
    # Python delivers signals to the main thread only.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred: list[tuple[int, FrameType | None]] = []
    handlers = {
        number: signal.signal(number, lambda *call: deferred.append(call))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for raised, frame in deferred:
        handler = handlers[signal.Signals(raised)]
        if callable(handler):
            handler(raised, frame)
        elif handler == signal.SIG_DFL:
            signal.raise_signal(raised)


def stop(
    pid: int, *, patience_s: float = 10, report: Callable[[str], object] = lambda _: None
) -> None:
    """End a process that was started here with its whole group. Kill what does not end in time.

    The emulator saves its state and ends its functions. Do nothing if `pid` does not lead a process
    of the stack: the file that lists it may be older than a restart of the machine. `report` gets a
    line about each wait that people would notice.
    """
    if not any(_is_ours(command) for command in living_processes(pid).values()):
        return
    _signal(pid, signal.SIGTERM)
    if not wait_until(lambda: pid not in living_processes(pid), seconds=patience_s):
        # The emulator waits for the calls in progress, and each call waits for its function.
        # Once the functions have ended, the emulator saves its state and ends.
        functions = set(living_processes(pid)) - {pid}
        report(f"Still waiting: ending {len(functions)} functions that did not finish in time …")
        for function in functions:
            _signal(function, signal.SIGTERM)
        wait_until(lambda: pid not in living_processes(pid), seconds=patience_s)
    for survivor in living_processes(pid):
        _signal(survivor, signal.SIGKILL)
    if not wait_until(lambda: not living_processes(pid), seconds=patience_s):
        raise ProcessError(
            f"these processes did not end: {sorted(living_processes(pid))}; kill them by hand"
        )


def is_running(pid: int) -> bool:
    """Return whether this process is alive and belongs to a local stack."""
    return _is_ours(living_processes(pid).get(pid, ""))


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait for the condition, and return whether it became true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def living_processes(group: int) -> dict[int, str]:
    """Return the command line of each process of a process group that has not ended."""
    rows = _from_proc() if (_PROC / "self" / "stat").exists() else _from_ps()
    return {
        pid: command
        for pid, its_group, state, command in rows
        if its_group == group and not state.startswith("Z")
    }


def _from_proc() -> Iterator[tuple[int, int, str, str]]:
    """List the processes of a Linux machine or container, which may have no `ps`."""
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended in the meantime
            # The second field is the name in parentheses, which may contain any character.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            state, _parent, group, *_ = fields
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            yield int(folder.name), int(group), state, command.decode(errors="replace").strip()


def _from_ps() -> Iterator[tuple[int, int, str, str]]:
    """List the processes of a machine without /proc, such as a Mac."""
    columns = ["ps", "-axwwo", "pid=,pgid=,stat=,command="]
    listing = subprocess.check_output(columns, text=True)  # noqa: S603  the arguments are fixed
    for line in listing.splitlines():
        pid, group, state, command = [*line.split(None, 3), ""][:4]
        yield int(pid), int(group), state, command


def _is_ours(command: str) -> bool:
    return any(mark in command for mark in _OUR_COMMANDS)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
