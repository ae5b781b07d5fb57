"""The runs on the page: their outcome in plain words, their list, and how they are polled."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.api_caller import Caller
from tests.support.browser import SMALL, Visit, make
from tests.support.local_stack import LocalStack

IMAGES = "/v1/images/generations"
REFUSAL = {"error": {"code": "moderation_blocked", "message": "no"}}
NO_CREDIT = {"error": {"code": "insufficient_quota", "message": "no"}}
NO_PICTURE = {"created": 1, "data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}
# Calls follow() with errors, then with a run, and returns the milliseconds that it waits.
WAITS = """async () => {
    const waits = [], real = setTimeout;
    window.setTimeout = (go, wait) => (waits.push(wait), real(go, 0));
    const { follow } = await import("./web/client/run_polling.js");
    const running = { status: "running" };
    const answers = [503, 503, 429, 500, running, running, { status: "succeeded" }];
    const api = {
        run: async () => {
            const answer = answers.shift();
            if (answer.status) return answer;
            const retryAfter = answer === 500 ? 20 : 0;
            const problem = { status: answer, isTransient: true, retryAfter };
            throw Object.assign(new Error("busy"), problem);
        },
    };
    for await (const run of follow(api, "run-1", new AbortController().signal, () => {}));
    return waits;
}"""


def run(caller: Caller, **request: object) -> dict[str, object]:
    """Make a run and wait for its end."""
    return caller.wait_for_end(caller.run({**SMALL, **request}, key=uuid4().hex).json)


def row(page: Page, title: str) -> Locator:
    return page.locator("ul.rows > li").filter(has_text=title)


def test_refused_run_offers_other_words(visitor: Visit, caller: Caller) -> None:
    visitor.aws.script({"path": IMAGES, "status": 400, "body": REFUSAL})
    refused = run(caller, description="A forbidden kite", style="Watercolour")
    visitor.sign_in(f"#run/{refused['id']}")
    page = visitor.page

    expect(page.locator(".badge")).to_have_text("Refused")
    expect(page.locator("ol.steps li").nth(1)).to_contain_text("Refused")
    expect(page.locator("ol.steps li").nth(2)).to_contain_text("Skipped")
    expect(page.locator(".callout")).to_contain_text("You do not pay for a refused picture.")
    assert "moderation_blocked" not in page.locator("main").inner_text()

    page.get_by_role("button", name="Change the words").click()
    expect(page.get_by_label("Your idea")).to_have_value("A forbidden kite")
    expect(page.get_by_label("Style")).to_have_value("Watercolour")


def test_partly_refused_run_counts_its_images(visitor: Visit, caller: Caller) -> None:
    visitor.aws.script({"path": IMAGES, "status": 400, "body": REFUSAL})
    partly = run(caller, prompt="A kite", count=3)
    visitor.sign_in(f"#run/{partly['id']}")

    expect(visitor.page.locator(".badge")).to_have_text("2 of 3")
    expect(visitor.page.locator(".callout")).to_contain_text("refused 1 of 3 pictures")


def test_lost_image_offers_no_resume(visitor: Visit, caller: Caller) -> None:
    visitor.aws.script({"path": IMAGES, "status": 200, "body": NO_PICTURE})
    failed = run(caller, description="A kite", count=2)
    visitor.sign_in(f"#run/{failed['id']}")
    page = visitor.page

    expect(page.locator(".callout")).to_contain_text("BadImageError")
    assert page.locator("ol.steps .word").all_text_contents() == ["Done", "Failed", "Done", "Done"]
    assert page.get_by_role("button", name="Resume").count() == 0

    page.get_by_role("button", name="Change and try again").click()
    expect(page.get_by_label("Your idea")).to_have_value("A kite")


def test_running_run_shows_cost_in_equal_cells(visitor: Visit, caller: Caller) -> None:
    visitor.aws.script({"path": IMAGES, "delay": 3.0})
    running = caller.run({"prompt": "A kite", "count": 4}, key=uuid4().hex).json
    visitor.sign_in(f"#run/{running['id']}")
    page = visitor.page
    page.set_viewport_size({"width": 1000, "height": 900})

    expect(page.locator(".facts").first).to_contain_text(
        re.compile(r"Up to \$\d\.\d\d, \$\d\.\d\d so far")
    )
    expect(page.locator(".badge")).to_have_text("Done")
    page.locator("section.pictures li.shown").nth(3).wait_for()
    cells = page.locator("section.pictures ul.tiles > li").all()
    boxes = [box for cell in cells if (box := cell.bounding_box())]
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1


def test_dry_run_shows_only_its_price(visitor: Visit, caller: Caller) -> None:
    estimate = run(caller, description="A kite", dry_run=True)
    visitor.sign_in(f"#run/{estimate['id']}")
    page = visitor.page

    expect(page.locator(".badge")).to_have_text("Estimate")
    expect(page.locator("section.pictures")).to_contain_text(re.compile(r"Up to \$\d\.\d\d"))
    expect(page.get_by_role("button", name="Make it")).to_be_visible()


def test_list_names_what_was_asked_for(visitor: Visit, caller: Caller, aws: LocalStack) -> None:
    word = uuid4().hex[:8]
    aws.run({**SMALL, "prompt": f"By {word}", "request_id": f"own-{word}"})
    image = make(caller, prompt=f"Deleted {word}", folder_name=f"list/{word}")
    caller.wait_for_end(caller("DELETE", f"/images/{image['id']}").json)
    visitor.sign_in("#runs")
    page = visitor.page

    expect(row(page, f"By {word}").locator("img")).to_be_visible()
    expect(row(page, f"By {word}").locator(".price")).to_have_text(re.compile(r"^\$0\.00\d+$"))
    expect(row(page, f"Delete the picture list/{word}/")).to_have_count(1)
    expect(row(page, f"Deleted {word}").locator(".badge")).to_have_text("Done")


def test_failed_rows_are_filtered_and_resumed(visitor: Visit, caller: Caller) -> None:
    word = uuid4().hex[:8]
    visitor.aws.script({"path": IMAGES, "status": 429, "body": NO_CREDIT})
    run(caller, prompt=f"Refused {word}")
    run(caller, prompt=f"Bought {word}")
    visitor.sign_in("#runs")
    page, failed = visitor.page, row(visitor.page, f"Refused {word}")
    expect(row(page, f"Bought {word}")).to_be_visible()

    page.get_by_label("State").select_option("Failed")
    expect(row(page, f"Bought {word}")).to_have_count(0)
    expect(failed).to_contain_text("OpenAI account out of credit")
    failed.get_by_role("button", name="Resume").click()
    expect(failed).to_have_count(0)

    page.go_back()
    expect(failed.locator(".badge")).to_have_text("Done")


def test_list_refreshes_itself(visitor: Visit, caller: Caller) -> None:
    word = uuid4().hex[:8]
    visitor.aws.script({"path": IMAGES, "delay": 4.0})
    caller.run({**SMALL, "prompt": f"Slow {word}"}, key=uuid4().hex)
    visitor.sign_in("#runs")
    slow = row(visitor.page, f"Slow {word}")
    expect(slow.locator(".badge")).to_have_text("Running")

    expect(slow.locator(".badge")).to_have_text("Done")
    expect(slow.locator("img")).to_be_visible()


def test_filters_are_kept_in_the_address(visitor: Visit, caller: Caller) -> None:
    word = uuid4().hex[:8]
    image = make(caller, prompt=f"Mine {word}", folder_name=f"list/{word}")
    caller.wait_for_end(caller("DELETE", f"/images/{image['id']}").json)
    visitor.sign_in("#runs")
    page = visitor.page
    made, deleted = row(page, f"Mine {word}"), row(page, f"Delete the picture list/{word}/")
    expect(made).to_be_visible()
    expect(deleted).to_be_visible()

    page.get_by_label("Kind").select_option("Deleted")
    expect(made).to_have_count(0)
    expect(deleted).to_be_visible()
    assert "kind=delete" in page.url

    # The program that made it is another person than the visitor.
    page.get_by_label("Who").select_option("Me")
    expect(deleted).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("delete")
    expect(page.get_by_label("Who")).not_to_have_value("")

    page.go_back()
    page.get_by_label("To", exact=True).fill("2020-01-01")
    page.get_by_label("To", exact=True).blur()
    expect(page.get_by_role("heading", name="No such runs")).to_be_visible()
    page.get_by_role("button", name="Show all runs").click()
    expect(made).to_be_visible()


def test_own_runs_are_found_by_who(visitor: Visit, caller: Caller) -> None:
    word = uuid4().hex[:8]
    assert caller("GET", "/me").json["name"] == "a program"
    make(caller, prompt=f"By program {word}")
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Your idea").fill(f"By visitor {word}")
    expect(page.locator("#price.old")).to_have_count(0)
    page.locator("button.big:not([aria-disabled])").click()
    page.wait_for_url(re.compile("#run/"))
    run_id = page.url.partition("#run/")[2]

    visitor.go("#runs")
    page.get_by_label("Who").select_option("Me")

    expect(page.locator(f"ul.rows a[href='#run/{run_id}']")).to_be_visible()
    expect(row(page, f"By program {word}")).to_have_count(0)
    page.get_by_label("Who").select_option("a program")
    expect(row(page, f"By program {word}")).to_contain_text("by a program")
    expect(page.locator(f"ul.rows a[href='#run/{run_id}']")).to_have_count(0)


def test_many_runs_are_resumed_with_one_click(visitor: Visit, caller: Caller) -> None:
    word = uuid4().hex[:8]
    visitor.aws.script({"path": IMAGES, "status": 429, "body": NO_CREDIT, "times": 3})
    runs = [run(caller, prompt=f"Broken {word} {n}") for n in range(3)]
    visitor.sign_in("#runs?status=failed")
    page, broken = visitor.page, row(visitor.page, f"Broken {word}")
    expect(broken).to_have_count(3)

    button = page.get_by_role("button", name=re.compile("^Resume selected"))
    expect(button).to_have_attribute("aria-disabled", "true")
    for n in range(3):
        page.get_by_role("checkbox", name=f"Select Broken {word} {n}").check()
    expect(button).to_have_text("Resume selected (3)")
    # Somebody else resumes one of them at the same time.
    caller.wait_for_end(caller("POST", f"/runs/{runs[0]['id']}/redrive").json)
    button.click()

    expect(page.get_by_text("1 run could not be resumed")).to_be_visible()
    expect(page.locator(".callout li")).to_contain_text("Conflicts with something that exists")
    expect(broken).to_have_count(0)
    for started in runs:
        assert caller.wait_for_end(started)["status"] == "succeeded"


# Calls follow() with a run that never ends, and returns the seconds that it waits: first in a page
# that is shown, then in a hidden page that is shown again when it stops to wait.
LONG_RUN = """async (isNotified) => {
    const waits = [], real = setTimeout, left = new AbortController();
    let isHidden = false;
    Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
    window.setTimeout = (go, wait) => (waits.push(wait / 1000), real(go, 0));
    const { follow } = await import("./web/client/run_polling.js");
    const api = { run: async () => ({ status: "running" }) };
    const show = () => {
        isHidden = false;
        document.dispatchEvent(new Event("visibilitychange"));
    };
    for await (const _ of follow(api, "run-1", left.signal, () => {}, () => isNotified)) {
        if (waits.length === 10) isHidden = true;
        if (waits.length === 10 && !isNotified) real(show, 100);
        if (waits.length === 13) return waits;
    }
}"""


def test_polling_backs_off_in_long_runs(visitor: Visit) -> None:
    visitor.open()

    waits = visitor.page.evaluate(LONG_RUN, False)

    assert waits[:9] == [pytest.approx(min(5, 1.25**n)) for n in range(9)]
    assert waits[9:] == [5, 10, 1.25, pytest.approx(1.25**2)]  # hidden, and shown again


def test_polling_is_slow_in_a_hidden_page(visitor: Visit) -> None:
    visitor.open()

    assert visitor.page.evaluate(LONG_RUN, True)[9:] == [5, 10, 15, 15]


def test_polling_slows_down_and_recovers(visitor: Visit) -> None:
    visitor.open()

    waits = visitor.page.evaluate(WAITS)

    assert waits == [1000, 2000, 4000, 8000, 20_000, 5000, 5000]
