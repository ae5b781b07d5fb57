"""The lightbox, the addresses of the page, and the browser's Back."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, make


@pytest.fixture
def folder(caller: Caller) -> str:
    """Return a folder with two images."""
    name = f"places/{uuid4().hex}"
    for words in ("First kite", "Second kite"):
        make(caller, prompt=words, folder_name=name)
    return name


def test_many_clicks_open_one_lightbox(visitor: Visit, folder: str) -> None:
    held: list[Route] = []
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/lightbox.js", hold)
    tile = page.locator("ul.tiles li > button").first

    tile.evaluate("tile => { for (let n = 0; n < 3; n += 1) tile.click(); }")
    expect(tile).to_have_attribute("aria-busy", "true")  # the click has arrived
    expect(page.locator(".pswp")).to_have_count(0)
    held[0].continue_()
    expect(page.locator("aside .prompt")).to_be_visible()
    page.get_by_role("button", name="Close").click()

    expect(page.locator(".pswp")).to_have_count(0)
    assert len(held) == 1


def test_back_closes_the_lightbox(visitor: Visit, folder: str) -> None:
    visitor.sign_in(f"#gallery?folder={folder}")
    page, box = visitor.page, visitor.page.locator(".pswp")
    gallery = page.url
    page.get_by_role("button", name="Second kite").click()
    page.locator("aside .prompt").wait_for()
    second = page.url

    page.keyboard.press("ArrowRight")
    expect(page.locator("aside h2")).to_have_text("First kite")
    assert len({gallery, second, page.url}) == 3

    page.go_back()
    expect(box).to_have_count(0)
    assert page.url == gallery

    page.go_forward()
    expect(page.locator("aside h2")).to_have_text("First kite")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(page).to_have_url(gallery)


def test_image_has_its_own_address(visitor: Visit, folder: str) -> None:
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="First kite").click()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("aside").get_by_role("status")).to_have_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")

    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("aside h2")).to_have_text("First kite")

    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1, name="Gallery")).to_be_visible()
    expect(page).to_have_url(re.compile("#gallery$"))


def test_link_to_missing_image_explains_itself(visitor: Visit, caller: Caller) -> None:
    image = make(caller, prompt="A kite", folder_name=f"places/{uuid4().hex}")
    caller.wait_for_end(caller("DELETE", f"/images/{image['id']}").json)

    visitor.sign_in(f"#gallery?image={image['id']}")

    expect(visitor.page.locator("#notes")).to_contain_text("This picture was deleted")
    expect(visitor.page).to_have_url(re.compile("#gallery$"))


def test_back_restores_earlier_filters(visitor: Visit, folder: str) -> None:
    visitor.sign_in("#gallery")
    page = visitor.page
    page.get_by_label("Folder").fill(folder)
    page.get_by_label("Folder").press("Enter")
    expect(page.locator("ul.tiles li")).to_have_count(2)

    page.go_back()

    expect(page.get_by_label("Folder")).to_have_value("")
    expect(page).to_have_url(re.compile("#gallery$"))


def test_back_from_a_run_finds_the_place(visitor: Visit, caller: Caller) -> None:
    folder = f"places/{uuid4().hex}"
    for n in range(3):
        request = {**SMALL, "prompt": f"Kite {n}", "count": 10, "folder_name": folder}
        caller.wait_for_end(caller.run(request, key=uuid4().hex).json)
    visitor.sign_in(f"#gallery?folder={folder}")
    page, tiles = visitor.page, visitor.page.locator("ul.tiles li > button")
    page.set_viewport_size({"width": 700, "height": 600})
    expect(tiles).to_have_count(24)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(tiles).to_have_count(30)
    page.evaluate("scrollTo(0, 500)")
    tiles.nth(15).click()
    page.get_by_role("button", name="Details").click()
    place = page.evaluate("scrollY")
    assert place > 0

    page.get_by_role("link", name="View run").click()
    expect(page.locator(".badge")).to_have_text("Done")
    page.go_back()
    page.locator("aside").wait_for()
    page.go_back()

    expect(page.locator(".pswp")).to_have_count(0)
    assert tiles.count() == 30
    assert page.evaluate("scrollY") == place


def test_folder_filter_suggests_what_is_typed(visitor: Visit, folder: str) -> None:
    visitor.sign_in("#gallery")
    page = visitor.page

    page.get_by_label("Folder").fill(folder[:-1])

    suggested = page.locator(f'#folders option[value="{folder}"]')
    expect(suggested).to_have_text(f"{folder} (2)")
