"""The form that makes images: what it says and keeps, and what starts a purchase."""

import json
import re
from uuid import uuid4

from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, make, visit
from tests.support.local_stack import LocalStack

WIDTHS = (320, 360, 414, 480, 599, 600, 700, 768, *range(800, 840, 4), 960, 1024, 1280)


def expect_refused(visitor: Visit) -> None:
    """Leave out the browser's own lines about refused requests."""
    visitor.wrong = [message for message in visitor.wrong if "400" not in message]


def in_sight(page: Page, selector: str) -> bool:
    """Return whether an element is between the header and the bar with the price."""
    return bool(
        page.evaluate(
            """selector => {
                const { top, bottom } = document.querySelector(selector).getBoundingClientRect();
                const end = (name) => document.querySelector(name).getBoundingClientRect();
                return top >= end("body > header").bottom && bottom <= end(".till").top;
            }""",
            selector,
        )
    )


def test_bar_explains_a_hidden_problem(browser: Browser, aws: LocalStack) -> None:
    with visit(browser, aws, viewport={"width": 1280, "height": 640}) as visitor:
        visitor.sign_in()
        page = visitor.page
        page.get_by_text("Model, format, background").click()
        page.get_by_label("Format").select_option("jpeg")
        page.get_by_label("Background").select_option("transparent")
        expect(page.locator("#price")).to_have_text(
            "Background can be auto or opaque with the format jpeg, which has no transparency."
        )

        page.evaluate("scrollTo(0, 0)")
        assert not in_sight(page, "#background")
        page.get_by_role("button", name="Show the field").click()

        expect(page.get_by_label("Background")).to_be_focused()
        assert in_sight(page, "#background")
        expect_refused(visitor)


def test_empty_text_says_what_to_do(visitor: Visit) -> None:
    visitor.sign_in()
    visitor.page.get_by_label("Use my text exactly").check()

    expect(visitor.page.locator("#idea-problem")).to_have_text(
        "Your idea is empty. Write your text, or turn off “Use my text exactly”."
    )
    expect_refused(visitor)


def test_refused_size_offers_the_nearest(visitor: Visit) -> None:
    page = visitor.page

    def refuse(route: Route) -> None:
        problem = {
            "detail": 'size is "1200x628"',
            "error": "InputError",
            "field": "size",
            "allowed": "auto, or WIDTHxHEIGHT",
            "nearest": ["1216x640", "1200x640"],
        }
        is_refused = '"size":"1200x628"' in (route.request.post_data or "")
        if is_refused:
            route.fulfill(status=400, body=json.dumps(problem), content_type="application/json")
        else:
            route.continue_()

    visitor.sign_in()
    page.route("**/estimate", refuse)
    page.get_by_role("radio", name="Other").check()
    page.get_by_label("Width x height").fill("1200x628")
    expect(page.locator("#own-size-problem")).to_have_text(
        "Size: gpt-image-2.6-flare cannot make 1200x628. Choose one of the nearest sizes."
    )

    page.get_by_role("button", name="1216x640").click()

    expect(page.get_by_label("Width x height")).to_have_value("1216x640")
    expect(page.locator("#price")).to_contain_text("Up to $")
    expect_refused(visitor)


def test_only_ctrl_enter_buys(visitor: Visit) -> None:
    visitor.sign_in()
    page = visitor.page
    sent: list[str] = []

    def collect(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.url)

    page.on("request", collect)
    page.get_by_label("Your idea").fill("A kite")
    for label in ("Style", "Folder", "Pictures"):
        page.get_by_label(label, exact=label == "Pictures").press("Enter")
    page.get_by_role("radio", name="Square").press("Enter")
    expect(page.locator("button.big")).to_have_text("Make the picture")
    assert not [url for url in sent if url.endswith("/runs")]

    page.get_by_label("Your idea").press("Control+Enter")

    page.wait_for_url(re.compile("#run/"))
    expect(page.locator(".badge")).to_have_text("Done")


def test_failed_click_is_not_sent_unasked(visitor: Visit) -> None:
    page, click = visitor.page, visitor.page.locator(".till .callout")
    visitor.sign_in()
    page.get_by_label("Your idea").fill("The old idea")
    page.route("**/runs", lambda route: route.abort())
    page.get_by_role("button", name="Make the picture").click()
    expect(click).to_contain_text("The old idea")

    page.unroute("**/runs")
    page.get_by_label("Your idea").fill("The new idea")
    visitor.go("#gallery")
    expect(page.get_by_role("heading", level=1, name="Gallery")).to_be_visible()
    visitor.go("#make")

    expect(click).to_contain_text("It was for “The old idea”.")
    expect(page.locator("#price")).to_contain_text("Up to $")
    assert "#run/" not in page.url
    assert visitor.aws.charges()["images"] == 0
    visitor.wrong = [message for message in visitor.wrong if "ERR_FAILED" not in message]


def test_reused_prompt_keeps_the_draft(visitor: Visit, caller: Caller) -> None:
    folder = f"draft/{uuid4().hex}"
    make(caller, prompt="A red kite", folder_name=folder)
    visitor.sign_in()
    page, idea = visitor.page, visitor.page.get_by_label("Your idea")
    idea.fill("A fox in the snow")
    visitor.go(f"#gallery?folder={folder}")
    page.locator("ul.tiles li > button").click()
    page.get_by_role("button", name="Reuse prompt").click()
    expect(idea).to_have_value("A red kite")

    page.get_by_role("button", name="Restore it").click()

    expect(idea).to_have_value("A fox in the snow")
    expect(page.get_by_role("button", name="Restore it")).to_have_count(0)


def test_labels_fit_at_every_width(visitor: Visit) -> None:
    visitor.sign_in()
    too_long = {}

    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 900})
        too_long[width] = visitor.page.evaluate(
            """() => [...document.querySelectorAll("fieldset label")]
                .filter((label) => label.scrollWidth > label.clientWidth)
                .map((label) => label.textContent.trim())"""
        )

    assert {width: labels for width, labels in too_long.items() if labels} == {}


def test_words_keep_their_writing_direction(visitor: Visit, caller: Caller) -> None:
    words, folder = "עפיפון אדום מעל בית הספר!", f"כיוון-{uuid4().hex}"
    run = caller.run({**SMALL, "prompt": words, "folder_name": folder}, key=uuid4().hex).json
    caller.wait_for_end(run)
    page = visitor.page
    visitor.sign_in()
    page.get_by_label("Your idea").fill(words)
    expect(page.locator("#idea:dir(rtl)")).to_have_count(1)

    visitor.go(f"#run/{run['id']}")
    page.locator("blockquote").wait_for()

    # From right to left, the last character is at the left.
    first, last = page.evaluate(
        """() => {
            const text = document.querySelector("blockquote").firstChild;
            return [0, text.length - 1].map((start) => {
                const range = document.createRange();
                range.setStart(text, start);
                range.setEnd(text, start + 1);
                return range.getBoundingClientRect().left;
            });
        }"""
    )
    assert last < first
    visitor.go(f"#gallery?folder={folder}")
    expect(page.locator(".caption")).to_have_css("unicode-bidi", "plaintext")
