"""What people do with reference images in the page's form, for the tests."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, Request, Route, expect

from tests.support.browser import SECONDS, Visit
from tests.support.images import png

INBOX = re.compile("/references/inbox/")


def file(name: str, data: bytes | None = None, type_: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": type_, "buffer": png() if data is None else data}


def add(page: Page, *files: FilePayload) -> None:
    """Choose files with the form's button."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add reference images").click()
    chooser.value.set_files(list(files))


def ready(page: Page) -> Locator:
    """Return the references that can be used."""
    return page.locator(".reference:not(.busy, .failed)")


def make_picture(page: Page) -> None:
    expect(page.locator("#price.old")).to_have_count(0)
    page.locator("button.big:not([aria-disabled])").click()
    page.wait_for_url(re.compile("#run/"))


@contextmanager
def held(page: Page) -> Iterator[Callable[[int], list[Request]]]:
    """Hold back every file on its way to the bucket until the end of the block.

    The value waits for a number of files that are held back, and returns their requests.
    """
    routes: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "PUT":
            routes.append(route)
        else:
            route.fallback()

    def sent(count: int) -> list[Request]:
        end = time.monotonic() + SECONDS
        while len(routes) < count:
            assert time.monotonic() < end, f"only {len(routes)} files were sent"
            page.wait_for_timeout(20)
        return [route.request for route in routes]

    page.route(INBOX, hold)
    yield sent
    for route in routes:
        route.continue_()
    page.unroute(INBOX)


def open_brush(page: Page) -> Locator:
    page.get_by_role("button", name="Mark what may change").click()
    return page.get_by_role("application", name="The picture to mark")


def paint(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line with the mouse through points from 0 to 1."""
    box = page.locator(".stage canvas").bounding_box()
    assert box
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not number:
            page.mouse.down()
    page.mouse.up()


def share(page: Page) -> Locator:
    """Return the line that says how much is marked."""
    return page.locator(".brush [role=status]")


def show(visitor: Visit, picture: dict[str, Any]) -> Locator:
    """Open an image in the gallery, and return its details."""
    visitor.go(f"#gallery?image={picture['id']}")
    visitor.page.locator("aside .prompt").wait_for()
    return visitor.page.locator("aside")
