"""The gallery's search, its filters, and the marks of single images."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make
from tests.support.reference_form import show


@pytest.fixture
def word() -> str:
    """Return a word that no image of another test has."""
    return f"w{uuid4().hex[:10]}"


def tiles(page: Page) -> Locator:
    return page.locator("ul.tiles > li > button")


def captions(page: Page) -> Locator:
    return page.locator("ul.tiles > li .caption")


def wait_until_found(caller: Caller, count: int, **query: str) -> None:
    """Wait until the search's index has these images."""

    def found() -> int:
        return len(caller("GET", "/images", query=query).json["images"])

    caller.aws.until(lambda: found() == count)


def test_search_ignores_accents_and_ends_of_words(
    visitor: Visit, caller: Caller, word: str
) -> None:
    make(caller, prompt=f"Café kites {word}", folder_name="search")
    make(caller, prompt=f"A lighthouse {word}", folder_name="search")
    wait_until_found(caller, 2, q=word)
    visitor.sign_in("#gallery")
    page = visitor.page

    page.get_by_label("Search").fill(f"cafe kit {word}")
    expect(captions(page)).to_have_text([f"Café kites {word}"])
    expect(page).to_have_url(re.compile(rf"#gallery\?q=cafe\+kit\+{word}$"))
    page.get_by_label("Search").fill(word)
    expect(tiles(page)).to_have_count(2)

    page.reload()
    expect(page.get_by_label("Search")).to_have_value(word)
    expect(tiles(page)).to_have_count(2)
    page.go_back()
    expect(page.get_by_label("Search")).to_have_value("")
    expect(page).to_have_url(re.compile("#gallery$"))


def test_last_search_wins(visitor: Visit, caller: Caller, word: str) -> None:
    make(caller, prompt=f"Slow {word}", folder_name="search")
    make(caller, prompt=f"Fast {word}", folder_name="search")
    wait_until_found(caller, 2, q=word)
    visitor.sign_in("#gallery")
    page, held = visitor.page, list[Route]()

    def hold_the_first(route: Route) -> None:
        if "slow" in route.request.url:
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile(r"/images\?"), hold_the_first)
    with page.expect_request(re.compile("q=slow")):
        page.get_by_label("Search").fill(f"slow {word}")
    with page.expect_event("requestfailed", lambda sent: "q=slow" in sent.url):
        page.get_by_label("Search").fill(f"fast {word}")

    expect(captions(page)).to_have_text([f"Fast {word}"])
    assert len(held) == 1


def test_empty_result_names_the_filter_to_drop(visitor: Visit, caller: Caller, word: str) -> None:
    make(caller, prompt=f"A kite {word}", folder_name="search")
    wait_until_found(caller, 1, q=word)
    visitor.sign_in(f"#gallery?q={word}&favourite=true&folder=search")
    page = visitor.page
    expect(page.locator(".state")).to_contain_text(f"No pictures found: “{word}”")
    drops = page.get_by_role("button", name=re.compile("^Drop"))
    expect(drops).to_have_text(["Drop favourites"])

    drops.click()

    expect(captions(page)).to_have_text([f"A kite {word}"])


def test_short_pages_are_read_until_the_end(visitor: Visit, caller: Caller, word: str) -> None:
    make(caller, prompt=f"A kite {word}", folder_name="search")
    wait_until_found(caller, 1, q=word)
    page, cursors = visitor.page, list[str]()

    def answer_with_nothing_twice(route: Route) -> None:
        (cursor,) = parse_qs(urlsplit(route.request.url).query).get("cursor", [""])
        cursors.append(cursor)
        if cursor == "two":
            url = route.request.url.replace("cursor=two", "")
            route.fulfill(response=route.fetch(url=url.rstrip("&")))
        else:
            following = "two" if cursor else "one"
            route.fulfill(json={"images": [], "cursor": following})

    page.route(re.compile(r"/images\?.*q="), answer_with_nothing_twice)
    visitor.sign_in(f"#gallery?q={word}")

    expect(captions(page)).to_have_text([f"A kite {word}"])
    assert cursors == ["", "one", "two"]


def test_filters_are_kept_in_the_address(visitor: Visit, caller: Caller, word: str) -> None:
    make(caller, prompt=f"A kite {word}", folder_name=f"search/{word}")
    wait_until_found(caller, 1, q=word)
    visitor.sign_in(f"#gallery?q={word}&from=2026-01-01&batch=false&shared=false")
    page = visitor.page
    expect(tiles(page)).to_have_count(1)
    expect(page.get_by_label("From")).to_have_value("2026-01-01")
    expect(page.get_by_label("Batches")).to_have_value("false")

    page.get_by_label("Model").select_option(index=1)
    expect(page).to_have_url(re.compile("model="))
    page.get_by_label("From").fill("2999-01-01")
    expect(page.locator(".state")).to_contain_text("No pictures found")

    page.go_back()
    expect(tiles(page)).to_have_count(1)


def test_people_are_a_filter_if_there_are_any(visitor: Visit, word: str) -> None:
    page = visitor.page
    visitor.sign_in(f"#gallery?q={word}")
    people = re.compile("/people$")
    page.route(people, lambda route: route.fulfill(json={"people": []}))
    page.reload()
    page.locator("details.more summary").click()
    expect(page.get_by_label("Tag", exact=True)).to_be_visible()
    expect(page.get_by_label("Who")).to_have_count(0)

    ada = {"id": "0123abcd", "name": "ada@example.org"}
    page.unroute(people)
    page.route(people, lambda route: route.fulfill(json={"people": [ada]}))
    page.reload()
    page.locator("details.more summary").click()
    with page.expect_request(re.compile("person=0123abcd")):
        page.get_by_label("Who").select_option(ada["name"])

    expect(page.locator(".state")).to_contain_text(f"“{word}”, by ada@example.org")


def test_star_survives_a_reload(visitor: Visit, caller: Caller, word: str) -> None:
    image: Any = make(caller, prompt=f"A kite {word}", folder_name=f"star/{word}")
    visitor.sign_in(f"#gallery?folder=star/{word}")
    page = visitor.page
    star = page.locator("ul.tiles").get_by_role("button", name="Favourite")
    expect(star).to_have_attribute("aria-pressed", "false")
    with page.expect_response(re.compile(f"/images/{image['id']}$")):
        star.click()

    page.reload()

    expect(star).to_have_attribute("aria-pressed", "true")
    tiles(page).click()
    panel_star = page.locator("aside").get_by_role("button", name="Favourite")
    expect(panel_star).to_have_attribute("aria-pressed", "true")
    panel_star.click()
    page.keyboard.press("Escape")
    expect(star).to_have_attribute("aria-pressed", "false")


def test_refused_star_is_taken_back(visitor: Visit, caller: Caller, word: str) -> None:
    make(caller, prompt=f"A kite {word}", folder_name=f"star/{word}")
    visitor.sign_in(f"#gallery?folder=star/{word}")
    page, held = visitor.page, list[Route]()

    def hold(route: Route) -> None:
        if route.request.method == "PATCH":
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile("/images/"), hold)
    star = page.locator("ul.tiles").get_by_role("button", name="Favourite")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")

    refusal = {"title": "Refused", "detail": "the image is deleted", "what_to_do": "Restore it."}
    held[0].fulfill(status=409, json=refusal)
    expect(star).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#notes")).to_contain_text("the image is deleted")
    visitor.wrong = [message for message in visitor.wrong if "409" not in message]


def test_tag_filters_the_gallery(visitor: Visit, caller: Caller, word: str) -> None:
    first = make(caller, prompt=f"First {word}", folder_name=f"tags/{word}")
    make(caller, prompt=f"Second {word}", folder_name=f"tags/{word}")
    visitor.sign_in("#gallery")
    page, about = visitor.page, show(visitor, first)
    about.get_by_label("Add tags").fill(f"blue {word}, zoo {word}")
    about.get_by_label("Add tags").press("Enter")
    expect(about.locator(".tags li.own")).to_have_text([f"blue {word}", f"zoo {word}"])

    wait_until_found(caller, 1, tag=f"blue {word}")
    about.get_by_role("link", name=f"blue {word}").click()
    expect(page).to_have_url(re.compile(rf"#gallery\?tag=blue\+{word}$"))
    expect(captions(page)).to_have_text([f"First {word}"])
    expect(page.get_by_label("Tag", exact=True)).to_have_value(f"blue {word}")

    tiles(page).click()
    about.get_by_role("button", name=f"Remove the tag blue {word}").click()
    expect(about.locator(".tags li.own")).to_have_text([f"zoo {word}"])
    caller.aws.until(
        lambda: caller("GET", f"/images/{first['id']}").json["own_tags"] == [f"zoo {word}"]
    )


def test_rejected_image_is_hidden_until_undo(visitor: Visit, caller: Caller, word: str) -> None:
    for name in ("First", "Second"):
        make(caller, prompt=f"{name} {word}", folder_name=f"reject/{word}")
    visitor.sign_in(f"#gallery?folder=reject/{word}")
    page = visitor.page

    def reject() -> None:
        page.get_by_role("button", name=f"First {word}").click()
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            page.locator("aside").get_by_role("button", name="Reject").click()
        expect(captions(page)).to_have_text([f"Second {word}"])

    reject()
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("button", name="Undo").click()
    expect(captions(page)).to_have_text([f"Second {word}", f"First {word}"])

    reject()
    page.reload()
    expect(captions(page)).to_have_text([f"Second {word}"])
    wait_until_found(caller, 1, hidden="yes", folder=f"reject/{word}")
    page.locator("details.more summary").click()
    page.get_by_label("Rejected").select_option("yes")
    expect(captions(page)).to_have_text([f"First {word}"])
