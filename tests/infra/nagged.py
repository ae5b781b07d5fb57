"""The app as app.py builds it, under AWS's rule sets: `python -m tests.infra.nagged folder name=value …` writes validation-report.json."""

import sys

from app import build  # first: it points jsii at the environment's own Node

from aws_cdk import App, Validations  # isort: skip
from cdk_nag import AwsSolutionsChecks, ServerlessChecks  # isort: skip


def check(app: App) -> None:
    """Synthesize; raises where a finding is left that nobody acknowledged."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    app.synth()


if __name__ == "__main__":
    check(build(dict(setting.split("=", 1) for setting in sys.argv[2:]), sys.argv[1]))
