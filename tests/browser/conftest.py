"""A browser on the local stack's page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Visit, chromium, visit
from tests.support.local_stack import LocalStack
from tests.support.seen_uploads import SeenUploads


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def visitor(browser: Browser, aws: LocalStack) -> Iterator[Visit]:
    with visit(browser, aws, reduced_motion="reduce") as visiting:
        yield visiting


@pytest.fixture
def uploads(visitor: Visit) -> SeenUploads:
    """Keep what the visitor's page sends about uploads and references."""
    seen = SeenUploads(visitor.aws, visitor.page)
    seen.watch()
    return seen
