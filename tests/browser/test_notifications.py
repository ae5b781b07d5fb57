"""The page shows a notification when a run has ended, if the visitor allows it."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_runs import IMAGES
from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit
from tests.support.local_stack import LocalStack

# The tests' browser has no window and refuses all notifications. This is the browser's part, as the
# page sees it: the permission, the visitor's answer, and the notifications that are shown.
BROWSER = """
    window.shown = [];
    window.Notification = class {
        static permission = "default";
        static async requestPermission() {
            Notification.permission = ANSWER;
            return ANSWER;
        }
        constructor(title, options) {
            window.shown.push({ title, ...options });
        }
    };
"""
# A browser without a window has no other tab to look at.
HIDE = """() => {
    Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
SWITCH = "Notify me when it is done"


Watch = Callable[[str], dict[str, str]]


@pytest.fixture
def watch(visitor: Visit, caller: Caller) -> Watch:
    """Return a function that opens the page of a run that takes a moment, and returns the run.

    Its argument is how the visitor answers when the browser asks for permission.
    """

    def watching(answer: str) -> dict[str, str]:
        visitor.aws.script({"path": IMAGES, "delay": 8, "times": 1})
        request = {**SMALL, "prompt": "A kite"}
        started: dict[str, str] = caller.run(request, key=uuid4().hex).json
        visitor.page.add_init_script(BROWSER.replace("ANSWER", repr(answer)))
        visitor.sign_in(f"#run/{started['id']}")
        return started

    return watching


def wait_for_end(aws: LocalStack, run: dict[str, str]) -> None:
    aws.wait_for_end(f"{aws.machine.replace('stateMachine', 'execution')}:{run['id']}")


def shown(page: Page) -> list[dict[str, str]]:
    titles: list[dict[str, str]] = page.evaluate("window.shown")
    return titles


def test_hidden_page_tells_the_end(visitor: Visit, watch: Watch) -> None:
    run, page = watch("granted"), visitor.page
    assert page.evaluate("Notification.permission") == "default"  # nothing is asked without a click

    page.get_by_role("switch", name=SWITCH).check()
    page.evaluate(HIDE)
    visitor.aws.until(lambda: bool(shown(page)))

    assert [(entry["tag"], entry["title"][:5]) for entry in shown(page)] == [(run["id"], "Done:")]


def test_visible_page_tells_nothing(visitor: Visit, watch: Watch) -> None:
    run, page = watch("granted"), visitor.page

    page.get_by_role("switch", name=SWITCH).check()
    wait_for_end(visitor.aws, run)

    expect(page.get_by_role("switch", name=SWITCH)).to_have_count(0)
    assert shown(page) == []


def test_blocked_notifications_are_explained(visitor: Visit, watch: Watch) -> None:
    run, page = watch("denied"), visitor.page

    switch = page.get_by_role("switch", name=SWITCH)
    switch.click()

    expect(switch).to_be_disabled()
    expect(switch).not_to_be_checked()
    expect(page.locator("#notify-hint")).to_contain_text("blocks notifications")
    wait_for_end(visitor.aws, run)
    assert shown(page) == []
