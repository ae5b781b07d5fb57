"""How long a person stays signed in, and where."""

from playwright.sync_api import Page, expect

from tests.support.browser import Visit


def signs_out(page: Page) -> None:
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_new_tab_is_signed_in(visitor: Visit) -> None:
    visitor.sign_in()

    tab = visitor.context.new_page()
    tab.goto(visitor.aws.outputs["api_url"] + "#gallery")

    signs_out(tab)
    expect(tab.get_by_role("heading", level=1, name="Gallery")).to_be_visible()
    stored = tab.evaluate("JSON.stringify(localStorage)")
    assert stored == '{"easel.signed-in":"1"}'


def test_sign_out_ends_every_tab(visitor: Visit) -> None:
    visitor.sign_in()
    tab = visitor.context.new_page()
    tab.goto(visitor.aws.outputs["api_url"])
    signs_out(tab)

    tab.get_by_role("button", name="Sign out").click()

    for page in (tab, visitor.page):
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert page.evaluate("sessionStorage.length + localStorage.length") == 0


def test_ended_session_shows_the_welcome_page(visitor: Visit) -> None:
    visitor.sign_in()
    visitor.context.clear_cookies()  # Cognito's session has ended

    tab = visitor.context.new_page()
    tab.goto(visitor.aws.outputs["api_url"] + "#gallery")

    expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
    assert tab.get_by_role("alert").count() == 0


def test_sign_out_asks_before_it_drops_text(visitor: Visit) -> None:
    visitor.sign_in()
    page, dialog = visitor.page, visitor.page.get_by_role("dialog")
    page.get_by_label("Your idea").fill("A fox in the snow")
    page.get_by_role("button", name="Sign out").click()
    expect(dialog).to_contain_text("A fox in the snow")
    assert visitor.violations() == []
    visitor.wrong.clear()  # axe sets inline styles, which the content policy refuses

    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Your idea")).to_have_value("A fox in the snow")

    page.get_by_role("button", name="Sign out").click()
    dialog.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
