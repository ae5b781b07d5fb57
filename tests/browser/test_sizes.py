"""The page shows exact sizes, and previews that are sharp on dense screens."""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make, visit
from tests.support.local_stack import LocalStack
from tests.support.reference_form import make_picture
from tests.support.seen_uploads import SeenUploads


@pytest.fixture
def folder(caller: Caller) -> str:
    """Make an image with exact sizes, and return its folder."""
    name = f"sizes/{uuid4().hex}"
    make(caller, prompt="A kite", folder_name=name, output_sizes=["open-graph", "300x400"])
    return name


def test_lightbox_lists_and_downloads_sizes(visitor: Visit, folder: str) -> None:
    page = visitor.page
    visitor.sign_in(f"#gallery?folder={folder}")
    page.locator("ul.tiles li > button").click()
    rows = page.locator(".exact-sizes li")

    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("open-graph")
    expect(rows.nth(0)).to_contain_text("1200 × 630, JPEG")
    expect(rows.nth(0)).to_contain_text("enlarged")
    expect(rows.nth(1)).to_contain_text("300 × 400")
    assert visitor.violations() == []
    visitor.wrong.clear()  # axe loads style sheets from addresses that the page does not have
    with page.expect_download() as download:
        rows.nth(0).get_by_role("link").click()
    assert download.value.suggested_filename.endswith(".png.1200x630.jpg")


@pytest.mark.parametrize(("density", "ending"), [(1, ".png.webp"), (2, ".png.640.webp")])
def test_tile_loads_a_sharp_preview(
    browser: Browser, aws: LocalStack, folder: str, density: int, ending: str
) -> None:
    size = {"width": 800, "height": 700}
    with visit(browser, aws, device_scale_factor=density, viewport=size) as visitor:
        visitor.sign_in(f"#gallery?folder={folder}")
        tile = visitor.page.locator("ul.tiles li.shown img")
        tile.wait_for()
        loaded = tile.evaluate("image => image.currentSrc")

    assert urlsplit(loaded).path.endswith(ending)


def test_form_asks_for_exact_sizes(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Your idea").fill("A kite")
    page.get_by_text("Exact sizes").click()
    page.get_by_role("checkbox", name="Open graph").check(force=True)
    expect(page.get_by_role("group", name="Size")).to_have_count(0)
    page.get_by_label("Others, in pixels").fill("9x9")
    expect(page.locator("#output_sizes-problem")).to_contain_text("Exact sizes can be")
    page.get_by_label("Others, in pixels").fill("300x400 64x64")
    page.get_by_label("Crop").select_option("center")
    page.get_by_role("switch", name="Share with a public link").check()
    assert visitor.violations() == []

    make_picture(page)

    sent = uploads.started[-1]
    assert sent["output_sizes"] == ["open-graph", "300x400", "64x64"]
    assert (sent["crop"], sent["share"], "size" in sent) == ("center", True, False)
    visitor.wrong.clear()  # the API refused 9x9, and axe loads style sheets that are not there
