"""Pictures from pictures: edits, variations, and what a picture was made from."""

import re
from typing import Any
from uuid import uuid4

from playwright.sync_api import expect

from tests.support.api_caller import Caller
from tests.support.api_uploads import uploaded
from tests.support.browser import SMALL, Visit, make
from tests.support.images import png
from tests.support.reference_form import make_picture, show
from tests.support.seen_uploads import SeenUploads


def test_edit_asks_what_should_change(visitor: Visit, uploads: SeenUploads, caller: Caller) -> None:
    picture: Any = make(caller, prompt="A teapot", folder_name=f"edit/{uuid4().hex}")
    visitor.sign_in()
    page = visitor.page
    show(visitor, picture).get_by_role("button", name="Edit").click()
    words = page.get_by_label("What should change?")
    expect(words).to_be_focused()
    expect(words).to_have_value("")
    expect(page.get_by_role("img", name="Image 1: A teapot")).to_be_visible()
    expect(page.locator("#price")).to_contain_text("Write what should change.")
    expect(page.locator("button.big")).to_have_attribute("aria-disabled", "true")

    words.fill("Paint it blue")
    expect(page.locator("button.big")).not_to_have_attribute("aria-disabled", "true")
    make_picture(page)

    sent = uploads.started[-1]
    assert (sent["prompt"], sent["reference_images"]) == ("Paint it blue", [picture["key"]])
    assert (sent["size"], sent["count"]) == (SMALL["size"], 1)


def test_variations_show_their_price(visitor: Visit, uploads: SeenUploads, caller: Caller) -> None:
    picture: Any = make(caller, prompt="A teapot", folder_name=f"vary/{uuid4().hex}")
    visitor.sign_in()
    page = visitor.page
    show(visitor, picture).get_by_role("button", name="Vary").click()
    buy = page.get_by_role("button", name=re.compile(r"Make 3 variations for up to \$0\.\d\d$"))
    expect(buy).to_be_visible()

    buy.click()
    page.wait_for_url(re.compile("#run/"))

    sent = uploads.started[-1]
    assert (sent["prompt"], sent["count"]) == ("A teapot", 3)
    assert sent["reference_images"] == [picture["key"]]


def test_reused_prompt_brings_its_references(visitor: Visit, caller: Caller) -> None:
    folder = f"reuse/{uuid4().hex}"
    first: Any = make(caller, prompt="A teapot", folder_name=folder)
    request = {"prompt": "A blue teapot", "reference_images": [first["key"]]}
    second: Any = make(caller, folder_name=folder, **request)
    visitor.sign_in()

    show(visitor, second).get_by_role("button", name="Reuse prompt").click()

    expect(visitor.page.get_by_role("img", name="Image 1: A teapot")).to_be_visible()
    expect(visitor.page.get_by_label("Your idea")).to_have_value("A blue teapot")


def test_details_link_relatives(visitor: Visit, caller: Caller) -> None:
    folder = f"lineage/{uuid4().hex}"
    first = make(caller, prompt="A teapot", folder_name=folder)
    keys = [first["key"], uploaded(caller, png())["key"]]
    second = make(caller, prompt="A blue teapot", folder_name=folder, reference_images=keys)
    keys = [second["key"]]
    make(caller, prompt="A red teapot", folder_name=folder, reference_images=keys, count=3)
    visitor.sign_in()
    about = show(visitor, second)
    made_from = about.get_by_role("region", name="Made from")
    expect(made_from.get_by_role("listitem")).to_have_text(["Image 1", "Image 2"])
    expect(made_from.get_by_role("link")).to_have_text(["Image 1"])
    expect(about.get_by_role("region", name="Used in 3 pictures")).to_contain_text("A red teapot")

    made_from.get_by_role("link", name="Image 1").click()
    expect(about.get_by_role("heading", level=2)).to_have_text("A teapot")

    visitor.page.go_back()
    expect(about.get_by_role("heading", level=2)).to_have_text("A blue teapot")
    expect(about).to_contain_text("3 pictures were made from it. They stay.")
    about.get_by_role("button", name="Delete").click()
    expect(visitor.page.locator("#notes")).to_contain_text(
        "“A blue teapot” is deleted. 3 pictures were made from it. They stay."
    )


def test_slider_compares_by_keyboard(visitor: Visit, caller: Caller) -> None:
    folder = f"compare/{uuid4().hex}"
    first = make(caller, prompt="Old", folder_name=folder)
    keys = [first["key"]]
    second = make(caller, prompt="New", folder_name=folder, reference_images=keys)
    visitor.sign_in()
    page = visitor.page
    about = show(visitor, second)
    about.get_by_role("button", name="Compare before and after").click()
    slider = page.get_by_role("slider", name="The line between before and after")
    expect(slider).to_have_attribute("aria-valuetext", "50 % before, 50 % after")

    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "100 % before, 0 % after")
    expect(page.locator(".both .after")).to_have_css("clip-path", "inset(0px 0px 0px 100%)")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "99 % before, 1 % after")
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog", name="Before and after")).to_have_count(0)
    expect(about.get_by_role("heading", level=2)).to_have_text("New")
    expect(about.get_by_role("button", name="Compare before and after")).to_be_focused()


def test_gallery_image_is_added_to_the_references(
    visitor: Visit, uploads: SeenUploads, caller: Caller
) -> None:
    word = uuid4().hex
    names = (f"Old {word}", f"New {word}")
    first, second = (make(caller, prompt=name, folder_name="add") for name in names)
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Your idea").fill("Both in one picture")
    show(visitor, first).get_by_role("button", name="Add to my reference images").click()
    expect(page.get_by_role("img", name=f"Image 1: Old {word}")).to_be_visible()

    tile = page.locator("ul.tiles li.shown").get_by_role("button", name=names[1])
    tile.drag_to(page.get_by_role("heading", level=1))

    expect(page.get_by_role("img", name=f"Image 2: New {word}")).to_be_visible()
    expect(page.get_by_label("Your idea")).to_have_value("Both in one picture")
    expect(page.locator("#price.old")).to_have_count(0)
    keys = [first["key"], second["key"]]
    assert uploads.estimated[-1]["reference_images"] == keys
    assert not uploads.names


def test_failed_run_brings_its_references(visitor: Visit, caller: Caller) -> None:
    picture: Any = make(caller, prompt="A teapot", folder_name=f"again/{uuid4().hex}")
    keys = [picture["key"]]
    request = SMALL | {"prompt": "A blue teapot", "dry_run": True, "reference_images": keys}
    run = caller.wait_for_end(caller.run(request, key=uuid4().hex).json)
    page = visitor.page
    visitor.sign_in(f"#run/{run['id']}")
    page.get_by_role("button", name="Make it").click()

    expect(page.get_by_role("img", name="Image 1: A teapot")).to_be_visible()
    expect(page.get_by_label("Your idea")).to_have_value("A blue teapot")
