"""The CDK app: `cdk synth` runs it, and `python app.py [-c name=value …]` does the same with no CDK CLI installed."""

import argparse
import json
import os
import sys
from collections.abc import Mapping

from infra import ROOT  # first: it points jsii at the environment's own Node

from aws_cdk import App  # isort: skip

from infra.config import SettingError, read
from infra.functions.layers import LayerError
from infra.stack import EaselStack

STACK = "Easel"


def build(overrides: dict[str, str], outdir: str | None) -> App:
    """The app with its stack, to be synthesized. cdk.json's context holds unless the CDK CLI or `overrides` say otherwise."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(context=context | overrides, outdir=outdir)
    check_names(app.node.get_all_context(), known=context)
    EaselStack(app, STACK, config=read(app.node.try_get_context))
    return app


def check_names(given: Mapping[str, object], *, known: Mapping[str, object]) -> None:
    """Raise SettingError for a setting that there is not: a mistyped budget would be no budget."""
    # Names of the CDK's own have an @ or a colon in them.
    for name in given:
        if name not in known and "@" not in name and ":" not in name:
            raise SettingError(name, given[name], f"no such setting; there are {', '.join(n for n in known if '@' not in n)}")


def main() -> None:
    """Read the command line, synthesize, and say what is wrong in one line."""
    parser = argparse.ArgumentParser(description="Write the CloudFormation template and its assets.")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="NAME=VALUE", help="a setting, as in cdk.json")
    parser.add_argument("-o", "--output", default=os.environ.get("CDK_OUTDIR", str(ROOT / "cdk.out")), help="the folder to write")
    given = parser.parse_args()
    pairs = [pair.partition("=") for pair in given.context]
    if any(not mark for _, mark, _ in pairs):
        parser.error(f"-c wants NAME=VALUE, got {given.context}")
    try:
        build({name: value for name, _, value in pairs}, given.output).synth()
    except (SettingError, LayerError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
