"""The form's request as a program sends it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from infra import NODE
from tests.support.api_caller import Caller
from tests.support.browser import Visit

CURL = shutil.which("curl")  # a bare machine has none
IDEA = 'An "old" teapot\nthat isn\'t 100% $HOME, `green`, ☕'
PROGRAMS = {
    "curl": ("sh", ["bash"]),
    "Python": ("py", ["python3"]),
    "JavaScript": ("mjs", [str(NODE)]),
}


@pytest.fixture
def snippets(visitor: Visit) -> dict[str, str]:
    """Return the code in each language for a form that somebody filled in."""
    visitor.sign_in()
    page = visitor.page
    page.get_by_label("Your idea").fill(IDEA)
    page.get_by_role("switch", name="Use my text exactly").check()
    page.get_by_text("Use by API").click()
    shown = {}
    for language in PROGRAMS:
        page.get_by_role("radio", name=language).check(force=True)
        region = page.get_by_role("region", name=f"The request in {language}")
        expect(region).to_be_visible()
        shown[language] = str(region.text_content())
    return shown


def test_snippets_run_as_shown(snippets: dict[str, str], caller: Caller, tmp_path: Path) -> None:
    keys = set()
    for language, (ending, program) in PROGRAMS.items():
        if language == "curl" and not CURL:
            continue
        file = tmp_path / f"snippet.{ending}"
        file.write_text(snippets[language])

        result = subprocess.run(
            [*program, str(file)],
            env={**os.environ, "TOKEN": str(caller.token)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert result.returncode == 0, result.stderr
        if language == "curl":
            run = json.loads(result.stdout)
            assert run["request"]["prompt"] == IDEA
            keys.add(run["id"])
        else:
            assert "running" in result.stdout or "succeeded" in result.stdout
