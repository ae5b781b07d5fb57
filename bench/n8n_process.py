"""Installs n8n and runs its commands, for the comparison and for the check of an example.

n8n is installed once (3 GB, about six minutes) and keeps its defaults.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infra import NODE
from local import processes
from local.deploy import ROOT
from local.processes import living_processes
from tests.support.local_stack import free_port

VERSION = "2.41.1"
INSTALLED = ROOT / ".local" / "n8n"
LOG = INSTALLED / "log"
N8N = INSTALLED / "node_modules" / "n8n" / "bin" / "n8n"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
OFF = (
    "DIAGNOSTICS",
    "VERSION_NOTIFICATIONS",
    "TEMPLATES",
    "PERSONALIZATION",
    "DYNAMIC_BANNERS",
    "LICENSE_AUTO_RENEW",
)
END_SECONDS = 15


def n8n_environment(home: Path) -> dict[str, str]:
    """Return the complete environment of n8n.

    With it, n8n writes only into `home`, listens on loopback, and calls no other server on its own.
    """
    home.mkdir()
    return {
        "PATH": f"{NODE.parent}{os.pathsep}{os.defpath}",
        **dict.fromkeys(("HOME", "TMPDIR", "N8N_USER_FOLDER"), str(home)),
        **{
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(free_port()),
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
        },
        **{f"N8N_{name}_ENABLED": "false" for name in OFF},
        # These modules request lists of available servers and packages.
        "N8N_DISABLED_MODULES": "mcp-registry,community-packages",
    }


def install() -> None:
    """Install n8n if it is not installed.

    Only SQLite's install script is run, because it compiles. The scripts of other packages fetch
    files that are not on npm and not used here.
    """
    version_file = INSTALLED / "version"
    if version_file.is_file() and version_file.read_text() == VERSION:
        return
    if not shutil.which("c++"):
        raise SystemExit(
            "n8n's SQLite is compiled and there is no C++ compiler; on Debian: apt-get install g++ "
            "make"
        )
    print(f"Installing n8n {VERSION}: minutes, once …", file=sys.stderr)
    INSTALLED.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", os.defpath)])
    environment = {
        **os.environ,
        "PATH": path,
        "npm_config_nodedir": str(NODE.parents[1]),
        "npm_config_build_from_source": "true",
    }
    quiet = ["--prefix", str(INSTALLED), "--no-audit", "--no-fund"]
    run_to_end([str(NPM), "install", *quiet, "--ignore-scripts", f"n8n@{VERSION}"], environment)
    run_to_end([str(NPM), "rebuild", *quiet, "sqlite3"], environment)
    version_file.write_text(VERSION)


def import_workflow(
    environment: Mapping[str, str], workflow: str, credentials: Sequence[Mapping[str, Any]]
) -> None:
    """Import the credentials, and the workflow that uses them, into n8n."""
    contents = {"credentials": json.dumps(credentials), "workflow": workflow}
    for kind, content in contents.items():
        file = Path(environment["HOME"]) / f"{kind}.json"
        file.write_text(content)
        run_to_end([str(N8N), f"import:{kind}", f"--input={file}"], environment)


def run_to_end(script: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a script with Node. Raise SystemExit if it fails."""
    with running(script, environment) as process:
        if process.wait():
            raise SystemExit(
                f"{' '.join(script[:2])} ended with status {process.returncode}; see {LOG}"
            )


@contextmanager
def running(
    script: Sequence[str], environment: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a script with Node, in a process group that ends with the block."""
    process: subprocess.Popen[bytes] | None = None
    try:
        with LOG.open("ab") as log, processes.defer_signals():
            process = subprocess.Popen(
                [NODE, *script],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            with processes.defer_signals():
                _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + END_SECONDS
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_)
        while living_processes(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    process.wait()
