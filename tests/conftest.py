"""The local stack, which the whole session shares.

The fixture `aws` clears the stand-in before each test.
"""

import signal
from collections.abc import Iterator

import pytest

from local import stack
from local.stack import Local
from tests.support.api_caller import Caller, machine
from tests.support.local_stack import LocalStack, free_port, own_environment


def pytest_configure() -> None:
    # On SIGTERM, pytest ends what it has started, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    # Retries wait hardly at all.
    environment = own_environment() | {"SFN_WAIT_SCALE": "0.02"}
    local = Local(
        folder=tmp_path_factory.mktemp("stack"),
        port=free_port(),
        settings=(),
        environment=environment,
    )
    outputs = stack.up(local)
    try:
        yield LocalStack(outputs)
    finally:
        stack.down(local, keep=False)


@pytest.fixture
def aws(running_stack: LocalStack) -> LocalStack:
    """Return the running stack, with a stand-in that has forgotten all earlier tests."""
    running_stack.forget()
    return running_stack


@pytest.fixture
def caller(aws: LocalStack) -> Caller:
    """Return a program that may use the whole API."""
    return machine(aws)
