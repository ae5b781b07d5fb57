"""Fake OpenAI servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.fake_openai import Account, running_account


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Account]]:
    """Start fake OpenAI servers, with options of `python -m local.fake_openai`."""
    with ExitStack() as running:

        def start_one(*options: str) -> Account:
            folder = tmp_path_factory.mktemp("fake-openai")
            return running.enter_context(running_account(folder, *options))

        yield start_one


@pytest.fixture(scope="module")
def quick(start: Callable[..., Account]) -> Account:
    """Start a server whose batches end when they are next read."""
    return start()


@pytest.fixture
def account(quick: Account) -> Account:
    """Clear the account of the quick server."""
    quick.forget()
    return quick
