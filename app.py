"""The CDK app.

`cdk synth` runs it. `python app.py [-c name=value …]` does the same without the CDK CLI.
"""

import argparse
import difflib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra import ROOT  # first: it points jsii at the environment's own Node

from aws_cdk import Annotations, App  # isort: skip

from infra.config import read
from infra.functions.layers import LayerError
from infra.setting_values import SettingError
from infra.stack import EaselStack

STACK = "Easel"


def build(overrides: dict[str, str], outdir: str | None) -> App:
    """Return the app with its stack, ready for synthesis.

    The context of cdk.json applies unless the CDK CLI or `overrides` set other values.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(context=context | overrides, outdir=outdir)
    check_names(app.node.get_all_context(), known=context)
    config = read(app.node.try_get_context)
    stack = EaselStack(app, STACK, config=config)
    for name, text in config.warnings().items():
        Annotations.of(stack).add_warning_v2(name, text)
    return app


def check_names(context: Mapping[str, object], *, known: Mapping[str, object]) -> None:
    """Raise SettingError for an unknown setting, because a mistyped budget would have no effect."""
    # Names that belong to the CDK itself contain an @ or a colon.
    for name in context:
        if name not in known and "@" not in name and ":" not in name:
            settings = [setting for setting in known if "@" not in setting]
            close = difflib.get_close_matches(name, settings, 1)
            near = f"; did you mean {close[0]}?" if close else ""
            allowed = f"one of the settings in cdk.json{near}"
            raise SettingError(name, context[name], allowed)


def main() -> None:
    """Read the command line and synthesize. Report a mistake in one line."""
    parser = argparse.ArgumentParser(
        description="Write the CloudFormation template and its assets."
    )
    parser.add_argument(
        "-c",
        "--context",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting, as in cdk.json",
    )
    folder = os.environ.get("CDK_OUTDIR", str(ROOT / "cdk.out"))
    parser.add_argument("-o", "--output", default=folder, help="the folder to write")
    given = parser.parse_args()
    pairs = [pair.partition("=") for pair in given.context]
    if any(not mark for _, mark, _ in pairs):
        parser.error(f"-c needs NAME=VALUE, got {given.context}")
    try:
        build({name: value for name, _, value in pairs}, given.output).synth()
    except (SettingError, LayerError) as error:
        sys.exit(str(error))
    except RuntimeError as error:
        # Node, which the CDK runs in, has no class for this error here.
        if "ValidationFailed" not in str(error):
            raise
        sys.exit(f"the template is not valid: {_violations(Path(given.output))}")


def _violations(assembly: Path) -> str:
    """Return the errors in the report that the CDK writes next to the template."""
    report = json.loads((assembly / "validation-report.json").read_text())
    rules = [rule for plugin in report["pluginReports"] for rule in plugin["violations"]]
    return "; ".join(rule["description"] for rule in rules if rule["severity"] == "error")


if __name__ == "__main__":
    main()
