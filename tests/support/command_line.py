"""The command line, called as a person calls it, against a local stack."""

import json
import os
import subprocess
import sys
from pathlib import Path

from local.deploy import ROOT
from tests.support.local_stack import LocalStack

EASEL = str(Path(sys.executable).with_name("easel"))


def easel(
    aws: LocalStack, folder: Path, *words: str, text: str = "", endpoint: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Call `easel` for this stack; `endpoint` pretends that the stack is elsewhere."""
    outputs = {"endpoint": endpoint} if endpoint else {}
    return subprocess.run(
        [EASEL, *words],
        cwd=ROOT,
        env=environment(aws, folder, **outputs),
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def environment(aws: LocalStack, folder: Path, **outputs: str) -> dict[str, str]:
    """Return an environment in which the command line finds this stack."""
    file = folder / "outputs.json"
    file.write_text(json.dumps(aws.outputs | outputs))
    # Nothing may open a window on a machine that runs tests.
    return os.environ | {"EASEL_OUTPUTS": str(file), "BROWSER": "true", "COLUMNS": "200"}
