"""Shares an image and ends a share, through runs that do so."""

import html
import re
from typing import Any

from cli import runs
from cli.target import Target
from easel.contract.states import ExecutionStatus
from easel.request.actions import SHARE, UNSHARE

FORMS = ("link", "markdown", "html")


def share(target: Target, key: str, *, form: str) -> str:
    """Share an image. Return its address, or a tag with its alt text for a page.

    Raises LookupError with the reason if it cannot be shared.
    """
    url = str(_run(target, SHARE, key)["url"])
    if form == "link":
        return url
    sidecar = runs.read_sidecar(target, key) or {}
    alt = str(sidecar.get("alt_text", ""))
    if form == "html":
        return f'<img src="{html.escape(url)}" alt="{html.escape(alt)}">'
    words = re.sub(r"([\\\[\]])", r"\\\1", " ".join(alt.split()))
    return f"![{words}]({url})"


def unshare(target: Target, key: str) -> int:
    """Make an image private again. Return after how many seconds its address stops working."""
    return int(_run(target, UNSHARE, key)["gone_after_seconds"])


def _run(target: Target, action: str, key: str) -> dict[str, Any]:
    run = runs.start(target, {"action": action, "image_key": key}, label=action)
    for _ in runs.follow(target, [run]):
        pass
    if run.status != ExecutionStatus.SUCCEEDED or run.output is None:
        raise LookupError(run.message)
    return run.output
