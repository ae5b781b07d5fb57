"""The form's reference images: uploads, their order, their limits, and the draft."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make, visit
from tests.support.images import encoded, png
from tests.support.local_stack import LocalStack
from tests.support.reference_form import (
    INBOX,
    add,
    file,
    held,
    make_picture,
    open_brush,
    paint,
    ready,
    show,
)
from tests.support.seen_uploads import SeenUploads

# Drops or pastes files of these names, types and sizes.
HAND_OVER = """(element, [kind, files]) => {
  const data = new DataTransfer();
  for (const [name, type, size] of files)
    data.items.add(new File([new Uint8Array(size)], name, { type }));
  const options = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
  const Kind = kind === "paste" ? ClipboardEvent : DragEvent;
  element.dispatchEvent(new Kind(kind, options));
}"""


def hand_over(page: Page, kind: str, *files: tuple[str, str, int]) -> None:
    page.locator("#idea").evaluate(HAND_OVER, [kind, list(files)])


def test_chosen_files_are_sent_in_their_order(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, file("teapot.png"), file("table.jpg", encoded("JPEG"), "image/jpeg"))
    expect(ready(page)).to_have_count(2)
    expect(page.get_by_role("img", name="Image 2: table.jpg")).to_be_visible()
    keys = [uploads.key(uploads.id_of(name)) for name in ("teapot.png", "table.jpg")]

    page.get_by_label("Your idea").fill("The teapot of Image 1 on the table of Image 2")
    expect(page.locator("#price.old")).to_have_count(0)
    make_picture(page)

    assert uploads.started[-1]["reference_images"] == keys
    assert uploads.estimated[-1]["reference_images"] == keys
    assert uploads.body(uploads.id_of("teapot.png")) == png()


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_file_from_another_program_is_uploaded(
    visitor: Visit, uploads: SeenUploads, kind: str
) -> None:
    visitor.sign_in()
    hand_over(visitor.page, kind, ("photo.png", "image/png", 8))

    expect(visitor.page.locator(".reference.failed")).to_have_text(
        re.compile("photo.png It is not an image that Easel reads")
    )
    assert list(uploads.types.values()) == ["image/png"]


def test_early_click_asks_to_confirm_the_price(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page, asked = visitor.page, list[Route]()
    button = page.locator("button.big")
    button.wait_for()  # the form itself starts with an estimate
    page.route(re.compile("/estimate$"), lambda route: asked.append(route))  # noqa: PLW0108
    with page.expect_request(re.compile("/estimate$")):
        add(page, file("teapot.png", png(1024, 1024)))
        expect(ready(page)).to_have_count(1)

    button.click()
    expect(button).to_have_text("Checking the price…")
    expect(page.locator("#price.old")).to_be_visible()
    page.unroute(re.compile("/estimate$"))
    asked[-1].fallback()

    expect(page.locator("#price")).to_contain_text(re.compile(r"The price went up to \$.*confirm"))
    assert uploads.started == []
    button.click()
    page.wait_for_url(re.compile("#run/"))
    assert len(uploads.started) == 1


def test_make_button_waits_for_uploads(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    with held(page):
        add(page, file("teapot.png"))
        expect(page.get_by_role("progressbar", name="Upload of teapot.png")).to_be_visible()
        expect(page.locator("#price")).to_contain_text("“teapot.png” is still being uploaded.")

        page.locator("button.big").click(force=True)
        expect(page.locator("#announcement")).to_contain_text("still being uploaded")
        assert not uploads.started

    expect(ready(page)).to_have_count(1)
    expect(page.locator("button.big")).not_to_have_attribute("aria-disabled", "true")
    expect(page.locator("#announcement")).to_have_text("teapot.png is uploaded.")


def test_upload_can_be_cancelled(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    with held(page) as sent:
        add(page, file("teapot.png"))
        requests = sent(1)
        expect(page.locator(".reference")).to_contain_text("0 %")

        with page.expect_event("requestfailed", lambda request: request in requests):
            page.get_by_role("button", name="Cancel the upload of teapot.png").click()

        expect(page.locator(".reference")).to_have_count(0)
        expect(page.get_by_role("button", name="Add reference images")).to_be_focused()


def test_broken_upload_can_be_tried_again(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    page.route(INBOX, lambda route: route.abort(), times=1)
    add(page, file("teapot.png"))
    failed = page.locator(".reference.failed")
    expect(failed).to_contain_text("teapot.png The connection broke.")
    expect(page.locator("#price")).to_contain_text("“teapot.png” is not uploaded.")

    failed.get_by_role("button", name="Try again").click()

    expect(ready(page)).to_have_count(1)
    visitor.wrong = [message for message in visitor.wrong if "ERR_FAILED" not in message]


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        (("notes.pdf", "application/pdf", 9), "Use a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF."),
        (("photo.png", "image/png", 60_000_000), "It has 60 MB. The limit is 50 MB."),
        (("empty.png", "image/png", 0), "The file is empty."),
    ],
)
def test_unusable_file_is_not_sent(
    visitor: Visit, uploads: SeenUploads, chosen: tuple[str, str, int], problem: str
) -> None:
    visitor.sign_in()
    page = visitor.page
    hand_over(page, "drop", chosen)
    expect(page.locator(".reference.failed p")).to_have_text(f"{chosen[0]} {problem}")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)

    page.get_by_role("button", name=f"Remove {chosen[0]}").click()

    expect(page.locator(".reference")).to_have_count(0)
    assert not uploads.names


def test_references_are_moved_and_removed_by_keyboard(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, *(file(f"{name}.png") for name in "abc"))
    expect(ready(page)).to_have_count(3)

    page.get_by_role("button", name="Move Image 3 left").press("Enter")
    expect(page.get_by_role("button", name="Move Image 2 left")).to_be_focused()
    expect(page.locator("#announcement")).to_have_text("Image 3 is now Image 2.")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Remove Image 2, a.png").press("Enter")

    expect(page.get_by_role("button", name="Remove Image 2, b.png")).to_be_focused()
    expect(page.locator(".reference .name")).to_have_text(["c.png", "b.png"])
    expect(page.locator("#price.old")).to_have_count(0)
    assert uploads.estimated[-1]["reference_images"] == [
        uploads.key(uploads.id_of(f"{name}.png")) for name in "cb"
    ]


def test_draft_keeps_references(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    add(page, file("teapot.png"))
    expect(ready(page)).to_have_count(1)

    page.reload()

    expect(page.get_by_role("img", name="Image 1: teapot.png")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("dialog")).to_contain_text("Not sent yet: 1 reference image.")


def test_upload_continues_in_another_view(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    with held(page):
        add(page, file("teapot.png"))
        expect(page.get_by_role("progressbar")).to_be_visible()
        visitor.go("#gallery")
        expect(page.get_by_role("heading", level=1, name="Gallery")).to_be_visible()

    visitor.go("#make")

    expect(ready(page)).to_have_count(1)


def test_reload_ends_an_upload(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    page.route(INBOX, lambda _: None)
    add(page, file("teapot.png"))
    expect(page.get_by_role("progressbar")).to_be_visible()

    page.reload()

    expect(page.locator(".reference.failed")).to_contain_text(
        "The page was reloaded before the upload finished."
    )
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_focus_stays_when_an_upload_ends(visitor: Visit, uploads: SeenUploads) -> None:
    visitor.sign_in()
    page = visitor.page
    with held(page):
        add(page, file("teapot.png"))
        page.get_by_role("button", name="Cancel the upload of teapot.png").focus()

    expect(page.get_by_role("button", name="Remove Image 1, teapot.png")).to_be_focused()


@pytest.mark.parametrize("limit", [0, 1])
def test_model_limits_references(visitor: Visit, uploads: SeenUploads, limit: int) -> None:
    page = visitor.page

    def change(route: Route) -> None:
        if "reference_images" in (route.request.post_data or ""):
            route.fallback()
            return
        answer = route.fetch()
        models = [model | {"reference_images": limit} for model in answer.json()["models"]]
        route.fulfill(response=answer, json=answer.json() | {"models": models})

    page.route(re.compile("/estimate$"), change)
    visitor.sign_in()
    expect(page.get_by_label("Your idea")).to_be_visible()
    button = page.get_by_role("button", name="Add reference images")
    if not limit:
        expect(page.get_by_text("gpt-image-2.6-flare takes no reference images.")).to_be_visible()
        expect(button).to_have_count(0)
        return

    add(page, file("a.png"), file("b.png"))

    expect(page.locator(".references")).to_contain_text(
        "1 file not added: gpt-image-2.6-flare takes 1 reference image."
    )
    expect(ready(page)).to_have_count(1)
    expect(button).to_have_count(0)


def test_axe_finds_no_violation_with_references(
    browser: Browser, aws: LocalStack, caller: Caller
) -> None:
    folder = f"axe-references/{uuid4().hex}"
    first = make(caller, prompt="Old", folder_name=folder)
    keys = [first["key"]]
    second = make(caller, prompt="New", folder_name=folder, reference_images=keys)
    make(caller, prompt="Newer", folder_name=folder, reference_images=[second["key"]])
    violations: dict[str, list[str]] = {}

    with visit(browser, aws, reduced_motion="reduce") as visitor:
        page = visitor.page
        visitor.sign_in()
        with held(page) as sent:
            add(page, file("a.png"), file("b.png"), file("c.png", b"<html>"))
            sent(3)
            expect(page.get_by_role("progressbar")).to_have_count(3)
            violations["uploading"] = visitor.violations()
        expect(page.locator(".reference.failed")).to_have_count(1)
        expect(ready(page)).to_have_count(2)
        violations["failed"] = visitor.violations()
        open_brush(page)
        paint(page, (0.5, 0.5))
        violations["brush"] = visitor.violations()
        page.get_by_role("button", name="Use this mask").click()
        page.locator("img.mask").wait_for()
        violations["masked"] = visitor.violations()
        about = show(visitor, second)
        expect(about.get_by_role("region", name="Made from")).to_be_visible()
        violations["details"] = visitor.violations()
        about.get_by_role("button", name="Compare before and after").click()
        page.get_by_role("slider").wait_for()
        violations["slider"] = visitor.violations()
        visitor.wrong.clear()  # axe sets inline styles, which the content policy refuses

    assert {state: messages for state, messages in violations.items() if messages} == {}


@pytest.mark.parametrize("width", [320, 768, 2560])
def test_references_fit_without_scrolling_sideways(
    browser: Browser, aws: LocalStack, width: int
) -> None:
    with visit(browser, aws, viewport={"width": width, "height": 640}) as visitor:
        page = visitor.page
        visitor.sign_in()
        add(page, file("a.png"), file(f"{'long-' * 20}b.png"), file("c.png", b"<html>"))
        expect(ready(page)).to_have_count(2)
        expect(page.locator(".reference.failed")).to_have_count(1)
        assert visitor.fits()

        open_brush(page)
        article = page.locator("dialog article")
        assert article.evaluate("({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth")
        page.get_by_role("button", name="Use this mask").scroll_into_view_if_needed()
