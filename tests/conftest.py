"""The local stack is one for the whole session.

Whoever asks for `aws` gets it with a stand-in that remembers nothing.
"""

import signal
from collections.abc import Iterator

import pytest

from local import stack
from local.stack import Local
from tests.support.api_caller import Caller, machine
from tests.support.local_stack import LocalStack, free_port, own_environment


def pytest_configure() -> None:
    # A run that is ended from outside ends what it started, too, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    # Hardly any waiting between retries.
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
    """The running stack, with a stand-in that remembers nothing of the tests before."""
    running_stack.forget()
    return running_stack


@pytest.fixture
def caller(aws: LocalStack) -> Caller:
    """A program that may do all that the API can."""
    return machine(aws)
