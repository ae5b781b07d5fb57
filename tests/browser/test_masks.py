"""The mask of the first reference image, drawn with mouse, finger and keys."""

import io
import re

from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support.browser import Visit, visit
from tests.support.images import png
from tests.support.local_stack import LocalStack
from tests.support.reference_form import add, file, make_picture, open_brush, paint, ready, share
from tests.support.seen_uploads import SeenUploads

CLEAR, BLACK = (0, 0, 0, 0), (0, 0, 0, 255)


def mask_of(uploads: SeenUploads) -> Image.Image:
    return Image.open(io.BytesIO(uploads.body(uploads.id_of("mask.png"))))


def test_mask_is_a_png_of_the_image_size(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, file("teapot.png", png(1000, 600)))
    expect(ready(page)).to_have_count(1)

    open_brush(page)
    expect(share(page)).to_have_text("Nothing is marked yet.")
    paint(page, (0.25, 0.5), (0.75, 0.5))
    page.get_by_role("radio", name="Erase").check()
    paint(page, (0.5, 0.5))
    expect(share(page)).to_have_text(re.compile(r"^\d+ % of the picture may change\.$"))
    page.get_by_role("button", name="Use this mask").click()
    expect(page.get_by_role("button", name="Change the mask")).to_be_focused()
    expect(page.locator(".reference img.mask")).to_be_visible()
    page.get_by_label("Your idea").fill("A new handle")
    expect(page.locator("button.big")).not_to_have_attribute("aria-disabled", "true")
    make_picture(page)

    mask = mask_of(uploads)
    assert (mask.size, mask.mode) == ((1000, 600), "RGBA")
    assert {colour for _, colour in mask.getcolors() or []} == {CLEAR, BLACK}
    assert [mask.getpixel((x, 300)) for x in (100, 300, 500, 700)] == [BLACK, CLEAR, BLACK, CLEAR]
    assert uploads.started[-1]["mask"] == uploads.key(uploads.id_of("mask.png"))


def test_mask_is_drawn_with_keys(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, file("teapot.png", png(800, 800)))
    expect(ready(page)).to_have_count(1)
    stage = open_brush(page)
    stage.press("Space")
    expect(share(page)).to_have_text("Less than 1 % of the picture may change.")

    stage.press("Control+z")
    expect(share(page)).to_have_text("Nothing is marked yet.")
    stage.press("Control+Shift+z")
    expect(share(page)).to_have_text("Less than 1 % of the picture may change.")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(share(page)).to_have_text("Nothing is marked yet.")
    page.get_by_role("button", name="Undo").click()
    for _ in range(4):
        stage.press("+")
    expect(page.get_by_role("slider", name="Size")).to_have_value("12")
    page.keyboard.down("Space")
    for _ in range(4):
        stage.press("ArrowRight")
    page.keyboard.up("Space")
    page.get_by_role("button", name="Use this mask").press("Enter")
    expect(page.get_by_role("button", name="Change the mask")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)

    # Four steps of half a brush: from the middle at 400 to 592.
    mask = mask_of(uploads)
    places = ((400, 400), (600, 400), (660, 400), (400, 460), (340, 400))
    assert [mask.getpixel(place) for place in places] == [CLEAR, CLEAR, BLACK, BLACK, BLACK]


def test_mask_is_drawn_by_touch(browser: Browser, aws: LocalStack) -> None:
    with visit(browser, aws, viewport={"width": 390, "height": 844}, has_touch=True) as visitor:
        page = visitor.page
        SeenUploads(aws, page).watch()
        visitor.sign_in()
        add(page, file("teapot.png"))
        expect(ready(page)).to_have_count(1)

        open_brush(page).tap()

        expect(share(page)).to_have_text("1 % of the picture may change.")


def test_closed_brush_keeps_its_marks(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, file("teapot.png"))
    expect(ready(page)).to_have_count(1)
    open_brush(page)
    paint(page, (0.5, 0.5))
    expect(share(page)).to_have_text("1 % of the picture may change.")

    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Mark what may change")).to_be_focused()
    open_brush(page)

    expect(share(page)).to_have_text("1 % of the picture may change.")


def test_mask_goes_with_its_image(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, file("a.png"), file("b.png"))
    expect(ready(page)).to_have_count(2)
    open_brush(page)
    paint(page, (0.5, 0.5))
    page.get_by_role("button", name="Use this mask").click()
    expect(page.locator("img.mask")).to_be_visible()

    page.get_by_role("button", name="Move Image 2 left").click()

    expect(page.locator("#notes")).to_contain_text(
        "The mask is removed, because Image 1 has changed."
    )
    expect(page.locator("img.mask")).to_have_count(0)
    expect(page.locator("#price.old")).to_have_count(0)
    assert "mask" not in uploads.estimated[-1]
