"""The template, synthesized once with default settings and once for each other combination."""

import pytest

from tests.support.template import Synth, Template, run_app


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Synth:
    """Return a function that synthesizes with settings, once for each combination."""
    made: dict[tuple[str, ...], Template] = {}

    def make(*settings: str) -> Template:
        if settings not in made:
            folder = tmp_path_factory.mktemp("synth") / "cdk.out"
            done = run_app(folder, *settings)
            assert done.returncode == 0, done.stderr
            made[settings] = Template(folder)
        return made[settings]

    return make


@pytest.fixture(scope="session")
def template(synth: Synth) -> Template:
    """Return the template with default settings, including the layers."""
    return synth()
