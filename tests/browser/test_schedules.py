"""Schedules on the page: the form saves one, and the list pauses and deletes it."""

from uuid import uuid4

from playwright.sync_api import expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit


def test_form_saves_a_schedule_that_is_paused_and_deleted(visitor: Visit, caller: Caller) -> None:
    name = f"page-{uuid4().hex[:6]}"
    visitor.open()
    visitor.sign_in()
    page = visitor.page
    page.get_by_text("Repeat on a schedule").click()
    page.get_by_label("Name of the schedule").fill(name)
    page.get_by_role("radio", name="Weekdays").check()
    page.get_by_label("Time", exact=True).fill("07:30")
    page.get_by_role("button", name="Save the schedule").click()
    page.get_by_role("link", name="See all schedules").click()

    row = page.get_by_role("listitem").filter(has_text=name)
    expect(row).to_contain_text("on weekdays at 07:30")
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Paused")
    listed = caller("GET", "/schedules", query={"limit": "50"}).json["schedules"]
    (saved,) = [entry for entry in listed if entry["name"] == name]
    assert (saved["when"], saved["paused"]) == ("cron(30 7 ? * MON-FRI *)", True)
    assert saved["request"]["count"] == 1

    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert caller("DELETE", f"/schedules/{name}").status == 404


def test_wrong_expression_is_refused_in_words(visitor: Visit) -> None:
    visitor.open()
    visitor.sign_in()
    page = visitor.page
    page.get_by_text("Repeat on a schedule").click()
    page.get_by_label("Name of the schedule").fill("wrong")
    page.locator("[name=schedule_repeat][value=own]").check()
    page.get_by_label("Expression").fill("rate(5)")
    page.get_by_role("button", name="Save the schedule").click()

    expect(page.get_by_text('when is "rate(5)"')).to_be_visible()
    visitor.wrong = [message for message in visitor.wrong if "400" not in message]
