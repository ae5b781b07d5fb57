"""The template, synthesized once with default settings and once for each other combination."""

from functools import cache, partial
from pathlib import Path

import pytest

from tests.support.make_once import make_once
from tests.support.template import Synth, Template, run_app


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Synth:
    """Return a function that synthesizes with settings, once for each combination."""

    def run(folder: Path, settings: tuple[str, ...]) -> None:
        result = run_app(folder, *settings)
        assert result.returncode == 0, result.stderr

    @cache
    def make(*settings: str) -> Template:
        make_folder = partial(run, settings=settings)
        return Template(make_once(tmp_path_factory, ("synth", *settings), make_folder))

    return make


@pytest.fixture(scope="session")
def template(synth: Synth) -> Template:
    """Return the template with default settings, including the layers."""
    return synth()
