"""Fixtures with fake OpenAI servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.fake_openai import Account, running_account


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    """Yield a function that starts fake OpenAI servers.

    Its arguments are options of `python -m local.fake_openai`.
    """
    with ExitStack() as running:

        def start_one(*options: str) -> Account:
            folder = tmp_path_factory.mktemp("fake-openai")
            return running.enter_context(running_account(folder, *options))

        yield start_one


@pytest.fixture(scope="module")
def quick(start: Callable[..., Account]) -> Account:
    """Start a server whose batches end when they are first read."""
    return start()


@pytest.fixture
def account(quick: Account) -> Account:
    """Return the quick server's account, cleared."""
    quick.forget()
    return quick
