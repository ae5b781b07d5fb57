"""The template, synthesized once with default settings and once for each other combination."""

import pytest

from tests.support.template import Synth, Template, run_app


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Synth:
    """Return a function that synthesizes with settings, once for each combination."""
    templates: dict[tuple[str, ...], Template] = {}

    def make(*settings: str) -> Template:
        if settings not in templates:
            folder = tmp_path_factory.mktemp("synth") / "cdk.out"
            result = run_app(folder, *settings)
            assert result.returncode == 0, result.stderr
            templates[settings] = Template(folder)
        return templates[settings]

    return make


@pytest.fixture(scope="session")
def template(synth: Synth) -> Template:
    """Return the template with default settings, including the layers."""
    return synth()
