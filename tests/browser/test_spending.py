"""The view of what was spent, and the budgets in it."""

import csv
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, add_user


def run(caller: Caller, **request: Any) -> int:
    """Make images, and return their cost in micro-dollars as the records have it."""
    started = caller.run({**SMALL, "description": "A kite", **request}, key=uuid4().hex).json
    cost: float = caller.wait_for_end(started)["cost_usd"]
    return round(cost * 1_000_000)


def shown(page: Page, row: str) -> int:
    """Return the exact sum of a table's row in micro-dollars."""
    cell = page.locator(".money tr", has_text=row).locator(".sum")
    title = cell.first.get_attribute("title") or ""
    return round(float(title.split()[0].removeprefix("$")) * 1_000_000)


def test_table_equals_the_records_and_filters(visitor: Visit, caller: Caller) -> None:
    folder, tag, page = f"spent-{uuid4().hex}", f"tag {uuid4().hex[:8]}", visitor.page
    tagged = run(caller, folder_name=folder, tags=[tag])
    plain = run(caller, folder_name=folder)
    visitor.sign_in("#spending")
    expect(page.locator(".money")).to_contain_text(folder)
    assert shown(page, folder) == tagged + plain
    month = caller("GET", "/budgets").json["month"]
    assert shown(page, "Total") == round(month["spent_usd"] * 1_000_000)

    page.get_by_role("button", name=folder).click()
    expect(page.get_by_role("columnheader", name="Tag")).to_be_visible()
    page.get_by_role("button", name=tag, exact=True).click()

    expect(page.get_by_role("columnheader", name="Person")).to_be_visible()
    assert shown(page, "Total") == tagged
    assert f"tag={tag.replace(' ', '+')}" in page.url

    page.reload()
    expect(page.get_by_role("button", name=f"Remove the filter Tag: {tag}")).to_be_visible()
    assert shown(page, "Total") == tagged

    page.get_by_role("button", name=f"Remove the filter Tag: {tag}").click()
    expect(page.locator(".money")).to_be_visible()
    assert shown(page, "Total") == tagged + plain


def test_days_are_drawn_and_saved_as_csv(visitor: Visit, caller: Caller, tmp_path: Path) -> None:
    folder, page = f"spent-{uuid4().hex}", visitor.page
    cost = run(caller, folder_name=folder)
    visitor.sign_in(f"#spending?by=day&folder={folder}")
    expect(page.locator("svg.days rect").first).to_be_attached()
    assert visitor.fits()
    assert visitor.violations() == []
    visitor.wrong.clear()  # axe sets inline styles, which the content policy refuses

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()

    assert download.value.suggested_filename.endswith("-day.csv")
    download.value.save_as(tmp_path / "spending.csv")
    rows = list(csv.DictReader((tmp_path / "spending.csv").read_text().splitlines()))
    sums = [round(float(row["usd"]) * 1_000_000) for row in rows if row["usd"]]
    assert cost in sums


def test_administrator_limits_a_folder(visitor: Visit, caller: Caller) -> None:
    folder, page = f"limited-{uuid4().hex[:8]}", visitor.page
    visitor.sign_in("#spending", user=add_user(visitor.aws, "administer"))
    page.get_by_role("button", name="Add a budget").click()
    page.get_by_role("radio", name="A folder").check()
    page.get_by_label("Folder", exact=True).fill(folder)
    page.get_by_label("Dollars in a month").fill("much")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#new-budget-usd-problem")).to_contain_text("Type a number of dollars")
    visitor.wrong = [message for message in visitor.wrong if "400" not in message]

    page.get_by_label("Dollars in a month").fill("0.001")
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.locator(".budgets li", has_text=folder)
    expect(row).to_contain_text("left of $0.001")

    visitor.go("#make")
    page.get_by_label("Folder").fill(folder)
    expect(page.locator("#price")).to_contain_text("more than what is left of your budget or of")
    expect(page.locator("button.big")).to_have_attribute("aria-disabled", "true")
    refused = caller.run({**SMALL, "folder_name": folder}, key=uuid4().hex).json
    visitor.go(f"#run/{refused['id']}")
    expect(page.locator(".callout")).to_contain_text(f"folder {folder}")

    visitor.go("#spending")
    row.get_by_role("button", name="Change").click()
    row.get_by_role("button", name="Remove the limit").click()
    expect(row).to_have_count(0)
    assert caller.wait_for_end(caller.run({**SMALL, "folder_name": folder}, key=uuid4().hex).json)[
        "cost_usd"
    ]


def test_budgets_are_read_only_without_the_role(visitor: Visit) -> None:
    visitor.sign_in("#spending", user=add_user(visitor.aws, "make"))

    budgets = visitor.page.locator(".budgets")
    expect(budgets).to_contain_text("Everything")
    expect(budgets).to_contain_text("with the role administer")
    expect(budgets.get_by_role("button")).to_have_count(0)


def test_unknown_person_is_reported_at_the_field(visitor: Visit) -> None:
    visitor.sign_in("#spending", user=add_user(visitor.aws, "administer"))
    page = visitor.page
    page.get_by_role("button", name="Add a budget").click()
    page.get_by_label("Mail address").fill("nobody@example.org")
    page.get_by_label("Dollars in a month").fill("5")
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.locator("#budget-name-problem")).to_contain_text(
        "no person has the id or mail address"
    )
    visitor.wrong = [message for message in visitor.wrong if "404" not in message]
