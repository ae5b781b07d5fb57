"""The page in a real browser: everything that people do on it."""

import gzip
import html
import json
import re
from collections import Counter
from urllib.parse import urlsplit
from uuid import uuid4

from playwright.sync_api import Browser, Page, Route, expect

from tests.support.api_caller import Caller, fetch
from tests.support.browser import SMALL, Visit, make, make_batch, visit
from tests.support.local_stack import LocalStack

IMAGES = "/v1/images/generations"


def tiles(page: Page) -> int:
    return page.locator("ul.tiles li > button").count()


def test_signed_out_visitor_sees_how_to_sign_in(visitor: Visit) -> None:
    visitor.open()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(visitor.page.get_by_role("navigation")).to_be_hidden()


def test_sign_in_returns_to_the_requested_page(visitor: Visit) -> None:
    visitor.sign_in("#runs")
    expect(visitor.page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    assert "code=" not in visitor.page.url

    visitor.page.reload()
    expect(visitor.page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    assert visitor.page.evaluate("({ ...localStorage })") == {"easel.signed-in": "1"}

    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert visitor.page.evaluate("sessionStorage.length + localStorage.length") == 0

    visitor.open("#gallery")
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_wrong_password_is_refused(visitor: Visit) -> None:
    visitor.open()
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.page.locator("input[name=username]").fill(visitor.aws.outputs["user"])
    visitor.page.locator("input[name=password]").fill("Wrong-password-1")
    visitor.page.locator("button[type=submit], input[type=submit]").first.click()

    expect(visitor.page.locator("input[name=password]")).to_be_visible()
    assert not visitor.page.url.startswith(visitor.aws.outputs["api_url"])


def test_idea_becomes_images_shown_as_they_arrive(visitor: Visit) -> None:
    folder, page = f"page/{uuid4().hex}", visitor.page
    visitor.sign_in()
    page.get_by_label("Your idea").fill("Our new teapot on a wooden table")
    page.get_by_label("Style").fill("Watercolour")
    page.get_by_role("radio", name="Other").check()
    page.get_by_label("Width x height").fill("1024x640")
    page.get_by_role("radio", name="Low").check()
    page.get_by_label("Pictures", exact=True).fill("2")
    page.get_by_label("Folder").fill(folder)
    expect(page.locator("#price")).to_contain_text(re.compile(r"Up to \$0\.\d+.* left this month"))
    expect(page.locator("#price.old")).to_have_count(0)

    visitor.aws.script({"path": IMAGES, "delay": 1.5, "times": 2})
    page.get_by_role("button", name="Make 2 pictures").click()
    page.wait_for_url(re.compile(r"#run/"))
    steps = page.locator("ol.steps li")
    expect(steps).to_have_count(4)
    expect(steps.nth(1)).to_contain_text("Running")

    page.reload()
    expect(steps.nth(3)).to_contain_text("Done")
    expect(page.locator(".badge")).to_have_text("Done")
    expect(page.locator("section.pictures ul.tiles li > button")).to_have_count(2)

    assert page.get_by_role("link", name="console").count() == 0  # the local stack has none
    assert visitor.aws.charges()["images"] == 2
    assert len(visitor.aws.keys(f"{folder}/")) == 5


def test_selected_option_requires_its_value(visitor: Visit) -> None:
    page = visitor.page
    visitor.sign_in()
    page.get_by_role("radio", name="Other").check()
    expect(page.get_by_label("Width x height")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("button.big")).to_have_attribute("aria-disabled", "true")

    page.get_by_role("radio", name="Square").check()
    page.get_by_label("Use my text exactly").check()
    expect(page.get_by_label("Your idea")).to_have_attribute("aria-invalid", "true")
    visitor.wrong = [message for message in visitor.wrong if "400" not in message]


def test_surprise_me_takes_one_click(visitor: Visit) -> None:
    visitor.sign_in()
    visitor.page.get_by_role("button", name="Surprise me").click()
    expect(visitor.page.locator(".badge")).to_have_text("Done")
    assert visitor.aws.charges()["images"] == 1


def test_click_with_lost_response_is_paid_once(visitor: Visit) -> None:
    page, sent = visitor.page, []

    def lose(route: Route) -> None:
        sent.append(route.request.headers["idempotency-key"])
        if len(sent) == 1:
            route.fetch()  # the request arrives, but its response does not
            route.abort()
        else:
            route.continue_()

    visitor.sign_in()
    page.route("**/runs", lose)
    page.get_by_label("Your idea").fill("A kite")
    page.get_by_role("button", name="Make the picture").click()
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".badge")).to_have_text("Done")
    assert len(set(sent)) == 1
    assert visitor.aws.charges()["images"] == 1

    visitor.wrong = [message for message in visitor.wrong if "ERR_FAILED" not in message]


def test_wrong_field_is_marked_and_blocks_buying(visitor: Visit) -> None:
    page = visitor.page
    visitor.sign_in()
    page.get_by_label("Folder").fill("staging")

    expect(page.get_by_label("Folder")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#folder_name-problem")).to_contain_text("staging")
    expect(page.locator("button.big")).to_have_attribute("aria-disabled", "true")

    visitor.wrong = [message for message in visitor.wrong if "400" not in message]


def test_images_over_budget_cannot_be_bought(
    browser: Browser, aws: LocalStack, caller: Caller
) -> None:
    from datetime import UTC, datetime

    from easel.aws.table import Table
    from easel.ledger.budget import Budget, month_of

    budget, month = (
        Budget(Table(aws.dynamodb, name=aws.outputs["table"]), setting=25_000_000),
        month_of(datetime.now(UTC)),
    )
    budget.set_cap(month, 0)
    try:
        with visit(browser, aws) as visitor:
            visitor.sign_in()
            expect(visitor.page.locator("#price")).to_contain_text("Spending is stopped")
            expect(visitor.page.locator("button.big")).to_have_attribute("aria-disabled", "true")
            visitor.page.locator("button.big").click(force=True)
            assert "#run/" not in visitor.page.url
    finally:
        budget.set_cap(month, 25_000_000)


def test_watching_loads_each_image_once(visitor: Visit, caller: Caller) -> None:
    """Each response signs its links again, but the images are not loaded again."""
    loaded: Counter[str] = Counter()
    visitor.aws.script({"path": IMAGES, "delay": 5.0, "times": 1})
    run = caller.run({**SMALL, "prompt": "A kite", "count": 2}, key=uuid4().hex).json
    visitor.page.on(
        "request",
        lambda sent: (
            loaded.update([urlsplit(sent.url).path]) if sent.resource_type == "image" else None
        ),
    )
    polls: list[str] = []
    visitor.page.on(
        "request", lambda sent: polls.append(sent.url) if sent.url.endswith(run["id"]) else None
    )
    visitor.sign_in(f"#run/{run['id']}")
    visitor.page.locator("section.pictures li.shown").first.wait_for()
    expect(visitor.page.locator(".badge")).to_have_text("Done")
    expect(visitor.page.locator("section.pictures li.shown")).to_have_count(2)

    pictures = {path: times for path, times in loaded.items() if path.endswith(".png")}
    assert len(polls) > 3
    assert (len(pictures), max(pictures.values())) == (2, 1)


def test_failed_run_shows_reason_and_can_resume(visitor: Visit, caller: Caller) -> None:
    no_credit = {"error": {"code": "insufficient_quota", "message": "no"}}
    visitor.aws.script({"path": IMAGES, "status": 429, "body": no_credit})
    run = caller.wait_for_end(caller.run({**SMALL, "prompt": "A kite"}, key=uuid4().hex).json)
    visitor.sign_in(f"#run/{run['id']}")
    page = visitor.page
    expect(page.locator(".badge")).to_have_text("Failed")
    expect(page.locator(".callout")).to_contain_text("QuotaExhaustedError")
    expect(page.locator(".callout")).to_contain_text("OpenAI account out of credit")

    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".badge")).to_have_text("Done")
    assert visitor.aws.charges()["images"] == 1


def test_second_click_stops_a_run(visitor: Visit, caller: Caller) -> None:
    visitor.aws.script({"path": IMAGES, "delay": 4.0})
    run = caller.run({**SMALL, "prompt": "A kite"}, key=uuid4().hex).json
    visitor.sign_in(f"#run/{run['id']}")
    visitor.page.get_by_role("button", name="Stop").click()
    visitor.page.get_by_role("button", name="Really stop?").click()
    expect(visitor.page.locator(".badge")).to_have_text("Stopped")

    visitor.page.get_by_role("button", name="Resume").click()
    expect(visitor.page.locator(".badge")).to_have_text("Done")


def test_gallery_is_endless_sorted_and_filterable(visitor: Visit, caller: Caller) -> None:
    folder = f"endless/{uuid4().hex}"
    for n in range(3):
        caller.wait_for_end(
            caller.run(
                {**SMALL, "prompt": f"Kite {n}", "count": 10, "folder_name": folder},
                key=uuid4().hex,
            ).json
        )
    make(caller, prompt="Elsewhere", topic="Sport")
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    expect(page.locator("ul.tiles li")).to_have_count(30)

    captions = page.locator("ul.tiles li .caption").all_text_contents()
    assert captions == sorted(captions, reverse=True)
    page.get_by_label("Folder").fill("")
    page.get_by_label("Folder").press("Enter")
    page.get_by_label("Topic").fill("Sport")
    page.get_by_label("Topic").press("Enter")
    expect(page.locator("ul.tiles li .caption").first).to_have_text("Elsewhere")
    assert "topic=Sport" in page.url


def test_image_can_be_viewed_by_keyboard(visitor: Visit, caller: Caller) -> None:
    folder = f"keys/{uuid4().hex}"
    for words in ("First kite", "Second kite"):
        make(caller, prompt=words, folder_name=folder)
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    expect(page.locator("ul.tiles li")).to_have_count(2)

    page.locator("ul.tiles li > button").first.focus()
    page.keyboard.press("Enter")
    about = page.locator("aside")
    expect(about).to_contain_text("Second kite")

    page.keyboard.press("ArrowRight")
    expect(about.get_by_role("heading", level=2)).to_have_text("First kite")
    page.keyboard.press("z")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".pswp")).to_have_count(0)
    expect(page.locator("ul.tiles li > button").nth(1)).to_be_focused()


def test_lightbox_shows_details_copies_downloads_and_restarts(
    visitor: Visit, caller: Caller, browser: Browser
) -> None:
    folder, words = f"box/{uuid4().hex}", "A kite. " * 200
    make(caller, prompt=words, folder_name=folder)
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    page.locator("ul.tiles li > button").click()
    about = page.locator("aside")
    expect(about).to_contain_text("gpt-image-2.6-flare, low quality")
    expect(about).to_contain_text("1024 × 640")
    expect(about).to_contain_text(re.compile(r"\$0\.\d+"))
    expect(about.locator(".prompt")).to_have_text(words.strip())

    about.get_by_role("button", name="Copy prompt").click()
    expect(about.get_by_role("status")).to_have_text("Prompt copied")
    assert page.evaluate("navigator.clipboard.readText()") == words.strip()

    with page.expect_download() as download:
        about.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.endswith(".png")
    about.get_by_role("button", name="Reuse prompt").click()
    expect(page.get_by_label("Your idea")).to_have_value(words.strip())
    expect(page.get_by_label("Folder")).to_have_value(folder)
    expect(page.get_by_label("Use my text exactly")).to_be_checked()


def test_undo_and_recently_deleted_restore_an_image(visitor: Visit, caller: Caller) -> None:
    folder, page = f"undo/{uuid4().hex}", visitor.page
    for words in ("First kite", "Second kite"):
        make(caller, prompt=words, folder_name=folder)
    visitor.sign_in(f"#gallery?folder={folder}")

    def delete() -> None:
        page.get_by_role("button", name="Second kite").click()
        page.locator("aside").get_by_role("button", name="Delete").click()
        expect(page.locator("ul.tiles li")).to_have_count(1)

    delete()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()

    page.get_by_role("button", name="Undo").click()
    expect(page.locator("ul.tiles li")).to_have_count(2)
    assert len([key for key in visitor.aws.keys(f"{folder}/") if key.endswith(".png")]) == 2

    delete()
    visitor.aws.until(
        lambda: len([key for key in visitor.aws.keys(f"{folder}/") if key.endswith(".png")]) == 1
    )
    visitor.go("#deleted")
    page.get_by_role("button", name="Restore Second kite").first.click()
    expect(page.locator("#notes")).to_contain_text("is restored to the gallery")

    visitor.go(f"#gallery?folder={folder}")
    expect(page.locator("ul.tiles li")).to_have_count(2)


def test_folder_delete_requires_typing_its_name(visitor: Visit, caller: Caller) -> None:
    folder, page = f"typed/{uuid4().hex}", visitor.page
    make(caller, prompt="A kite", folder_name=folder)
    make(caller, prompt="A kite", folder_name=f"{folder}/below")
    visitor.sign_in(f"#gallery?folder={folder}")
    page.get_by_role("button", name="Delete this folder").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 pictures in it and in 1 folder below it")

    dialog.get_by_label("Type the folder's name").fill(folder[:-1])
    dialog.get_by_label("Type the folder's name").press("Enter")
    expect(dialog).to_be_visible()

    dialog.get_by_label("Type the folder's name").fill(folder)
    dialog.get_by_role("button", name="Delete 2 pictures").click()
    expect(page.locator(".state")).to_contain_text("No pictures found")

    page.get_by_role("button", name="Undo").click()
    expect(page.locator("ul.tiles li")).to_have_count(1)


def test_refused_request_shows_the_reason(visitor: Visit, caller: Caller) -> None:
    folder = f"gone-{uuid4().hex[:8]}"
    picture = make(caller, prompt="A kite", folder_name=folder)
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    page.get_by_role("button", name="Delete this folder").click()
    caller.wait_for_end(
        caller("DELETE", f"/images/{picture['id']}").json
    )  # somebody else is faster

    page.get_by_label("Type the folder's name").fill(folder)
    page.get_by_role("button", name="Delete 1 picture").click()

    expect(page.locator("#notes")).to_contain_text(
        f"Not found: there are no images in a folder '{folder}'"
    )
    (problem,) = visitor.wrong  # the browser's own line about the response
    assert "404" in problem
    visitor.wrong.clear()


def test_markup_in_user_text_is_shown_as_text(visitor: Visit, caller: Caller) -> None:
    words = f"<img src=x onerror=\"document.title='broken'\"><b>{uuid4().hex}</b>"
    run = caller.wait_for_end(
        caller.run(
            {**SMALL, "prompt": words, "topic": "<i>topic</i>", "folder_name": "<b>folder"},
            key=uuid4().hex,
        ).json
    )
    visitor.sign_in(f"#run/{run['id']}")
    expect(visitor.page.locator("blockquote")).to_have_text(words)

    visitor.go("#gallery?folder=%3Cb%3Efolder")
    visitor.page.locator("ul.tiles li > button").first.click()
    expect(visitor.page.locator("aside .prompt")).to_have_text(words)
    assert visitor.page.locator("aside b, main b").count() == 0
    assert "broken" not in visitor.page.title()


def test_expired_sign_in_asks_to_sign_in_again(visitor: Visit) -> None:
    visitor.sign_in("#gallery")
    # The page moves on at once. If a request of the gallery met the broken token first, the move
    # would sign in again without a question.
    visitor.page.evaluate(
        """() => {
            for (const [name, kept] of Object.entries(sessionStorage)) {
                if (!name.startsWith("oidc.user")) continue;
                const broken = { access_token: "x.y.z", refresh_token: "none" };
                sessionStorage.setItem(name, JSON.stringify({ ...JSON.parse(kept), ...broken }));
            }
            location.hash = "#runs";
        }"""
    )

    expect(visitor.page.get_by_role("alert")).to_contain_text("Your session has expired")
    expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()

    visitor.wrong = [message for message in visitor.wrong if "401" not in message]


STATES = (
    "signed out",
    "make",
    "make wrong",
    "gallery",
    "gallery empty",
    "lightbox",
    "deleted",
    "runs",
    "schedules",
    "spending",
    "run",
    "run failed",
    "run refused",
    "batches",
    "new batch",
    "batch",
    "folder dialog",
)


def test_axe_finds_no_violation_in_any_state(
    browser: Browser, aws: LocalStack, caller: Caller
) -> None:
    folder = f"axe/{uuid4().hex}"
    picture = make(caller, prompt="A kite", folder_name=folder)
    aws.script(
        {
            "path": IMAGES,
            "status": 429,
            "body": {"error": {"code": "insufficient_quota", "message": "no"}},
        }
    )
    failed = caller.wait_for_end(caller.run({**SMALL, "prompt": "A kite"}, key=uuid4().hex).json)
    refusal = {"error": {"code": "moderation_blocked", "message": "no"}}
    aws.script({"path": IMAGES, "status": 400, "body": refusal})
    refused = caller.wait_for_end(caller.run({**SMALL, "prompt": "A kite"}, key=uuid4().hex).json)
    batch = make_batch(aws, [{**SMALL, "prompt": f"A kite {folder}"}])
    when = {"when": "cron(0 8 ? * MON-FRI *)", "time_zone": "Europe/Berlin"}
    assert caller("PUT", "/schedules/axe", when).status == 200
    violations: dict[str, list[str]] = {}

    with visit(browser, aws, reduced_motion="reduce") as visitor:
        page = visitor.page
        visitor.open()
        page.get_by_role("button", name="Sign in").wait_for()
        violations["signed out"] = visitor.violations()
        visitor.sign_in()
        page.locator("ul.tiles li").first.wait_for()
        violations["make"] = visitor.violations()
        page.get_by_label("Folder").fill("staging")
        page.locator("[aria-invalid]").wait_for()
        violations["make wrong"] = visitor.violations()
        for state, place, sign in (
            ("gallery", f"#gallery?folder={folder}", "ul.tiles li"),
            ("gallery empty", "#gallery?topic=nothing", ".state h2"),
            ("deleted", "#deleted", "main .end *, ul.rows li"),
            ("runs", "#runs", "ul.rows li"),
            ("schedules", "#schedules", "ul.rows li"),
            ("spending", "#spending", ".money"),
            ("run", f"#run/{picture['id']}", "h1"),
            ("run failed", f"#run/{failed['id']}", ".callout"),
            ("run refused", f"#run/{refused['id']}", ".callout"),
            ("batches", "#batches", "ul.rows li"),
            ("new batch", "#new-batch", ".drop"),
            ("batch", f"#batch/{batch}", "ul.rows li"),
        ):
            visitor.go(place)
            page.locator(sign).first.wait_for()
            violations[state] = visitor.violations()
        visitor.go(f"#gallery?folder={folder}")
        page.get_by_role("button", name="Delete this folder").click()
        violations["folder dialog"] = visitor.violations()
        page.keyboard.press("Escape")
        page.locator("ul.tiles li > button").first.click()
        page.locator("aside .prompt").wait_for()
        violations["lightbox"] = visitor.violations()
        # axe sets inline styles, which the content policy refuses. The other tests check for such
        # errors.
        visitor.wrong.clear()

    assert set(violations) == set(STATES)
    assert {state: messages for state, messages in violations.items() if messages} == {}


def test_page_never_scrolls_sideways(browser: Browser, aws: LocalStack, caller: Caller) -> None:
    make(caller, prompt="A kite")
    batch = make_batch(aws, [{**SMALL, "prompt": f"A kite {uuid4().hex}"}])
    with visit(browser, aws) as visitor:

        def widths_that_scroll() -> list[int]:
            widths = []
            for width in (320, 768, 2560):
                visitor.page.set_viewport_size({"width": width, "height": 800})
                if not visitor.fits():
                    widths.append(width)
            return widths

        visitor.open()
        visitor.page.get_by_role("button", name="Sign in").wait_for()
        assert widths_that_scroll() == []
        visitor.sign_in()
        for place, sign in (
            ("#make", "form"),
            ("#gallery", "ul.tiles li"),
            ("#runs", "ul.rows li"),
            ("#batches", "ul.rows li"),
            ("#new-batch", ".drop"),
            (f"#batch/{batch}", "ul.rows li"),
            ("#spending", ".money"),
            ("#deleted", "h1"),
        ):
            visitor.go(place)
            visitor.page.locator(sign).first.wait_for()
            assert widths_that_scroll() == [], place


def test_first_load_is_small_and_same_origin(browser: Browser, aws: LocalStack) -> None:
    own = vendored = 0
    with visit(browser, aws) as visitor:
        visitor.open()
        visitor.page.get_by_role("button", name="Sign in").wait_for()
        urls = visitor.page.evaluate(
            "performance.getEntriesByType('resource').map(e => e.name).concat(location.href)"
        )
    for url in set(urls):
        assert url.startswith(aws.outputs["api_url"])
        # CloudFront compresses files. The emulator's distributions do not.
        size = len(gzip.compress(fetch(url).body))
        own, vendored = (own, vendored + size) if "/vendor/" in url else (own + size, vendored)

    assert own + vendored < 300_000
    assert own < 65_000


def test_page_headers_block_other_origins(aws: LocalStack) -> None:
    answer = fetch(aws.outputs["api_url"])
    config = json.loads(fetch(aws.outputs["api_url"] + "config.json").body)
    tag = re.search(r'Content-Security-Policy" content="([^"]+)"', answer.body.decode())
    assert tag
    policies = f"{html.unescape(tag[1])}; {answer.headers['content-security-policy']}"
    policy = dict(part.strip().split(" ", 1) for part in policies.split(";"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["img-src"].split()[-1] == config["images_origin"]
    origins = f"{config['sign_in_origin']} {config['images_origin']}"
    assert policy["connect-src"] == f"'self' {origins}"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert (
        fetch(aws.outputs["api_url"], headers={"If-None-Match": answer.headers["etag"]}).status
        == 304
    )
    assert fetch(aws.outputs["api_url"] + "web/../handler.py").status in (401, 403, 404)
    assert fetch(aws.outputs["api_url"] + "web/%2e%2e/handler.py").status == 403
