"""The benchmark ends all that it started, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from bench import children, stacks
from local import processes, stack
from local.deploy import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no Linux")
START_SECONDS, END_SECONDS = 120, 90
MARK = "EASEL_BENCH_TEST"  # the emulator and its functions inherit variables with this prefix
EMULATOR, FUNCTION, STAND_IN = "local.ministack", "ministack-lambda-", "local.fake_openai"


@pytest.fixture
def mark() -> Iterator[str]:
    """Yield a value for MARK, and kill the processes that a failed test has left."""
    value = uuid4().hex
    yield value
    for pid in marked(value):
        os.kill(pid, signal.SIGKILL)


def marked(value: str) -> dict[int, str]:
    """Return the command of each living process whose environment has the mark."""
    commands = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={value}".encode() in (folder / "environ").read_bytes():
                commands[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it has ended, or belongs to another user
    return commands


def runs(value: str, *parts: str) -> bool:
    """Return whether a process with the mark has each of these parts in its command."""
    commands = " ".join(marked(value).values())
    return all(part in commands for part in parts)


@pytest.mark.parametrize(
    ("section", "started"),
    [
        pytest.param("gallery", (EMULATOR, FUNCTION, STAND_IN), id="stack"),
        pytest.param("paint", ("bench.sink", "bench.painters"), id="TLS server"),
        pytest.param("search", ("bench.search_store",), id="store"),
    ],
)
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_section_ends_its_processes(
    mark: str, tmp_path: Path, section: str, started: tuple[str, ...], ending: signal.Signals
) -> None:
    arguments = ["--section", section, "--folder", str(tmp_path), "--no-report"]
    bench = subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env=os.environ | {MARK: mark},
        start_new_session=True,
    )
    assert processes.wait_until(lambda: runs(mark, *started), seconds=START_SECONDS)

    # A terminal and a supervisor signal the whole group, and make signals its child once more. So
    # signals also arrive during the cleanup.
    for _ in range(3):
        os.killpg(bench.pid, ending)
        time.sleep(0.2)

    # A signal after the cleanup has its usual effect.
    statuses = {signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}[ending]
    assert bench.wait(END_SECONDS) in statuses
    assert marked(mark) == {}
    assert not list(tmp_path.iterdir())


def test_failed_section_ends_its_stack(mark: str) -> None:
    def fail() -> None:
        with stacks.running(environment={MARK: mark}) as local:
            started.update(stack.started_processes(local))
            assert runs(mark, EMULATOR, FUNCTION)
            raise ValueError("a section failed")

    started: dict[str, int] = {}
    with pytest.raises(ValueError, match="a section failed"):
        fail()

    assert marked(mark) == {}
    assert not processes.living_processes(started["stand_in"])


def test_stack_that_does_not_start_leaves_nothing(mark: str) -> None:
    with (
        pytest.raises(Exception, match="setting"),
        stacks.running(settings=("no_such_setting=1",), environment={MARK: mark}),
    ):
        pass

    assert marked(mark) == {}


def test_child_that_ignores_the_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "END_SECONDS", 0.1)
    script = "import signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)"
    with children.running(
        "timeit", ["-n1", "-r1", script + "; signal.pause()"], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()

    assert child.returncode == -signal.SIGKILL
