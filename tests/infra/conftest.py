"""The template, synthesized once with its settings' defaults and once with each other settings."""

import pytest

from tests.support.template import Synth, Template, run_app


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Synth:
    """Synthesize with settings, each combination once."""
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
    """The template with its defaults, layers included."""
    return synth()
