"""An image's idea and prompt in the form again, with all fields of its request."""

import re
from typing import Any
from uuid import uuid4

from playwright.sync_api import Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make
from tests.support.reference_form import show
from tests.support.seen_uploads import SeenUploads


def made(caller: Caller) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make an image from many fields. Return their request and the image."""
    folder = f"reuse/{uuid4().hex}"
    reference = make(caller, prompt="A teapot", folder_name=folder)
    caller("PUT", "/presets/reuse", {"fields": {"background": "opaque"}})
    request = {
        "description": "Our teapot on a table",
        "style": "Watercolour",
        "topic": "Sport",
        "avoid": ["text", "people"],
        "tags": ["spring", "shop"],
        "preset": "reuse",
        "size": "1536x1024",
        "quality": "low",
        "count": 2,
        "folder_name": folder,
        "output_format": "webp",
        "output_compression": 80,
        "reference_images": [reference["key"]],
    }
    return request, make(caller, **request)


def test_reused_idea_fills_the_whole_form(
    visitor: Visit, uploads: SeenUploads, caller: Caller
) -> None:
    request, image = made(caller)
    visitor.sign_in()
    page = visitor.page

    show(visitor, image).get_by_role("button", name="Reuse idea").click()

    expect(page.get_by_label("Your idea")).to_have_value(request["description"])
    expect(page.get_by_label("Use my text exactly")).not_to_be_checked()
    expect(page.get_by_label("Style")).to_have_value("Watercolour")
    expect(page.get_by_label("Pictures", exact=True)).to_have_value("2")
    expect(page.get_by_role("radio", name="Landscape")).to_be_checked()
    expect(page.get_by_role("img", name="Image 1: A teapot")).to_be_visible()
    carried = page.get_by_role("region", name="From the earlier request")
    expect(carried).to_contain_text("80")
    expect(page.locator("#preset")).to_have_value("reuse")
    expect(page.locator("#price.old")).to_have_count(0)
    sent = uploads.estimated[-1]
    assert {name: sent.get(name) for name in request} == request

    carried.get_by_role("button", name="Leave these out").click()
    expect(carried).to_have_count(0)
    expect(page.locator("#price.old")).to_have_count(0)
    assert "output_compression" not in uploads.estimated[-1]


def test_reused_prompt_keeps_the_other_fields(
    visitor: Visit, uploads: SeenUploads, caller: Caller
) -> None:
    request, image = made(caller)
    prompt = caller("GET", f"/images/{image['id']}").json["prompt"]
    visitor.sign_in()
    page = visitor.page

    show(visitor, image).get_by_role("button", name="Reuse prompt").click()

    expect(page.get_by_label("Your idea")).to_have_value(prompt)
    expect(page.get_by_label("Use my text exactly")).to_be_checked()
    expect(page.locator("#price.old")).to_have_count(0)
    sent = uploads.estimated[-1]
    words = {"description", "style", "avoid"}
    others = {name: value for name, value in request.items() if name not in words}
    assert {name: sent.get(name) for name in others} == others
    assert sent["prompt"] == prompt
    assert not words & sent.keys()


def test_older_image_offers_its_prompt_only(visitor: Visit, caller: Caller) -> None:
    image = make(caller, prompt="A kite", folder_name=f"reuse/{uuid4().hex}")

    def without_request(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"request": None})

    visitor.page.route(re.compile(f"/images/{image['id']}$"), without_request)
    visitor.sign_in()
    about = show(visitor, image)
    expect(about.get_by_role("button", name="Reuse idea")).to_have_count(0)

    about.get_by_role("button", name="Reuse prompt").click()

    expect(visitor.page.get_by_label("Your idea")).to_have_value("A kite")
    expect(visitor.page.get_by_label("Use my text exactly")).to_be_checked()
