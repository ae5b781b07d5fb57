"""The page while the API's lists lag behind what was just changed.

Each test holds the lists back as they were before the change, because no lag would be long enough
on every machine.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, make

LISTS = re.compile(r"/images\?")
STATUSES = ("stored", "deleted")


@pytest.fixture
def folder() -> str:
    return f"lag/{uuid4().hex}"


@contextmanager
def held_lists(visitor: Visit, caller: Caller, folder: str) -> Iterator[None]:
    """Answer each list of the folder's images as it is now, until the end of the block."""
    held = {
        status: caller("GET", "/images", query={"folder": folder, "status": status}).body
        for status in STATUSES
    }

    def answer(route: Route) -> None:
        (status,) = parse_qs(urlsplit(route.request.url).query).get("status", ["stored"])
        route.fulfill(body=held[status], content_type="application/json")

    visitor.page.route(LISTS, answer)
    try:
        yield
    finally:
        visitor.page.unroute(LISTS)


def wait_for_list(caller: Caller, folder: str, *, stored: int) -> None:
    def number() -> int:
        return len(caller("GET", "/images", query={"folder": folder}).json["images"])

    caller.aws.until(lambda: number() == stored)


def test_deleted_image_moves_between_late_lists(
    visitor: Visit, caller: Caller, folder: str
) -> None:
    for words in ("First kite", "Second kite"):
        make(caller, prompt=words, folder_name=folder)
    wait_for_list(caller, folder, stored=2)
    visitor.sign_in(f"#gallery?folder={folder}")
    page, tiles = visitor.page, visitor.page.locator("ul.tiles li")
    expect(tiles).to_have_count(2)

    with held_lists(visitor, caller, folder):
        page.get_by_role("button", name="Second kite").click()
        page.locator("aside").get_by_role("button", name="Delete").click()
        expect(page.locator("#notes")).to_contain_text("is deleted")
        visitor.go("#deleted")
        expect(page.locator("ul.rows li")).to_contain_text("Second kite")
        visitor.go(f"#gallery?folder={folder}")
        expect(tiles).to_have_count(1)
        visitor.go("#deleted")
        wait_for_list(caller, folder, stored=1)

    with held_lists(visitor, caller, folder):
        visitor.go("#runs")
        visitor.go("#deleted")
        page.get_by_role("button", name="Restore Second kite").click()
        expect(page.locator("#notes")).to_contain_text("is restored to the gallery")
        visitor.go(f"#gallery?folder={folder}")
        expect(tiles).to_have_count(2)
        visitor.go("#deleted")
        expect(page.locator(".state")).to_contain_text("Nothing was deleted")


def test_folder_follows_late_lists(visitor: Visit, caller: Caller, folder: str) -> None:
    make(caller, prompt="A kite", folder_name=folder)
    wait_for_list(caller, folder, stored=1)
    visitor.sign_in(f"#gallery?folder={folder}")
    page, tiles = visitor.page, visitor.page.locator("ul.tiles li")
    expect(tiles).to_have_count(1)

    with held_lists(visitor, caller, folder):
        page.get_by_role("button", name="Delete this folder").click()
        page.get_by_label("Type the folder's name").fill(folder)
        page.get_by_role("button", name="Delete 1 picture").click()
        expect(page.locator(".state")).to_contain_text("No pictures found")
        wait_for_list(caller, folder, stored=0)

    with held_lists(visitor, caller, folder):
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#notes")).to_contain_text(f"The folder {folder} is restored")
    expect(tiles).to_have_count(1)


def test_new_image_is_added_to_late_list(visitor: Visit, caller: Caller, folder: str) -> None:
    visitor.sign_in("#gallery")
    page = visitor.page
    with held_lists(visitor, caller, folder):
        run = caller.run({**SMALL, "prompt": "A kite", "folder_name": folder}, key=uuid4().hex)
        visitor.go(f"#run/{run.json['id']}")
        expect(page.locator(".badge")).to_have_text("Done")

        visitor.go(f"#gallery?folder={folder}")
        page.get_by_role("button", name="A kite").click()
        expect(page.locator("aside")).to_contain_text("low quality")


def test_new_run_may_be_unknown_for_a_moment(visitor: Visit, caller: Caller, folder: str) -> None:
    run = caller.run({**SMALL, "prompt": "A kite", "folder_name": folder}, key=uuid4().hex).json
    page, reads = visitor.page, []

    def lose_the_second(route: Route) -> None:
        reads.append(route.request.url)
        if len(reads) == 1:
            route.fulfill(json=run | {"status": "running", "ended": None})
        elif len(reads) == 2:
            route.fulfill(status=404, json={"detail": "there is no such run"})
        else:
            route.continue_()

    page.route(re.compile(f"/runs/{run['id']}$"), lose_the_second)
    visitor.sign_in(f"#run/{run['id']}")

    expect(page.locator(".badge")).to_have_text("Done")
    assert len(reads) > 2
    visitor.wrong = [message for message in visitor.wrong if "404" not in message]


def test_started_run_is_shown_before_it_is_known(visitor: Visit) -> None:
    page, polls = visitor.page, list[str]()

    def lose(route: Route) -> None:
        polls.append(route.request.url)
        if len(polls) == 1:
            route.fulfill(status=404, json={"detail": "there is no such run"})
        else:
            route.continue_()

    visitor.sign_in()
    page.route(re.compile(r"/runs/[^/]+$"), lose)

    page.get_by_role("button", name="Surprise me").click()

    expect(page.locator(".badge")).to_have_text("Done")
    assert len(polls) > 1
    visitor.wrong = [message for message in visitor.wrong if "404" not in message]


def test_purged_image_is_not_listed(visitor: Visit, caller: Caller, folder: str) -> None:
    image = make(caller, prompt="A kite", folder_name=folder)
    caller.wait_for_end(caller("DELETE", f"/images/{image['id']}").json)
    purge = {"action": "delete_folder", "folder_name": folder, "confirm": True, "purge": True}
    visitor.aws.run(purge)

    def deleted() -> list[str]:
        images = caller("GET", "/images", query={"status": "deleted", "folder": folder}).json
        return [entry["id"] for entry in images["images"]]

    visitor.aws.until(lambda: deleted() == [])
    assert caller("POST", f"/images/{image['id']}/restore").status == 404
