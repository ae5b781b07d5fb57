"""The script that takes the README's screenshots of the page: `make screenshots`.

It uses its own local stack, and is not a test.
"""

import tempfile
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import Browser, FilePayload, Page, expect

from local import stack
from local.deploy import ROOT
from local.stack import Local
from tests.support.api_caller import Caller, fetch, machine
from tests.support.browser import chromium, visit
from tests.support.local_stack import LocalStack, free_port, own_environment
from tests.support.reference_form import add, file, open_brush, paint, ready

IMAGES = ROOT / "docs" / "images"
QUALITY = 82
SHAPES = ("1024x1024", "1536x1024", "1024x1536", "2048x1152")
IDEAS = (
    "A lighthouse above a sea of clouds at dawn",
    "Our new teapot on a wooden table, morning light",
    "Children planting a tree in a school yard",
    "A quiet library with green lamps",
    "A market street after the rain",
    "A hot air balloon over lavender fields",
    "A marathon through an old town",
    "A microscope and wild flowers",
    "A harbour at blue hour",
    "A train in snowy mountains",
    "A bakery window before sunrise",
    "A chess game in the park",
)
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 320, "height": 640}


def main() -> None:
    """Make images of several shapes, then photograph the views."""
    with tempfile.TemporaryDirectory() as folder:
        local = Local(
            folder=Path(folder) / "local",
            port=free_port(),
            settings=(),
            environment=own_environment(),
        )
        aws = LocalStack(stack.up(local))
        try:
            with chromium() as browser:
                _take(browser, aws, machine(aws))
        finally:
            stack.down(local, keep=False)


def _take(browser: Browser, aws: LocalStack, caller: Caller) -> None:
    for i, idea in enumerate(IDEAS):
        request = {
            "description": idea,
            "size": SHAPES[i % len(SHAPES)],
            "folder_name": "campaign/spring",
        }
        caller.wait_for_end(caller.run(request, key=uuid4().hex).json)
    _picture(browser, aws, "page-light", "#make", "form.composer", viewport=WIDE)
    _picture(
        browser,
        aws,
        "page-dark",
        "#gallery",
        "ul.tiles li.shown",
        viewport=WIDE,
        color_scheme="dark",
    )
    _picture(
        browser,
        aws,
        "page-narrow",
        "#gallery",
        "ul.tiles li.shown",
        viewport=NARROW,
        device_scale_factor=2,
    )
    _picture(
        browser, aws, "page-lightbox", "#gallery", "ul.tiles li.shown", viewport=WIDE, opens=True
    )
    _references(browser, aws, caller)
    _accounts(browser, aws, caller)
    aws.script({"path": "/v1/images/generations", "delay": 8.0, "times": 2})
    run = caller.run(
        {"description": IDEAS[0], "count": 4, "size": "1536x1024"}, key=uuid4().hex
    ).json
    _picture(
        browser,
        aws,
        "page-running",
        f"#run/{run['id']}",
        "section.pictures li.shown",
        viewport=WIDE,
    )
    caller.wait_for_end(run)


def _accounts(browser: Browser, aws: LocalStack, caller: Caller) -> None:
    """Photograph a search, a comparison, the spending, and a prompt before it is painted."""
    for idea, tags in zip(
        IDEAS[:4], (["spring"], ["spring", "sale"], ["sale"], ["news"]), strict=True
    ):
        request = {"description": idea, "folder_name": "campaign/summer", "tags": tags}
        caller.wait_for_end(caller.run(request, key=uuid4().hex).json)
    caller("PUT", "/budgets", {"folder": "campaign/summer", "usd": 5})
    aws.until(lambda: len(caller("GET", "/images", query={"q": "teap"}).json["images"]) > 1)
    _picture(browser, aws, "page-search", "#gallery?q=teap", "ul.tiles li.shown", viewport=WIDE)
    _picture(browser, aws, "page-spending", "#spending?by=tag", "table", viewport=WIDE)
    written = caller.run(
        {"description": IDEAS[1], "only_prompt": True, "count": 2}, key=uuid4().hex
    ).json
    caller.wait_for_end(written)
    _picture(browser, aws, "page-prompt", f"#run/{written['id']}", "textarea", viewport=WIDE)
    with visit(browser, aws, reduced_motion="reduce", viewport=WIDE) as visitor:
        visitor.sign_in("#gallery?folder=campaign/summer")
        page = visitor.page
        expect(page.locator("ul.tiles > li.shown")).to_have_count(4)
        page.get_by_role("button", name="Select").click()
        for tile in page.locator("ul.tiles").get_by_role("checkbox").all()[:3]:
            tile.click()
        page.get_by_role("button", name="Compare").click()
        page.get_by_role("dialog").wait_for()
        _save(page, "page-compare")


def _references(browser: Browser, aws: LocalStack, caller: Caller) -> None:
    """Photograph the form with reference images, and the brush for a mask."""
    images = caller("GET", "/images", query={"folder": "campaign/spring"}).json["images"][:3]
    with visit(browser, aws, reduced_motion="reduce", viewport=WIDE) as visitor:
        visitor.sign_in("#make")
        page = visitor.page
        files: list[FilePayload] = [
            file(f"{image['title'].partition(' ')[2]}.png", fetch(image["links"]["picture"]).body)
            for image in images
        ]
        add(page, *files)
        expect(ready(page)).to_have_count(len(files))
        page.get_by_label("Your idea").fill("The subject of Image 1 in the light of Image 2")
        expect(page.locator("#price.old")).to_have_count(0)
        below_header = "element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 90)"
        page.locator(".references").evaluate(below_header)
        _save(page, "page-references")
        open_brush(page)
        paint(page, (0.25, 0.4), (0.45, 0.6), (0.7, 0.45))
        _save(page, "page-brush")


def _save(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=QUALITY)
    print(IMAGES / f"{name}.jpg")


def _picture(
    browser: Browser,
    aws: LocalStack,
    name: str,
    place: str,
    sign: str,
    *,
    opens: bool = False,
    **options: object,
) -> None:
    with visit(browser, aws, reduced_motion="reduce", **options) as visitor:
        visitor.sign_in(place)
        page = visitor.page
        page.locator(sign).first.wait_for()
        if opens:
            page.locator("ul.tiles li > button").nth(1).click()
            page.locator("aside .prompt").wait_for()
        _save(page, name)


if __name__ == "__main__":
    main()
