"""Pictures with a public link, and the page's files at the distribution."""

from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
from playwright.sync_api import Request, expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make
from tests.support.reference_form import show


def test_shared_picture_has_a_public_link(visitor: Visit, caller: Caller) -> None:
    picture: Any = make(caller, prompt="A [red] teapot", folder_name=f"share/{uuid4().hex}")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.sign_in()
    panel = show(visitor, picture)

    panel.get_by_role("button", name="Share with a public link").click()
    link = panel.get_by_role("link", name="/shared/")
    expect(link).to_be_visible()
    url = str(link.get_attribute("href"))
    panel.get_by_role("button", name="Copy as Markdown").click()
    expect(panel.get_by_role("button", name="Markdown copied")).to_be_visible()

    with urlopen(url) as public:
        assert public.headers["Content-Type"] == "image/png"
    copied = visitor.page.evaluate("navigator.clipboard.readText()")
    assert copied == rf"![A \[red\] teapot]({url})"

    panel.get_by_role("button", name="Stop sharing").click()
    expect(panel.get_by_role("button", name="Share with a public link")).to_be_focused()
    with pytest.raises(OSError, match="403"):
        urlopen(url)


def test_no_function_is_called_for_a_file(visitor: Visit) -> None:
    asked: list[Request] = []

    def keep(request: Request) -> None:
        asked.append(request)

    visitor.page.on("request", keep)

    visitor.open()
    visitor.page.get_by_role("button", name="Sign in").wait_for()

    responses = [response for request in asked if (response := request.response())]
    assert len(responses) > 20
    from_api = [r.url for r in responses if r.header_value("apigw-requestid")]
    assert from_api == []
    assert all(r.header_value("x-amz-cf-id") for r in responses)
