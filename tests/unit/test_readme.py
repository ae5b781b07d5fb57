"""The README is true: its commands, its files, its fields and its settings."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cli import reference
from easel.contract.messages import Report, ReportedImage
from easel.request import request
from functions.api.routes import DATA, DESCRIPTION
from local.deploy import ROOT
from tests.support.services import NOW, request_settings

README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def rows(heading: str) -> set[str]:
    """Return the names in the first column of the first table below a heading."""
    lines = README.split(heading, 1)[1].splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("|"))
    names: set[str] = set()
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        names |= set(re.findall(r"`(\w+)`", line.split("|")[1]))
    return names


def test_every_command_and_file_exists() -> None:
    of_blocks = [
        line
        for block in blocks("sh")
        if not block.startswith("API=")
        for line in block.splitlines()
    ]
    commands = of_blocks + re.findall(r"`(make [a-z].*?)`", README)
    assert "make demo" in commands
    for command in commands:
        words = command.split()
        assert words[0] == "make"
        assert re.search(rf"^{words[1]}:", MAKEFILE, flags=re.MULTILINE), command
        for file in re.findall(r"examples/\S+\.(?:jsonl?|csv)\b", command):
            assert (ROOT / file).is_file(), command


def test_shown_request_is_valid() -> None:
    shown = json.loads(blocks("json")[0])
    assert request.parse(shown, request_settings(), today=NOW.date()).count == 3


def test_every_request_field_is_in_its_table() -> None:
    assert rows("`{}` is a complete request") == set(request.FIELDS)


@pytest.mark.parametrize("name", reference.TABLES)
def test_field_tables_match_the_checks(name: str) -> None:
    file, table = reference.TABLES[name]
    assert reference.draw(table.values()) in (ROOT / file).read_text(), "run make reference"


def test_shown_report_has_current_fields() -> None:
    shown = json.loads(blocks("json")[1])
    report, picture = (
        {field.name for field in fields(message)} for message in (Report, ReportedImage)
    )

    assert set(shown) == report
    assert set(shown["pictures"][0]) == picture
    assert rows("## What comes out") == report | picture


def test_every_setting_is_in_its_table() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    assert rows("### Settings") == {name for name in context if "@" not in name}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_link_works(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_every_api_route_is_in_its_table() -> None:
    table = (
        (ROOT / "docs" / "api.md")
        .read_text()
        .split("| route | what it does |", 1)[1]
        .split("\n\n", 1)[0]
    )
    told = re.sub(
        r"`POST (/runs/\{id\})/redrive`, `/stop`", r"`POST \1/redrive`, `POST \1/stop`", table
    )
    assert {
        f"{method} {path.partition('?')[0]}"
        for method, path in re.findall(r"`(GET|POST|DELETE) (\S+?)`", told)
    } == {f"{route[0]} {route[1]}" for route in (*DATA, *DESCRIPTION) if "{file}" not in route[1]}


def test_shown_api_request_is_valid() -> None:
    (body,) = re.findall(r"-d '(.*?)'", README)
    assert request.parse(json.loads(body), request_settings(), today=NOW.date()).count == 2
