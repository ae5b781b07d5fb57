"""Lighthouse's scores of the page's views, signed out and signed in.

Run it with `python -m bench.page`. It uses a local stack with a few images.

It needs a browser on the PATH, and the network once, to install Lighthouse.
"""

import json
import subprocess
import sys
from pathlib import Path

from bench import stacks
from cli import runs
from cli.target import local_target
from local import processes
from tests.support import installed_browser

LIGHTHOUSE = "lighthouse@13.5.0"
PICTURES = 8


def main() -> None:
    """Print a line for each view."""
    browser = installed_browser.find()
    if browser is None:
        sys.exit("no browser: make browser downloads one")
    modules = Path(sys.prefix) / "lighthouse"
    npm, node = (str(Path(sys.prefix) / "bin" / name) for name in ("npm", "node"))
    subprocess.run(
        [
            npm,
            "install",
            "--silent",
            "--no-fund",
            "--no-audit",
            "--prefix",
            str(modules),
            LIGHTHOUSE,
        ],
        check=True,
    )
    with processes.end_on_signals(), stacks.running() as local:
        outputs, target = (
            json.loads(local.outputs_file.read_text()),
            local_target(local.outputs_file),
        )
        for _ in runs.follow(target, [runs.start(target, {"count": PICTURES}, label="bench")]):
            pass
        script = str(Path(__file__).parent / "page_scores.mjs")
        arguments = [
            str(modules / "node_modules"),
            browser.path,
            outputs["api_url"],
            outputs["user"],
            outputs["password"],
        ]
        result = subprocess.run(
            [node, script, *arguments], check=False, capture_output=True, text=True
        )
    if result.returncode:
        sys.exit(result.stderr)
    for view, scores in json.loads(result.stdout).items():
        print(f"{view:>12}: " + ", ".join(f"{name} {score}" for name, score in scores.items()))


if __name__ == "__main__":
    main()
