"""Plain MiniStack and the patched emulator, each started once per session."""

from collections.abc import Iterator

import pytest

from tests.support.distributed_map import BUCKET, MAP_STEP
from tests.support.emulator import STEP, Emulator, Launcher, running_emulator


@pytest.fixture(scope="session")
def plain_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run MiniStack as published, so that a test of a patch can first show its gap."""
    with running_emulator(tmp_path_factory.mktemp("plain"), module="ministack") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def patched_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run MiniStack with our patches. Executions are known at once, so that no test waits."""
    folder, strict = tmp_path_factory.mktemp("patched"), "late_executions=0"
    with running_emulator(folder, module="local.ministack", strict=strict) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def steps(plain_emulator: Emulator, patched_emulator: Emulator) -> dict[Emulator, str]:
    """Create a function in each emulator that does what its event says.

    It is called once, to warm up.
    """
    names = {
        emulator: emulator.create_function(STEP) for emulator in (plain_emulator, patched_emulator)
    }
    for emulator, name in names.items():
        emulator.invoke(name, {})
    return names


@pytest.fixture
def launch() -> Iterator[Launcher]:
    """Yield a launcher of emulators for one test, and end them after the test."""
    launcher = Launcher()
    yield launcher
    launcher.stop_all()


@pytest.fixture(scope="session")
def map_steps(plain_emulator: Emulator, patched_emulator: Emulator) -> dict[Emulator, str]:
    """Create the function that the Distributed Maps call."""
    return {
        emulator: emulator.create_function(MAP_STEP)
        for emulator in (plain_emulator, patched_emulator)
    }


@pytest.fixture(scope="session")
def lists(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    """Create the bucket with the items of Distributed Maps."""
    for emulator in (plain_emulator, patched_emulator):
        emulator.create_bucket(BUCKET, versions=True)
