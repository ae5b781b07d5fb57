"""The prompt first: written, read, edited, and painted once."""

import json
import re
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, add_user


def write_prompt(visitor: Visit, idea: str) -> Page:
    """Have a prompt written for the idea, and return its page."""
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Your idea").fill(idea)
    page.get_by_role("radio", name="Low").check()
    expect(page.get_by_role("button", name="Write the prompt first")).to_contain_text("up to $")
    page.get_by_role("button", name="Write the prompt first").click()
    page.wait_for_url(re.compile("#run/"))
    expect(page.locator(".badge")).to_have_text("Prompt written")
    return page


def test_prompt_is_written_edited_and_painted_once(visitor: Visit, caller: Caller) -> None:
    idea = f"A kite {uuid4().hex}"
    page = write_prompt(visitor, idea)
    text = page.get_by_label("The prompt")
    assert idea in text.input_value()
    expect(page.locator(".written")).to_contain_text(re.compile(r"For up to \$0\.\d\d"))
    assert visitor.aws.charges()["images"] == 0
    assert visitor.violations() == []
    visitor.wrong.clear()  # axe sets inline styles, which the content policy refuses

    text.fill(f"A blue {idea}")
    visitor.go("#runs")
    expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    page.go_back()
    expect(text).to_have_value(f"A blue {idea}")
    page.get_by_role("button", name="Paint 1 picture").click()

    expect(page.locator(".badge")).to_have_text("Done")
    expect(page.locator("ul.tiles li button")).to_have_count(1)
    expect(page.locator("blockquote")).to_have_text(f"A blue {idea}")
    charges = visitor.aws.charges()
    assert (charges["images"], charges["chat"]) == (1, 1)
    images = caller("GET", "/images", query={"limit": "1"}).json["images"]
    whole = caller("GET", f"/images/{images[0]['id']}").json
    assert whole["prompt"] == f"A blue {idea}"


def test_prompt_painted_elsewhere_explains_the_conflict(visitor: Visit) -> None:
    page = write_prompt(visitor, f"A kite {uuid4().hex}")
    run_id, aws = page.url.rpartition("/")[2], visitor.aws
    machine = aws.outputs["state_machine_arn"].replace(":stateMachine:", ":execution:")
    writing = aws.describe(f"{machine}:{run_id}")
    assert writing
    aws.run(json.loads(writing["input"]) | {"only_prompt": False})
    page.get_by_label("The prompt").fill("Another prompt")
    page.get_by_role("button", name="Paint").click()

    expect(page.get_by_role("alert")).to_contain_text("painted from another prompt already")
    assert visitor.aws.charges()["images"] == 1
    visitor.wrong = [message for message in visitor.wrong if "409" not in message]


def test_written_prompt_becomes_a_new_request(visitor: Visit) -> None:
    page = write_prompt(visitor, f"A kite {uuid4().hex}")
    page.get_by_label("The prompt").fill("A finished prompt")
    page.get_by_role("button", name="Use as a new request").click()

    expect(page.get_by_label("Your idea")).to_have_value("A finished prompt")
    expect(page.get_by_label("Use my text exactly")).to_be_checked()
    expect(page.get_by_role("radio", name="Low")).to_be_checked()
    expect(page.get_by_role("button", name="Write the prompt first")).to_have_count(0)


def test_role_look_only_reads_the_prompt(visitor: Visit, caller: Caller) -> None:
    request = {**SMALL, "description": "A kite", "only_prompt": True}
    run = caller.wait_for_end(caller.run(request, key=uuid4().hex).json)
    visitor.sign_in(f"#run/{run['id']}", user=add_user(visitor.aws, "look"))

    expect(visitor.page.get_by_label("The prompt")).not_to_be_editable()
    expect(visitor.page.get_by_role("button", name="Paint")).to_have_count(0)
