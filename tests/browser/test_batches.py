"""Batches on the page: drop a file, see its price, start it, watch, stop and resume it."""

import csv
import io
import json
import re
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, make_batch
from tests.support.local_stack import LocalStack

IMAGES = "/v1/images/generations"
NO_CREDIT = {"error": {"code": "insufficient_quota", "message": "no"}}
# Drops a file with this name and text on the page.
DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  const options = { bubbles: true, cancelable: true, dataTransfer: data };
  document.querySelector("h1").dispatchEvent(new DragEvent("drop", options));
}"""


def manifest(*lines: dict[str, object]) -> str:
    """Return a CSV file with these requests."""
    file = io.StringIO()
    names = {name: None for line in lines for name in (*SMALL, *line)}
    writer = csv.DictWriter(file, fieldnames=list(names))
    writer.writeheader()
    writer.writerows({**SMALL, **line} for line in lines)
    return file.getvalue()


def payload(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


def rows(page: Page, section: str) -> Locator:
    return page.locator(f"section[aria-labelledby={section}] ul.rows > li")


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Start batch")


def test_batch_links_to_its_lines(visitor: Visit, aws: LocalStack) -> None:
    word = uuid4().hex[:8]
    name = make_batch(aws, [{**SMALL, "prompt": f"{word} kite {n}"} for n in range(3)])
    visitor.sign_in("#batches")
    page = visitor.page
    batch = page.locator("ul.rows > li").filter(has_text=name)
    expect(batch).to_contain_text("3 of 3 lines")

    batch.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    expect(rows(page, "lines").locator(".badge")).to_have_text(["Done"] * 3)

    page.get_by_role("link", name=f"{word} kite 1").click()
    expect(page.locator("blockquote")).to_have_text(f"{word} kite 1")


def test_dropped_file_is_priced_started_stopped_and_resumed(
    visitor: Visit, aws: LocalStack
) -> None:
    word = uuid4().hex[:8]
    lines: list[dict[str, object]] = [
        {"prompt": f"{word} tree {n}", "folder_name": f"page/{word}"} for n in range(8)
    ]
    visitor.sign_in("#batches")
    page, before = visitor.page, aws.charges()["images"]
    page.get_by_role("button", name="New batch").click()
    expect(page.locator(".drop")).to_be_visible()

    page.evaluate(DROP, [f"trees {word}.csv", manifest(*lines)])
    expect(page.get_by_label("Name")).to_have_value(f"trees-{word}")
    expect(page.locator(".till")).to_contain_text(re.compile(r"Up to \$\d\.\d\d"))
    expect(page.locator(".facts")).to_contain_text("8 lines to make, 8 pictures")
    assert aws.charges()["images"] == before

    aws.script({"path": IMAGES, "delay": 1.5, "times": 100})
    start_button(page).click()
    expect(page.get_by_role("heading", level=1, name=f"trees-{word}")).to_be_visible()
    expect(page.locator(".heading .badge")).to_have_text("Running")
    expect(page.locator(".facts")).to_contain_text(re.compile(r"\$0\.0\d+ so far"))
    expect(rows(page, "lines").locator("img").first).to_be_visible()
    page.get_by_role("button", name="Stop batch").click()
    page.get_by_role("button", name=re.compile("Really stop")).click()
    expect(page.locator(".heading .badge")).to_have_text("Stopped")
    stopped = aws.charges()["images"] - before
    assert stopped < 8 + 2

    aws.forget()
    page.get_by_role("button", name="Resume batch").click()
    expect(page.locator(".heading .badge")).to_have_text("Done")
    expect(rows(page, "lines").locator(".badge")).to_have_text(["Done"] * 8)
    assert len([key for key in aws.keys(f"page/{word}/") if key.endswith(".png")]) == 8
    expect(page.get_by_role("button", name="Resume batch")).to_have_count(0)


def test_wrong_and_failed_lines_show_their_reasons(visitor: Visit, aws: LocalStack) -> None:
    word = uuid4().hex[:8]
    text = manifest(
        {"prompt": f"{word} sound"},
        {"prompt": f"{word} wrong", "count": 11},
        {"prompt": f"{word} without credit"},
    )
    aws.script({"path": IMAGES, "contains": "without credit", "status": 429, "body": NO_CREDIT})
    visitor.sign_in("#new-batch")
    page = visitor.page
    page.locator("input[type=file]").set_input_files(payload(f"b{word}.csv", text))

    wrong = rows(page, "failures")
    expect(wrong).to_have_count(1)
    expect(wrong).to_contain_text("Line 3")
    expect(wrong).to_contain_text("Correct this line in the file")
    expect(wrong).to_contain_text("count is 11")
    expect(start_button(page)).to_have_attribute("aria-disabled", "true")

    page.get_by_role("switch", name="Make the remaining lines").check()
    expect(page.locator(".facts")).to_contain_text("1 line cannot be made")
    expect(page.locator("button.big:not([aria-disabled])")).to_be_visible()
    start_button(page).click()

    failed = rows(page, "failures").filter(has_text="OpenAI account out of credit")
    expect(failed).to_contain_text("Line 4")
    expect(failed).to_contain_text("QuotaExhaustedError")
    expect(page.locator(".heading .badge")).not_to_have_text("Running")
    line = rows(page, "lines").filter(has_text=f"{word} without credit")
    expect(line.locator(".badge")).to_have_text("Failed")
    expect(rows(page, "lines").filter(has_text=f"{word} sound").locator("img")).to_be_visible()

    page.get_by_role("button", name="Resume batch").click()
    expect(rows(page, "lines").locator(".badge")).to_have_text(["Done"] * 2)


def test_economy_halves_the_price(visitor: Visit) -> None:
    word = uuid4().hex[:8]
    text = "\n".join(
        json.dumps({"prompt": f"{word} {n}", "quality": "high", "size": "2048x2048"})
        for n in range(10)
    )
    visitor.sign_in("#new-batch")
    page = visitor.page
    page.locator("input[type=file]").set_input_files(payload(f"b{word}.jsonl", text))

    def price() -> float:
        expect(page.locator(".till strong")).to_have_text(re.compile("Up to"))
        return float(page.locator(".till strong").inner_text().partition("$")[2])

    whole = price()
    page.get_by_role("switch", name="Economy").check()
    page.locator(".till").wait_for(state="detached")
    half = price()

    assert half < whole * 0.6


def test_other_files_are_refused_at_once(visitor: Visit) -> None:
    visitor.sign_in("#new-batch")
    page = visitor.page

    page.locator("input[type=file]").set_input_files(payload("prices.xlsx", "x"))
    expect(page.locator("#drop-problem")).to_contain_text("not a CSV or JSON Lines file")
    page.locator("input[type=file]").set_input_files(payload("empty.csv", ""))
    expect(page.locator("#drop-problem")).to_have_text("empty.csv is empty.")

    page.locator("input[type=file]").set_input_files(payload("zip.csv", "PK and more"))
    expect(page.locator(".callout")).to_contain_text("zip or spreadsheet")


def test_template_can_be_downloaded_and_started(visitor: Visit, tmp_path: Path) -> None:
    visitor.sign_in("#new-batch")
    page = visitor.page

    with page.expect_download() as download:
        page.get_by_role("link", name="template (CSV)").click()
    file = tmp_path / "batch.csv"
    download.value.save_as(file)
    page.locator("input[type=file]").set_input_files(file)

    expect(page.locator(".facts")).to_contain_text("2 lines to make, 3 pictures")
    expect(page.locator("button.big:not([aria-disabled])")).to_be_visible()


def test_batches_work_with_the_keyboard_on_a_phone(visitor: Visit, caller: Caller) -> None:
    word = uuid4().hex[:8]
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.sign_in("#new-batch")
    page = visitor.page
    text = manifest({"prompt": f"{word} small"})
    page.locator("input[type=file]").set_input_files(payload(f"b{word}.csv", text))
    expect(page.locator("button.big:not([aria-disabled])")).to_be_visible()
    assert visitor.fits()

    page.get_by_label("Name").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(start_button(page)).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator(".heading .badge")).to_have_text("Done")
    assert visitor.fits()
    assert caller("GET", f"/batches/b{word}").json["report"]["stored"] == 1
