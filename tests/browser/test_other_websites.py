"""Another website in the developer's browser cannot use the local stack or the fake OpenAI."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make
from tests.support.local_stack import LocalStack
from tests.support.loopback import Quiet, serving

# A page may read the answer, or only send the request (no-cors), or show it as an image.
TRY = """async ([url, method, mode]) => {
  const body = method === "GET" ? undefined : "{}";
  try {
    const response = await fetch(url, { method, mode, body, signal: AbortSignal.timeout(5000) });
    return mode === "no-cors" ? "sent" : String(response.status);
  } catch (error) {
    return "blocked";
  }
}"""
SHOW = """(url) => new Promise((resolve) => {
  const image = new Image();
  image.onload = () => resolve("shown");
  image.onerror = () => resolve("blocked");
  image.src = url;
})"""


class OtherSite(Quiet):
    """A website on another port of this machine, which its own browser trusts."""

    def do_GET(self) -> None:  # noqa: N802 - http.server's own name
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another website</title>")


@pytest.fixture
def other(visitor: Visit) -> Iterator[Page]:
    """Yield another website's page in the visitor's browser."""
    with serving(OtherSite) as address:
        page = visitor.context.new_page()
        page.goto(address)
        yield page
        page.close()


def tries(page: Page, *call: str) -> Any:
    return page.evaluate(TRY, list(call))


def test_other_website_cannot_reach_the_emulator(visitor: Visit, other: Page) -> None:
    endpoint = visitor.aws.outputs["endpoint"]
    statuses: list[int] = []
    other.on("response", lambda response: statuses.append(response.status))

    assert tries(other, f"{endpoint}/2015-03-31/functions/", "GET", "cors") == "blocked"
    assert tries(other, f"{endpoint}/_ministack/health", "GET", "cors") == "blocked"
    assert tries(other, f"{endpoint}/", "PUT", "cors") == "blocked"
    # The browser reports no status of these, because the page may not read them.
    assert statuses == []
    assert tries(other, f"{endpoint}/2015-03-31/functions/", "POST", "no-cors") == "sent"
    assert tries(other, f"{endpoint}/_ministack/health", "GET", "no-cors") == "sent"
    assert statuses == [403, 403]


def test_other_website_cannot_use_the_stand_in(visitor: Visit, other: Page) -> None:
    url, before = visitor.aws.outputs["openai_base_url"], visitor.aws.charges()
    statuses: list[int] = []
    other.on("response", lambda response: statuses.append(response.status))

    assert tries(other, f"{url}/images/generations", "POST", "no-cors") == "sent"
    assert tries(other, url.replace("/v1", "/_charged"), "DELETE", "cors") == "blocked"
    assert tries(other, url.replace("/v1", "/_charged"), "GET", "cors") == "blocked"

    assert set(statuses) == {403}
    assert visitor.aws.charges() == before


def test_own_page_gets_images_and_others_do_not(
    visitor: Visit, other: Page, aws: LocalStack, caller: Caller
) -> None:
    links: Any = make(caller, folder_name="other-websites")["links"]
    visitor.open()

    # First the other site: both share the browser's cache.
    assert other.evaluate(SHOW, links["picture"]) == "blocked"
    assert visitor.page.evaluate(SHOW, links["picture"]) == "shown"
    # A ZIP file is made from what a script reads.
    assert tries(other, links["download"], "GET", "cors") == "blocked"
    assert tries(visitor.page, links["download"], "GET", "cors") == "200"


def test_description_is_shown_by_current_viewer(visitor: Visit) -> None:
    visitor.open("docs")

    visitor.page.get_by_role("heading", name="Easel").wait_for()
    visitor.page.get_by_text("/runs/{id}/stop").click()
    visitor.page.get_by_text("Stop a running run.").first.wait_for()
    scripts = visitor.page.evaluate("[...document.scripts].map(script => script.src)")
    assert [source.rpartition("/")[2] for source in scripts] == [
        "swagger-ui-bundle.js",
        "start.js",
    ]
