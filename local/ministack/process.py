"""Starting and ending the emulator as a process of its own."""

import contextlib
import errno
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from local import interruption
from local.ministack.process_table import living

_ROOT = Path(__file__).parents[2]
_LOG_LINES_SHOWN = 20
_OUR_COMMANDS = ("-m local.emulator", "-m ministack", "-m local.openai_server", "/ministack-lambda-")

# The functions inherit the emulator's environment. A secret is never in a function's environment, real credentials
# have no business here, and a function imports only what its own asset holds.
_NOT_PASSED_ON = ("OPENAI_API_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH")


class EmulatorError(RuntimeError):
    """The emulator did not start, or did not end."""


class PortInUseError(EmulatorError):
    """Something else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken: end what listens there, or choose another with PORT=…")


def environment(base: Mapping[str, str], *, port: int, folder: Path, region: str, keep: bool = True) -> dict[str, str]:
    """What the emulator must run with; all that it writes is under `folder`, and with `keep` outlives it."""
    folders = {"TMPDIR": folder / "tmp", "STATE_DIR": folder / "state", "S3_DATA_DIR": folder / "objects"}
    for path in folders.values():
        path.mkdir(parents=True, exist_ok=True)
    return {
        **{name: value for name, value in base.items() if name not in _NOT_PASSED_ON},
        **{name: str(path.resolve()) for name, path in folders.items()},
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": region,
        "PERSIST_STATE": "1" if keep else "0",
        "S3_PERSIST": "1" if keep else "0",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # These two listen on all interfaces, whatever BIND_HOST says.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # A proxy is for the way to OpenAI, not for calls on this machine.
        **{name: ",".join(filter(None, [base.get(name), "127.0.0.1,localhost"])) for name in ("NO_PROXY", "no_proxy")},
    }


def start(
    *,
    port: int,
    folder: Path,
    region: str,
    keep: bool = True,
    base: Mapping[str, str] = os.environ,
    module: str = "local.emulator",
    deadline_s: float = 30,
) -> subprocess.Popen[bytes]:
    """Start the emulator in a session of its own and wait until it answers; its log is `emulator.log` in the folder.

    `module="ministack"` starts the plain version. Raises PortInUseError and EmulatorError.
    """
    _require_free(port)
    shutil.rmtree(folder / "tmp", ignore_errors=True)  # what a killed emulator has left
    env = environment(base, port=port, folder=folder, region=region, keep=keep)
    log = folder / "emulator.log"
    process: subprocess.Popen[bytes] | None = None
    try:
        with log.open("wb") as output, interruption.held():
            process = subprocess.Popen(  # noqa: S603  nobody's input
                [sys.executable, "-m", module],
                cwd=_ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        in_time = _within(deadline_s, lambda: process.poll() is not None or _answers(port))
    except BaseException:  # Ctrl-C and SIGTERM, which do not reach the emulator's own session
        if process:
            stop(process.pid)
        raise
    if not in_time:
        stop(process.pid)
        raise EmulatorError(f"the emulator did not answer within {deadline_s:g} s; {log} ends:\n{_tail(log)}")
    if process.poll() is not None:
        raise EmulatorError(f"the emulator ended at once with status {process.returncode}; {log} ends:\n{_tail(log)}")
    return process


def stop(pid: int, *, patience_s: float = 10) -> None:
    """End the emulator: it saves its state and ends its functions; what then is left of its group is killed.

    Does nothing if `pid` leads no emulator: a file may name one from before a restart of the machine.
    """
    if not any(_is_ours(command) for command in living(pid).values()):
        return
    _signal(pid, signal.SIGTERM)
    if not _within(patience_s, lambda: pid not in living(pid)):
        # It waits for the calls under way, and each of those for its function: without them it goes on to save.
        for function in set(living(pid)) - {pid}:
            _signal(function, signal.SIGTERM)
        _within(patience_s, lambda: pid not in living(pid))
    for left in living(pid):
        _signal(left, signal.SIGKILL)
    if not _within(patience_s, lambda: not living(pid)):
        raise EmulatorError(f"processes of the emulator are still there: {sorted(living(pid))}")


def is_running(pid: int) -> bool:
    """Whether this process is an emulator, plain or patched, and alive."""
    return _is_ours(living(pid).get(pid, ""))


def _is_ours(command: str) -> bool:
    return any(mark in command for mark in _OUR_COMMANDS)


def _signal(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _within(seconds: float, happens: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happens():
            return True
        time.sleep(0.05)
    return happens()


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise PortInUseError(port) from error
            raise EmulatorError(f"port {port} can't be listened on ({error}): choose another with PORT=…") from error


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
