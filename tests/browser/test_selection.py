"""Many selected images: their bar, moves, deletes, ZIP files and the comparison."""

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Download, Locator, Page, Route, expect

from tests.support.api_caller import Caller
from tests.support.browser import Visit, make

NAMES = ("First", "Second", "Third")
PICKER = """
  window.showSaveFilePicker = async ({ suggestedName }) => {
    window.chosen = suggestedName;
    const folder = await navigator.storage.getDirectory();
    return folder.getFileHandle(suggestedName, { create: true });
  };
"""


@pytest.fixture
def folder() -> str:
    return f"many/{uuid4().hex}"


@pytest.fixture
def images(caller: Caller, folder: str) -> list[dict[str, Any]]:
    """Return three images of the folder, the newest last."""
    return [make(caller, prompt=name, folder_name=folder) for name in NAMES]


def tiles(page: Page) -> Locator:
    return page.locator("ul.tiles > li > button")


def captions(page: Page) -> Locator:
    return page.locator("ul.tiles > li .caption")


def bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Selected pictures")


def select(visitor: Visit, folder: str, *names: str) -> Locator:
    """Open the gallery's folder, select images by their names, and return the bar."""
    page = visitor.page
    visitor.sign_in(f"#gallery?folder={folder}")
    expect(tiles(page)).to_have_count(len(NAMES))
    page.get_by_role("button", name="Select").click()
    for name in names:
        page.get_by_role("checkbox", name=name).click()
    expect(bar(page).get_by_role("status")).to_have_text(f"{len(names)} selected")
    return bar(page)


def opened(download: Download) -> zipfile.ZipFile:
    return zipfile.ZipFile(Path(download.path()))


@pytest.mark.usefixtures("images")
def test_shift_click_selects_a_range(visitor: Visit, folder: str) -> None:
    about, page = select(visitor, folder, "Third"), visitor.page
    page.get_by_role("checkbox", name="First").click(modifiers=["Shift"])
    expect(about.get_by_role("status")).to_have_text("3 selected")

    page.get_by_role("checkbox", name="Second").press("Space")
    expect(page.get_by_role("checkbox", name="Second")).to_have_attribute("aria-checked", "false")
    expect(about.get_by_role("status")).to_have_text("2 selected")
    about.get_by_role("button", name="Select all 3 shown").click()
    expect(about.get_by_role("status")).to_have_text("3 selected")

    about.get_by_role("button", name="Done").click()
    expect(bar(page)).to_have_count(0)
    tiles(page).first.click()
    expect(page.locator("aside h2")).to_have_text("Third")


def test_marks_of_selected_images_are_kept(
    visitor: Visit, caller: Caller, folder: str, images: list[dict[str, Any]]
) -> None:
    about, page = select(visitor, folder, "First", "Second"), visitor.page
    about.get_by_role("button", name="Tag…").click()
    page.get_by_role("dialog").get_by_label("Tags, separated by commas").fill("red, zoo")
    page.get_by_role("dialog").get_by_role("button", name="Add tags").click()
    expect(page.locator("#announcement")).to_have_text("2 pictures tagged.")
    for name in ("First", "Third"):
        page.get_by_role("checkbox", name=name).click()
    about.get_by_role("button", name="Favourite").click()
    expect(page.locator("#announcement")).to_have_text("2 pictures marked as favourites.")

    marks = [caller("GET", f"/images/{image['id']}").json for image in images]
    assert [image["own_tags"] for image in marks] == [["red", "zoo"], ["red", "zoo"], []]
    assert [image["favourite"] for image in marks] == [True, False, True]


@pytest.mark.usefixtures("images")
def test_moved_images_are_moved_back(visitor: Visit, caller: Caller, folder: str) -> None:
    about, page = select(visitor, folder, "First", "Third"), visitor.page

    def names(where: str) -> list[str]:
        listed = caller("GET", "/images", query={"folder": where}).json["images"]
        return sorted(image["title"] for image in listed)

    about.get_by_role("button", name="Move to…").click()
    page.get_by_role("dialog").get_by_label("Folder").fill(f"{folder}/new")
    page.get_by_role("dialog").get_by_role("button", name="Move", exact=True).click()
    expect(page.locator("#notes")).to_contain_text(f"2 pictures moved to {folder}/new.")
    expect(captions(page)).to_have_text(["Second"])
    caller.aws.until(lambda: names(f"{folder}/new") == ["First", "Third"])

    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#notes")).to_contain_text(f"2 pictures moved to {folder}.")
    expect(captions(page)).to_have_text(["Third", "Second", "First"])
    caller.aws.until(lambda: names(folder) == sorted(NAMES))
    expect(page.locator("ul.tiles li.shown")).to_have_count(3)


@pytest.mark.usefixtures("images")
def test_opened_image_is_moved(visitor: Visit, folder: str) -> None:
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    page.get_by_role("button", name="Second").click()
    page.locator("aside").get_by_role("button", name="Move to…").click()
    page.get_by_label("Folder", exact=True).last.fill(f"{folder}/one")
    page.get_by_role("button", name="Move", exact=True).click()

    expect(page.locator("#notes")).to_contain_text(f"“Second” moved to {folder}/one.")
    expect(captions(page)).to_have_text(["Third", "First"])
    visitor.go(f"#gallery?folder={folder}/one")
    expect(page.locator("ul.tiles li.shown .caption")).to_have_text(["Second"])


@pytest.mark.usefixtures("images")
def test_deleted_images_are_restored(visitor: Visit, caller: Caller, folder: str) -> None:
    about, page = select(visitor, folder, "First", "Second"), visitor.page

    def deleted() -> int:
        query = {"folder": folder, "status": "deleted"}
        return len(caller("GET", "/images", query=query).json["images"])

    about.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete 2 pictures").click()
    expect(page.locator("#notes")).to_contain_text("2 pictures deleted.")
    expect(captions(page)).to_have_text(["Third"])
    caller.aws.until(lambda: deleted() == 2)

    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#notes")).to_contain_text("2 pictures restored.")
    expect(page.locator("ul.tiles li.shown")).to_have_count(3)
    caller.aws.until(lambda: deleted() == 0)


def test_failed_changes_name_their_images(
    visitor: Visit, caller: Caller, folder: str, images: list[dict[str, Any]]
) -> None:
    about, page = select(visitor, folder, "First", "Second"), visitor.page
    caller.wait_for_end(caller("DELETE", f"/images/{images[0]['id']}").json)

    about.get_by_role("button", name="Move to…").click()
    page.get_by_role("dialog").get_by_label("Folder").fill(f"{folder}/new")
    page.get_by_role("dialog").get_by_role("button", name="Move", exact=True).click()
    alert = about.get_by_role("alert")
    expect(alert).to_contain_text("could not be moved")
    expect(alert.get_by_role("listitem")).to_have_count(1)
    expect(alert.get_by_role("link")).to_have_text("“First”")
    moved = caller("GET", f"/images/{images[1]['id']}").json
    assert moved["folder"] == f"{folder}/new"


def test_refused_marks_name_their_images(
    visitor: Visit, folder: str, images: list[dict[str, Any]]
) -> None:
    about, page = select(visitor, folder, "First", "Second"), visitor.page
    failed = [{"id": images[0]["id"], "error": "ConflictError", "detail": "it has 20 tags"}]

    def refuse_the_first(route: Route) -> None:
        sent = json.loads(route.request.post_data or "")
        assert sorted(sent["ids"]) == sorted(image["id"] for image in images[:2])
        route.fulfill(json={"changed": 1, "failed": failed})

    page.route("**/images/changes", refuse_the_first)
    about.get_by_role("button", name="Favourite").click()

    expect(about.get_by_role("alert")).to_contain_text("1 picture could not be changed")
    expect(about.get_by_role("listitem")).to_have_text(re.compile("“First”:.*it has 20 tags"))
    expect(page.get_by_role("checkbox", name="First")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_role("checkbox", name="Second")).to_have_attribute("aria-checked", "false")


def test_too_many_images_are_refused_before_a_call(
    visitor: Visit, folder: str, images: list[dict[str, Any]]
) -> None:
    about, page = select(visitor, folder), visitor.page
    calls = list[str]()
    page.on("request", lambda sent: calls.append(sent.method))
    first = {**images[0], "stored_at": "2026-11-01T00:00:00Z", "favourite": False, "hidden": False}
    many = [first | {"id": f"{n:016x}-1", "title": f"Kite {n}"} for n in range(1_001)]
    page.route(
        re.compile(r"/images\?"), lambda route: route.fulfill(json={"images": many, "cursor": None})
    )
    page.get_by_label("Search").fill("kite")
    expect(tiles(page)).to_have_count(len(many))
    about.get_by_role("button", name="Select all 1001 shown").click()

    expect(about.get_by_role("alert")).to_contain_text("Select at most 1,000 pictures")
    about.get_by_role("button", name="Favourite").click(force=True)
    assert set(calls) == {"GET"}


def test_zip_has_the_stored_images(
    visitor: Visit, caller: Caller, folder: str, images: list[dict[str, Any]]
) -> None:
    visitor.page.add_init_script("delete window.showSaveFilePicker")
    long = make(caller, prompt="=1+1 " + "kite " * 400, folder_name=folder)
    page = visitor.page
    visitor.sign_in(f"#gallery?folder={folder}")
    expect(tiles(page)).to_have_count(4)
    page.get_by_role("button", name="Select").click()
    bar(page).get_by_role("button", name="Select all").click()
    with page.expect_download() as download:
        bar(page).get_by_role("button", name="Download ZIP").click()

    assert re.fullmatch(r"easel-\d{4}-\d\d-\d\d\.zip", download.value.suggested_filename)
    with opened(download.value) as zipped:
        assert zipped.testzip() is None
        names = [image["key"].rpartition("/")[2] for image in (long, *reversed(images))]
        assert zipped.namelist() == [*names, "images.csv"]
        for image, name in zip((long, *reversed(images)), names, strict=True):
            stored = visitor.aws.s3.get_object(Bucket=visitor.aws.bucket, Key=image["key"])
            assert zipped.read(name) == stored["Body"].read()
        rows = [*csv.DictReader(io.StringIO(zipped.read("images.csv").decode("utf-8-sig")))]
    assert [row["file"] for row in rows] == names
    assert rows[0]["prompt"] == "'" + ("=1+1 " + "kite " * 400).strip()
    assert [float(row["cost_usd"]) > 0 for row in rows] == [True] * 4
    expect(page.locator("#notes")).to_contain_text("4 pictures downloaded as a ZIP file.")


def test_zip_names_are_unique(visitor: Visit, caller: Caller, folder: str) -> None:
    visitor.page.add_init_script("delete window.showSaveFilePicker")
    page, word = visitor.page, folder.rpartition("/")[2]
    for n in (1, 2):
        make(caller, prompt=f"{word} {n}", folder_name=f"{folder}/{n}", file_name="kite")
    caller.aws.until(lambda: len(caller("GET", "/images", query={"q": word}).json["images"]) == 2)
    visitor.sign_in(f"#gallery?q={word}")
    page.get_by_role("button", name="Select").click()
    expect(tiles(page)).to_have_count(2)
    bar(page).get_by_role("button", name="Select all").click()
    with page.expect_download() as download:
        bar(page).get_by_role("button", name="Download ZIP").click()

    with opened(download.value) as zipped:
        assert zipped.namelist() == ["kite.png", "kite (2).png", "images.csv"]


@pytest.mark.usefixtures("images")
def test_zip_is_written_to_the_chosen_file(visitor: Visit, folder: str) -> None:
    page = visitor.page
    page.add_init_script(PICKER)
    about = select(visitor, folder, "First", "Second")
    about.get_by_role("button", name="Download ZIP").click()
    expect(page.locator("#notes")).to_contain_text("2 pictures downloaded as a ZIP file.")

    read = """async () => {
      const folder = await navigator.storage.getDirectory();
      const file = await (await folder.getFileHandle(window.chosen)).getFile();
      return [...new Uint8Array(await file.arrayBuffer())];
    }"""
    with zipfile.ZipFile(io.BytesIO(bytes(page.evaluate(read)))) as zipped:
        assert zipped.testzip() is None
        assert len(zipped.namelist()) == 3


@pytest.mark.usefixtures("images")
def test_zip_can_be_cancelled(visitor: Visit, folder: str) -> None:
    page, held = visitor.page, list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.add_init_script("delete window.showSaveFilePicker")
    about = select(visitor, folder, "First", "Second")
    page.route(re.compile("response-content-disposition"), hold)
    about.get_by_role("button", name="Download ZIP").click()
    expect(about).to_contain_text("0 of 2")
    about.get_by_role("button", name="Cancel download").click()

    expect(about.get_by_role("button", name="Download ZIP")).to_be_visible()
    expect(page.locator("#announcement")).to_have_text("The download is cancelled.")
    assert len(held) == 1


def test_deleted_image_is_missing_in_the_zip(
    visitor: Visit, caller: Caller, folder: str, images: list[dict[str, Any]]
) -> None:
    page = visitor.page
    page.add_init_script("delete window.showSaveFilePicker")
    about = select(visitor, folder, "First", "Second")
    caller.wait_for_end(caller("DELETE", f"/images/{images[0]['id']}").json)
    with page.expect_download() as download:
        about.get_by_role("button", name="Download ZIP").click()

    with opened(download.value) as zipped:
        assert zipped.namelist() == [images[1]["key"].rpartition("/")[2], "images.csv"]
    expect(page.locator("#notes")).to_contain_text("not in the ZIP file: “First”")
    visitor.wrong = [message for message in visitor.wrong if "404" not in message]


def test_comparison_marks_what_differs(visitor: Visit, caller: Caller, folder: str) -> None:
    for quality in ("low", "high"):
        make(caller, prompt=f"A kite, {quality}", quality=quality, folder_name=folder)
    visitor.sign_in(f"#gallery?folder={folder}")
    page = visitor.page
    expect(captions(page)).to_have_count(2)
    page.get_by_role("button", name="Select").click()
    bar(page).get_by_role("button", name="Select all").click()
    bar(page).get_by_role("button", name="Compare").press("Enter")
    dialog = page.get_by_role("dialog", name="Compare 2 pictures")
    expect(dialog).to_contain_text("They differ in: Prompt, Quality, Cost")
    expect(dialog.locator(".differs dt", has_text="Quality")).to_have_count(2)
    expect(dialog.locator("dl:not(.differs) dt", has_text="Model")).to_have_count(2)

    side = dialog.get_by_role("region", name="A kite, low")
    side.get_by_role("button", name="Favourite").press("Enter")
    expect(side.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    side.get_by_role("button", name="Reject").press("Enter")
    expect(side.get_by_role("button", name="Show again")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(captions(page)).to_have_text(["A kite, high"])

    def marks() -> tuple[bool, bool]:
        query = {"folder": folder, "hidden": "all", "limit": "2"}
        listed = caller("GET", "/images", query=query).json["images"]
        return listed[-1]["favourite"], listed[-1]["hidden"]

    caller.aws.until(lambda: marks() == (True, True))


@pytest.mark.usefixtures("images")
def test_comparison_fits_on_a_phone(visitor: Visit, folder: str) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 800})
    about = select(visitor, folder, "First", "Second")
    about.get_by_role("button", name="Compare").click()
    dialog = visitor.page.get_by_role("dialog", name="Compare 2 pictures")
    second = dialog.get_by_role("region", name="First")
    expect(second).to_be_attached()

    assert visitor.fits()
    second.get_by_role("button", name="Favourite").scroll_into_view_if_needed()
    expect(second.get_by_role("button", name="Favourite")).to_be_in_viewport()


@pytest.mark.usefixtures("images")
def test_selection_is_accessible(visitor: Visit, folder: str) -> None:
    about, page = select(visitor, folder, "First", "Second"), visitor.page
    violations = {"bar": visitor.violations()}
    for words in ("Tag…", "Move to…", "Share…", "Delete…"):
        about.get_by_role("button", name=words).click()
        violations[words] = visitor.violations()
        page.keyboard.press("Escape")
    about.get_by_role("button", name="Compare").click()
    page.get_by_role("dialog", name="Compare 2 pictures").wait_for()
    violations["comparison"] = visitor.violations()
    page.keyboard.press("Escape")
    page.locator("details.more summary").click()
    page.set_viewport_size({"width": 320, "height": 700})

    assert visitor.fits()
    assert {place: found for place, found in violations.items() if found} == {}
    visitor.wrong.clear()  # axe sets inline styles, which the content policy refuses
