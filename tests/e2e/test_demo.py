"""The demonstration, run as `make demo` runs it."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from local.deploy import ROOT
from tests.support.local_stack import free_port, own_environment

DEADLINE_SECONDS = 300
Demo = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    def start(**environment: str) -> "subprocess.Popen[str]":
        command = [
            sys.executable,
            "-m",
            "local",
            "demo",
            "--folder",
            str(tmp_path),
            "--port",
            str(free_port()),
        ]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=own_environment() | {"COLUMNS": "160"} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_demo_makes_five_images_and_leaves_nothing_running(demo: Demo, tmp_path: Path) -> None:
    running = demo()
    shown, errors = running.communicate(timeout=DEADLINE_SECONDS)
    assert running.returncode == 0, errors

    pictures = sorted((tmp_path / "pictures").iterdir())
    assert sorted(Image.open(picture).format or "" for picture in pictures) == [
        "JPEG",
        "PNG",
        "PNG",
        "PNG",
        "PNG",
    ]
    assert len({picture.read_bytes() for picture in pictures}) == 5
    assert {picture.stat().st_mode & 0o777 for picture in pictures} == {0o600}
    assert not [picture for picture in pictures if str(picture) not in shown]
    assert "nothing was paid" in shown
    assert not (tmp_path / "processes.json").exists()
    assert not (tmp_path / "emulator").exists()


@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_real_key_is_used_only_after_confirmation(demo: Demo, tmp_path: Path, typed: str) -> None:
    running = demo(OPENAI_API_KEY="sk-real", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    shown, errors = running.communicate(typed, timeout=DEADLINE_SECONDS)

    assert running.returncode == 1
    assert "http://127.0.0.1:9/v1" in shown
    assert "up to $" in shown
    assert "nothing was called or paid" in errors
    assert not (tmp_path / "processes.json").exists()
    assert not (tmp_path / "emulator").exists()


def test_demo_keeps_images_that_were_paid_for(demo: Demo, tmp_path: Path) -> None:
    paid_file = tmp_path / "emulator" / "paid-openai"
    paid_file.parent.mkdir()
    paid_file.touch()

    running = demo()
    shown, errors = running.communicate(timeout=DEADLINE_SECONDS)

    assert running.returncode == 0, errors
    assert "The data was kept" in shown
    assert paid_file.exists()
    assert (tmp_path / "emulator" / "state" / "s3.json").is_file()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "starting", [True, False], ids=["while the emulator starts", "while the stack is deployed"]
)
def test_demo_ends_everything_it_started(
    demo: Demo, tmp_path: Path, starting: bool, ending: signal.Signals
) -> None:
    running = demo()
    processes = tmp_path / "processes.json"
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (
        find_processes(tmp_path, "environ")
        if starting
        else processes.is_file() and "emulator" in processes.read_text()
    ):
        assert time.monotonic() < deadline, "it started nothing"
        time.sleep(0.01)
    running.send_signal(ending)
    _, errors = running.communicate(timeout=DEADLINE_SECONDS)

    assert running.returncode == 128 + ending
    assert "Traceback" not in errors
    assert not find_processes(tmp_path, "environ") + find_processes(tmp_path, "cmdline")


def find_processes(folder: Path, proc_file: str) -> list[Path]:
    """Return the processes that name this folder in their environment or command line.

    The environment identifies the emulator and its functions, and the command line the stand-in.
    """
    matches = []
    for file in Path("/proc").glob(f"[0-9]*/{proc_file}"):
        with contextlib.suppress(OSError):  # the process has ended in the meantime
            matches += [file] if str(folder).encode() in file.read_bytes() else []
    return matches
