"""Who is signed in, and what somebody sees whose role is only to look."""

from uuid import uuid4

from playwright.sync_api import expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, add_user, make


def test_header_names_person_role_and_budget(visitor: Visit, caller: Caller) -> None:
    email, password = add_user(visitor.aws, "administer")
    visitor.sign_in(user=(email, password))
    who = visitor.page.locator("#who")
    expect(who).to_contain_text(email)
    expect(who).to_contain_text("Role: administer")

    assert caller("PUT", "/budgets", {"person": email, "usd": 5}).status == 200
    visitor.page.reload()

    expect(who).to_contain_text("$5.00 left")


def test_role_look_can_start_and_change_nothing(visitor: Visit, caller: Caller) -> None:
    run = caller.wait_for_end(caller.run({**SMALL, "prompt": "A kite"}, key=uuid4().hex).json)
    visitor.sign_in(user=add_user(visitor.aws, "look"))
    page = visitor.page
    expect(page.locator("#who")).to_contain_text("Role: look")
    expect(page.locator(".callout")).to_contain_text("Your role is look")
    expect(page.locator("ul.tiles li").first).to_be_visible()
    expect(page.locator("form, button.big")).to_have_count(0)
    assert visitor.violations() == []

    visitor.go(f"#run/{run['id']}")
    expect(page.locator(".badge")).to_have_text("Done")
    expect(page.get_by_role("link", name="Make another")).to_have_count(0)
    visitor.wrong.clear()  # axe sets inline styles, which the content policy refuses


def test_role_look_opens_and_selects_pictures(visitor: Visit, caller: Caller) -> None:
    folder = f"look/{uuid4().hex}"
    make(caller, prompt="A kite", folder_name=folder)
    visitor.sign_in(f"#gallery?folder={folder}", user=add_user(visitor.aws, "look"))
    page = visitor.page
    page.get_by_role("button", name="Select", exact=True).click()
    bar = page.get_by_role("region", name="Selected pictures")
    expect(bar.get_by_role("button", name="Download ZIP")).to_be_visible()
    expect(bar.get_by_role("button", name="Delete")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete this folder")).to_have_count(0)
    bar.get_by_role("button", name="Done").click()

    page.locator("ul.tiles li button").first.click()
    about = page.locator("aside")
    expect(about.get_by_role("button", name="Copy prompt")).to_be_visible()
    for name in ("Edit", "Delete", "Favourite", "Move to", "Reuse prompt", "Add"):
        expect(about.get_by_role("button", name=name)).to_have_count(0)


def test_page_copes_without_roles(visitor: Visit) -> None:
    visitor.page.route("**/me", lambda route: route.fulfill(status=404, body="{}"))
    visitor.sign_in()

    expect(visitor.page.get_by_role("button", name="Surprise me")).to_be_visible()
    expect(visitor.page.locator("#who")).to_be_empty()
    visitor.wrong = [message for message in visitor.wrong if "404" not in message]
