"""Presets, tags and what to avoid, in the form that makes images."""

import json
import re
from typing import Any
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, make


def name_preset() -> str:
    return f"brand-{uuid4().hex[:8]}"


def make_picture(visitor: Visit, caller: Caller) -> dict[str, Any]:
    """Make what the form holds, and return the ended run."""
    page = visitor.page
    page.locator("button.big").click()
    page.wait_for_url(re.compile("#run/"))
    expect(page.locator(".badge")).to_have_text("Done")
    return dict(caller("GET", f"/runs/{page.url.rpartition('/')[2]}").json)


def image_of(run: dict[str, Any], caller: Caller) -> dict[str, Any]:
    (picture,) = run["pictures"]
    return dict(caller("GET", f"/images/{picture['id']}").json)


def open_save(page: Page) -> None:
    page.locator("summary", has_text="Save as preset").click()


def test_preset_is_saved_chosen_and_used(visitor: Visit, caller: Caller) -> None:
    name, example = name_preset(), make(caller, prompt="An example")
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Style").fill("Paper cut")
    page.get_by_label("Avoid").fill("text, people,")
    page.get_by_label("Tags").fill("spring")
    page.get_by_role("radio", name="Landscape").check()
    page.get_by_role("radio", name="Low").check()
    open_save(page)
    page.get_by_label("Name of the preset").fill(name)
    expect(page.get_by_role("checkbox", name="Style: Paper cut")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Format: png")).not_to_be_checked()
    page.locator(f"[name=preset_example][value='{example['id']}']").check()
    page.get_by_role("button", name="Save the preset").click()
    # The label "Preset" is also a part of the label of the name, which holds this value already.
    expect(page.locator("#preset")).to_have_value(name)
    saved = {each["name"]: each for each in caller("GET", "/presets").json["presets"]}[name]
    assert saved["fields"] == {
        "style": "Paper cut",
        "avoid": ["text", "people"],
        "size": "1536x1024",
        "quality": "low",
        "tags": ["spring"],
    }
    assert saved["example"] == example["id"]

    page.get_by_label("Your idea").fill("A teapot")
    run = make_picture(visitor, caller)

    assert run["request"] == {"preset": name, "description": "A teapot"}
    image = image_of(run, caller)
    assert (image["size"], image["quality"]) == ("1536x1024", "low")
    assert "spring" in image["tags"]  # the chat model adds others


def test_own_values_win_and_survive_the_choice(visitor: Visit, caller: Caller) -> None:
    name = name_preset()
    fields = {"style": "Linocut print", "folder_name": f"p-{uuid4().hex}", **SMALL}
    assert caller("PUT", f"/presets/{name}", {"fields": fields}).status == 200
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Style").fill("Watercolour")
    page.locator("#preset").select_option(name)
    expect(page.get_by_label("Style")).to_have_value("Watercolour")
    expect(page.get_by_label("Folder")).to_have_value(fields["folder_name"])
    expect(page.get_by_label("Width x height")).to_have_value("1024x640")

    page.reload()
    expect(page.locator("#preset")).to_have_value(name)
    run = make_picture(visitor, caller)

    assert run["request"] == {"preset": name, "style": "Watercolour"}
    assert image_of(run, caller)["folder"] == fields["folder_name"]

    visitor.go("#make")
    page.locator("#preset").select_option("")
    expect(page.get_by_label("Folder")).to_have_value("")
    expect(page.get_by_label("Style")).to_have_value("Watercolour")


def test_saving_again_keeps_what_the_form_lacks(visitor: Visit, caller: Caller) -> None:
    name, example = name_preset(), make(caller, prompt="An example")
    fields = {"file_name": "brand_{n}", "style": "Linocut print"}
    body = {"fields": fields, "example": example["id"]}
    assert caller("PUT", f"/presets/{name}", body).status == 200
    visitor.sign_in()
    page = visitor.page
    page.locator("#preset").select_option(name)
    page.get_by_label("Style").fill("Paper cut")
    open_save(page)
    expect(page.locator(f"[name=preset_example][value='{example['id']}']")).to_be_checked()
    page.get_by_role("button", name="Save the preset").click()
    expect(page.get_by_text(f"Saved. {name} is chosen above.")).to_be_visible()

    saved = {each["name"]: each for each in caller("GET", "/presets").json["presets"]}[name]
    assert saved["fields"] == {"file_name": "brand_{n}", "style": "Paper cut"}
    assert saved["example"] == example["id"]


def test_preset_is_deleted_after_a_question(visitor: Visit, caller: Caller) -> None:
    name = name_preset()
    assert caller("PUT", f"/presets/{name}", {"fields": {"quality": "low"}}).status == 200
    visitor.sign_in()
    page = visitor.page
    page.locator("#preset").select_option(name)
    page.get_by_role("button", name="Delete this preset").click()
    page.get_by_role("button", name=f"Really delete {name}").click()

    expect(page.locator("#preset")).not_to_have_value(name)
    assert name not in [each["name"] for each in caller("GET", "/presets").json["presets"]]


def test_wrong_name_and_deleted_preset_are_explained(visitor: Visit, caller: Caller) -> None:
    name = name_preset()
    assert caller("PUT", f"/presets/{name}", {"fields": {"quality": "low"}}).status == 200
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Style").fill("Paper cut")
    open_save(page)
    page.get_by_label("Name of the preset").fill("My Brand")
    page.get_by_role("button", name="Save the preset").click()
    expect(page.locator("#preset-name-problem")).to_contain_text("lowercase letters")
    assert visitor.violations() == []

    page.locator("#preset").select_option(name)
    expect(page.locator("#price")).to_contain_text("Up to $")
    assert caller("DELETE", f"/presets/{name}").status == 200
    page.get_by_label("Your idea").fill("A kite")

    expect(page.locator("#preset-problem")).to_contain_text("Preset can be one of the presets")
    visitor.wrong.clear()  # of the refusals, and of axe's inline styles


def test_tags_are_limited_kept_and_in_the_snippet(visitor: Visit, caller: Caller) -> None:
    visitor.sign_in()
    page, tags = visitor.page, visitor.page.get_by_label("Tags")
    tags.fill(",".join(f"tag {n}" for n in range(25)))
    expect(page.get_by_role("button", name="Remove tag")).to_have_count(20)
    for n in range(2, 20):
        page.get_by_role("button", name=f"Remove tag {n}", exact=True).click()
    tags.fill("a<b")
    tags.press("Enter")
    expect(page.locator("#tags-problem")).to_contain_text("Tags can be 1 to 50 characters")
    expect(tags).to_have_attribute("aria-invalid", "true")
    tags.press("Backspace")
    expect(page.locator("#price")).to_contain_text("Up to $")
    visitor.wrong = [message for message in visitor.wrong if "400" not in message]

    page.reload()
    page.locator("summary", has_text="Use by API").click()
    expect(page.locator("pre code")).to_contain_text(json.dumps(["tag 0", "tag 1"])[1:8])
    run = make_picture(visitor, caller)

    assert run["request"]["tags"] == ["tag 0", "tag 1"]
    assert image_of(run, caller)["tags"][:2] == ["tag 0", "tag 1"]


def test_request_of_a_preset_fills_the_form(visitor: Visit, caller: Caller) -> None:
    name = name_preset()
    fields = {"style": "Linocut print", "tags": ["spring"], "avoid": ["text"], **SMALL}
    assert caller("PUT", f"/presets/{name}", {"fields": fields}).status == 200
    request = {"preset": name, "description": "A kite", "tags": ["autumn"], "dry_run": True}
    run = caller.wait_for_end(caller.run(request, key=uuid4().hex).json)
    visitor.sign_in(f"#run/{run['id']}")
    page = visitor.page
    page.get_by_role("button", name="Make it").click()

    expect(page.get_by_label("Your idea")).to_have_value("A kite")
    expect(page.locator("#preset")).to_have_value(name)
    expect(page.get_by_label("Style")).to_have_value("Linocut print")
    expect(page.get_by_role("button", name="Remove text")).to_be_visible()
    expect(page.get_by_role("button", name="Remove autumn")).to_be_visible()
    expect(page.get_by_role("button", name="Remove spring")).to_have_count(0)
