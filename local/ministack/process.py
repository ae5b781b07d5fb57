"""Start the emulator as a separate process. `local.processes.stop` ends it."""

import errno
import http.client
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import processes
from local.processes import ProcessError

_LOG_LINES_SHOWN = 20

# The functions inherit the emulator's environment, so it has only what is listed here. Nothing else
# of the developer's, such as a key or a token, reaches them.
_INHERITED = (
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "MALLOC_ARENA_MAX",
    "PATH",
    "TZ",
    # the way to a real OpenAI
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "OPENAI_BASE_URL",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    # settings of the emulator
    "LAMBDA_ACCOUNT_CONCURRENCY",
    "LOG_LEVEL",
    "SFN_WAIT_SCALE",
)
_INHERITED_PREFIXES = ("AWS_ENDPOINT_URL", "EASEL_", "LC_")


class EmulatorError(ProcessError):
    """The emulator did not start."""


class PortInUseError(EmulatorError):
    """Another process listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} is in use: stop the program that uses it, or choose another port with "
            "PORT=…"
        )


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """The access key of the emulator's root user. The emulator refuses all keys it has not issued.

    By default it is random.
    """

    id: str = field(default_factory=lambda: f"AKIA{secrets.token_hex(8).upper()}")
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig:
    """Where an emulator listens and writes, its key, and the environment that it inherits.

    Everything it writes is below `folder`. With `keep`, a later emulator finds the data there.
    """

    port: int
    folder: Path
    region: str
    keep: bool = True
    base: Mapping[str, str] = field(default_factory=lambda: os.environ)
    key: AccessKey = field(default_factory=AccessKey)

    @property
    def log(self) -> Path:
        """Return the path of the log of the emulator's last start."""
        return self.folder / "emulator.log"

    def environment(self) -> dict[str, str]:
        """Return the environment for the emulator, and create the folders that it names."""
        folders = {
            "TMPDIR": self.folder / "tmp",
            "STATE_DIR": self.folder / "state",
            "S3_DATA_DIR": self.folder / "objects",
        }
        for path in folders.values():
            path.mkdir(parents=True, exist_ok=True)
        inherited = {
            name: text
            for name, text in self.base.items()
            if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
        }
        return {
            **inherited,
            **{name: str(path.resolve()) for name, path in folders.items()},
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": self.region,
            "PERSIST_STATE": "1" if self.keep else "0",
            "S3_PERSIST": "1" if self.keep else "0",
            "AWS_ACCESS_KEY_ID": self.key.id,
            "AWS_SECRET_ACCESS_KEY": self.key.secret,
            "AUTH": "true",
            # These two servers listen on all interfaces and ignore BIND_HOST.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # A proxy is for requests to OpenAI only, never for requests on this machine.
            **{
                name: ",".join(filter(None, [self.base.get(name), "127.0.0.1,localhost"]))
                for name in ("NO_PROXY", "no_proxy")
            },
        }


def start(
    config: EmulatorConfig, *, module: str = "local.ministack", deadline_s: float = 30
) -> "subprocess.Popen[bytes]":
    """Start the emulator and wait until it answers.

    `module="ministack"` starts MiniStack without patches. Raise PortInUseError or EmulatorError.
    """
    _require_free(config.port)
    # A killed emulator leaves temporary files behind.
    shutil.rmtree(config.folder / "tmp", ignore_errors=True)
    environment, log = config.environment(), config.log
    process: subprocess.Popen[bytes] | None = None
    try:
        with processes.defer_signals():
            process = processes.start_module(module, environment=environment, log=log)
        in_time = processes.wait_until(
            lambda: process.poll() is not None or _answers(config.port), seconds=deadline_s
        )
    except BaseException:  # Ctrl-C and SIGTERM do not reach the emulator's session
        if process:
            processes.stop(process.pid)
        raise
    if not in_time:
        processes.stop(process.pid)
        problem = f"did not answer within {deadline_s:g} s"
    elif process.poll() is not None:
        problem = f"exited immediately with status {process.returncode}"
    else:
        return process
    raise EmulatorError(f"the emulator {problem}; the end of {log}:\n{_tail(log)}")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # Without this option, a port that was closed a moment ago would seem to be taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise PortInUseError(port) from error
            raise EmulatorError(
                f"cannot listen on port {port} ({error}); choose another port with PORT=…"
            ) from error


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
