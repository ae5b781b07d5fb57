"""Start the fake OpenAI as a separate process. `local.processes.stop` ends it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from local import processes
from local.processes import ProcessError

_DEADLINE_S = 30


class FakeOpenAIError(ProcessError):
    """The fake OpenAI did not start."""


def start(folder: Path, options: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """Start the server without waiting for it. Its URL and its log are written to `folder`."""
    url_file = _url_file(folder)
    url_file.unlink(missing_ok=True)
    arguments = ["--port", "0", "--ready-file", str(url_file), *options]
    # By default, each thread that paints would keep its own pool of memory.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    log = _log(folder)
    return processes.start_module("local.fake_openai", arguments, environment=environment, log=log)


def wait_until_ready(process: "subprocess.Popen[bytes]", folder: Path) -> str:
    """Return the base URL once the server listens. Raise FakeOpenAIError if it does not start."""
    url_file = _url_file(folder)
    processes.wait_until(
        lambda: url_file.is_file() or process.poll() is not None, seconds=_DEADLINE_S
    )
    if not url_file.is_file():
        raise FakeOpenAIError(f"the fake OpenAI did not start; see {_log(folder)}")
    return url_file.read_text().strip()


def _url_file(folder: Path) -> Path:
    return folder / "openai.url"


def _log(folder: Path) -> Path:
    return folder / "openai.log"
