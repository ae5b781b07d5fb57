"""Run a part of this benchmark with the code of another checkout."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from infra import ROOT


def run_with(root: Path, module: str) -> Any:
    """Run a module of this benchmark with the code in `root`, and return the JSON that it prints.

    The module may print other lines before the JSON.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench").symlink_to(ROOT / "bench")
        environment = os.environ | {"PYTHONPATH": f"{folder}:{root}"}
        process = subprocess.run(
            [sys.executable, "-m", module],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(process.stdout.splitlines()[-1])
