"""The check of words finds banned phrases in prose, and leaves code alone."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from local.deploy import ROOT


@pytest.fixture(scope="module")
def words() -> Any:
    spec = importlib.util.spec_from_file_location("words", ROOT / ".ci" / "words.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("page.md", "# Title\n\nThe run goes\non with the rest.\n", 3),
        ("code.py", 'x = 1\n# It is lost for\n# good.\ny = "fine"\n', 2),
        ("code.py", '"""Gives the key."""\n', 1),
        ("code.py", 'raise ValueError(f"{x} is no number")\n', 1),
        ("view.js", "// The price stands there.\n", 1),
        ("Makefile", "run: ## Start it anew\n", 1),
    ],
)
def test_banned_phrase_is_found(
    words: Any, tmp_path: Path, name: str, text: str, line: int
) -> None:
    file = tmp_path / name
    file.write_text(text)

    (problem,) = words.find(file)

    assert problem.startswith(f"{file}:{line}: ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "```\ngoes on with\n```\n\nUse `mend` if there is no key.\n"),
        ("code.py", "beside = anew = 1\n"),
    ],
)
def test_code_may_contain_anything(words: Any, tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)

    assert list(words.find(file)) == []
