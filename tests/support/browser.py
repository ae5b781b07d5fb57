"""A real Chromium on the local stack's page.

It reports every script error, every refused source and every failed request.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from cli import sign_in
from functions.api.roles import Role
from infra import NODE
from tests.support import installed_browser
from tests.support.api_caller import Caller, target
from tests.support.local_stack import LocalStack

# axe checks the requirements of the accessibility guidelines, and good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = {"runOnly": ["color-contrast"]}
SECONDS = 60
User = tuple[str, str]  # a mail address and a password
SMALL = {"size": "1024x640", "quality": "low"}
expect.set_options(timeout=SECONDS * 1000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser."""
    installed = installed_browser.find()
    assert installed, "no browser: make browser downloads one"
    # Playwright's own Node needs a library that a fresh Debian lacks.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(NODE))
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox.
        browser = playwright.chromium.launch(
            executable_path=installed.path,
            env={**os.environ, **installed.variables},
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One person's visit: a page, and the problems on it."""

    aws: LocalStack
    context: BrowserContext
    page: Page
    wrong: list[str] = field(default_factory=list)

    def open(self, place: str = "") -> None:
        self.page.goto(self.aws.outputs["api_url"] + place)

    def sign_in(self, place: str = "", *, user: User | None = None) -> None:
        """Sign in through the hosted page, as a person does: as the stack's user by default."""
        outputs = self.aws.outputs
        email, password = user or (outputs["user"], outputs["password"])
        self.open(place)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator("input[name=username]").fill(email)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("button[type=submit], input[type=submit]").first.click()
        self.page.get_by_role("button", name="Sign out").wait_for()

    def go(self, hash_: str) -> None:
        self.page.evaluate("hash => { location.hash = hash }", hash_)

    def violations(self) -> list[str]:
        """Return axe's findings on the current page: all in light, and the contrast in dark."""
        # The header covers a part of what is scrolled below it, which axe takes for a small target.
        self.page.evaluate("scrollTo(0, 0)")
        self.page.emulate_media(color_scheme="dark")
        in_dark = self._findings(CONTRAST)
        self.page.emulate_media(color_scheme="light")
        return [f"dark {finding}" for finding in in_dark] + self._findings(RULES)

    def _findings(self, rules: dict[str, Any]) -> list[str]:
        violations: list[dict[str, Any]] = (
            Axe().run(self.page, options=rules).response["violations"]
        )
        return [
            f"{violation['id']}: {node['target']} {node['html'][:160]}"
            for violation in violations
            for node in violation["nodes"]
        ]

    def fits(self) -> bool:
        """Return whether the page fits without scrolling sideways."""
        return bool(
            self.page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            )
        )


def add_user(aws: LocalStack, role: Role) -> User:
    """Add a user with this role, who has chosen a password."""
    email, password = f"{role}-{uuid4().hex[:8]}@example.org", sign_in.random_password()
    sign_in.add_user(target(aws), email, role)
    aws.client("cognito-idp").admin_set_user_password(
        UserPoolId=target(aws).output("UserPoolId"),
        Username=email,
        Password=password,
        Permanent=True,
    )
    return email, password


@contextmanager
def visit(browser: Browser, aws: LocalStack, **options: Any) -> Iterator[Visit]:
    """Yield a visit with an empty browser.

    Fail if the console or the content policy reports a problem.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    visiting = Visit(aws=aws, context=context, page=page)

    def note(message: ConsoleMessage) -> None:
        # The sign-in's page and responses are not part of Easel's page.
        if message.type in ("error", "warning") and message.location["url"].startswith(
            aws.outputs["api_url"]
        ):
            visiting.wrong.append(f"{message.text} {message.location['url']}")

    page.on("console", note)
    page.on("pageerror", lambda error: visiting.wrong.append(str(error)))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error(`policy: "
        "${e.violatedDirective} ${e.blockedURI}`))"
    )
    try:
        yield visiting
    finally:
        context.close()
    assert not visiting.wrong, visiting.wrong


def make(caller: Caller, **request: object) -> dict[str, object]:
    """Make one finished image through the API."""
    run = caller.wait_for_end(caller.run({**SMALL, **request}, key=uuid4().hex).json)
    assert run["status"] == "succeeded"
    return dict(run["pictures"][0])


def make_batch(aws: LocalStack, lines: list[dict[str, object]]) -> str:
    """Make a finished batch of these lines, and return its name."""
    name = f"b{uuid4().hex[:8]}"
    manifest = "\n".join(json.dumps(line) for line in lines)
    aws.s3.put_object(Bucket=aws.bucket, Key=f"batches/{name}.jsonl", Body=manifest.encode())
    start = {"manifest": f"batches/{name}.jsonl"}
    arn = aws.states.start_execution(
        stateMachineArn=aws.outputs["batch_state_machine_arn"], input=json.dumps(start)
    )["executionArn"]
    assert aws.wait_for_end(arn)["status"] == "SUCCEEDED"
    return name
