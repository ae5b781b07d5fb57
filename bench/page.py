"""Lighthouse's scores of the page's views, signed out and signed in.

Run it with `python -m bench.page`. It uses a local stack with a few images.

It needs a browser on the PATH, and the network once, to install Lighthouse.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cli import runs
from cli.target import local_target
from local import stack
from local.stack import Local
from tests.support import installed_browser
from tests.support.local_stack import bench_environment, free_port

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
    with tempfile.TemporaryDirectory() as folder:
        local = Local(
            folder=Path(folder) / "local",
            port=free_port(),
            settings=(),
            environment=bench_environment(),
        )
        outputs = stack.up(local)
        try:
            target = local_target(local.outputs_file)
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
        finally:
            stack.down(local, keep=False)
    if result.returncode:
        sys.exit(result.stderr)
    for view, scores in json.loads(result.stdout).items():
        print(f"{view:>12}: " + ", ".join(f"{name} {score}" for name, score in scores.items()))


if __name__ == "__main__":
    main()
