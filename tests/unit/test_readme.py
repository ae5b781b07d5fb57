"""The README and the docs match the code: commands, files, links, requests and tables."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from easel.contract.messages import Report, ReportedImage
from easel.request import request
from functions.api.routes import DATA, DESCRIPTION
from infra import reference
from local.deploy import ROOT
from tests.support.services import NOW, request_settings

README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text()


def blocks(page: str, kind: str) -> list[str]:
    """Return the code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_a_target(page: Path) -> None:
    text = page.read_text()
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    sessions = [line for block in blocks(text, "console") for line in block.splitlines()]

    commands = [
        *lines,
        *(line.removeprefix("$ ") for line in sessions if line.startswith("$ ")),
        *re.findall(r"`(make [a-z].*?)`", text),
    ]

    for command in commands:
        if command.startswith("make "):
            target = command.split()[1]
            assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE), command
        for file in re.findall(r"examples/\S+\.(?:jsonl?|csv|py)\b", command):
            assert (ROOT / file).is_file(), command


def test_readme_request_is_accepted() -> None:
    shown = json.loads(blocks(README, "json")[0])

    assert request.parse(shown, request_settings(), today=NOW.date()).count == 3


def test_curl_request_is_accepted() -> None:
    (body,) = re.findall(r"-d '(.*?)'", (DOCS / "api.md").read_text())

    assert request.parse(json.loads(body), request_settings(), today=NOW.date()).count == 2


def test_reference_is_up_to_date() -> None:
    page = reference.PAGE.read_text()

    assert reference.render(page) == page, "run make reference"


def test_report_example_has_every_field() -> None:
    shown = json.loads(blocks(reference.PAGE.read_text(), "json")[0])

    assert set(shown) == {field.name for field in fields(Report)}
    assert set(shown["pictures"][0]) == {field.name for field in fields(ReportedImage)}


def test_every_setting_has_a_default() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]

    settings = {row[0].strip("`") for row in reference.setting_rows()[1:]}

    assert settings == {name for name in context if "@" not in name}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        if file.startswith("https://"):
            continue
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


@pytest.mark.parametrize("index", [DOCS / "README.md", DOCS / "decisions" / "README.md"])
def test_index_lists_every_page(index: Path) -> None:
    pages = {page.name for page in index.parent.glob("*.md")} - {index.name}

    assert pages <= set(re.findall(r"\]\(([\w.-]+\.md)\)", index.read_text()))


def test_every_route_is_documented() -> None:
    table = (DOCS / "api.md").read_text().split("| route | what it does |", 1)[1]
    rows = table.split("\n\n", 1)[0]
    shown = re.sub(
        r"`POST (/runs/\{id\})/redrive`, `/stop`", r"`POST \1/redrive`, `POST \1/stop`", rows
    )

    documented = {
        f"{method} {path.partition('?')[0]}"
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (\S+?)`", shown)
    }

    routes = {f"{route[0]} {route[1]}" for route in (*DATA, *DESCRIPTION)}
    assert documented == {route for route in routes if "{file}" not in route}
