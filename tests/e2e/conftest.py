"""A local stack of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import stack
from local.stack import Local
from tests.support.local_stack import free_port, own_environment


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """Yield a local stack for one test, which is not up yet."""
    mine = Local(
        folder=tmp_path / "local", port=free_port(), settings=(), environment=own_environment()
    )
    yield mine
    stack.down(mine, keep=False)
