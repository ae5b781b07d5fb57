"""The demonstration: three runs on the local stack, their states as they go, their pictures at the end."""

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from local.deploy import ROOT
from local.stack import Local, paid_server
from cli import runs, screen, target
from cli.target import Target

EXAMPLES = ("default", "described", "jpeg_by_style")


class DeclinedError(Exception):
    """Nobody said yes to paying; the message says that nothing was."""


def show(local: Local, console: Console) -> bool:
    """Run the examples and show what came; true if all ended well. Asks before a real server is paid: DeclinedError."""
    stack = target.local(local.outputs_file)
    server = paid_server(local)
    if server:
        _ask(stack, server, console, yes=local.environment.get("YES") == "1")
    started = [runs.start(stack, _example(name), label=name) for name in EXAMPLES]
    screen.watch(stack, started, console)
    folder = local.folder / "pictures"
    for run in started:
        screen.show_report(stack, run, console, folder=folder)
    total = _sum(run.output["cost_usd"] for run in started if run.output)
    if server:
        console.print(f"paid to {server}: {runs.dollars(total)}")
    else:
        said = f"nothing was paid; the real models would have cost {runs.dollars(total)}"
        console.print(f"Painted by the local stand-in for OpenAI: {said}.")
    console.print("make up keeps the stack running, with a page to make pictures and look at them.")
    return all(run.status == "SUCCEEDED" for run in started)


def _ask(stack: Target, server: str, console: Console, *, yes: bool) -> None:
    """Say which server will be called and what that may cost, by a dry run of each example; go on only with a yes."""
    planned = [runs.start(stack, _example(name) | {"dry_run": True}, label=name) for name in EXAMPLES]
    for _ in runs.follow(stack, planned):
        pass
    failed = next((run for run in planned if run.output is None), None)
    if failed:
        raise DeclinedError(f"nothing was called and nothing was paid: {runs.message(failed)}")
    cost = runs.dollars(_sum(run.output["estimate_usd"] for run in planned if run.output))
    pictures = sum(_example(name).get("count", 1) for name in EXAMPLES)
    console.print(f"This calls {server} with your key: {len(EXAMPLES)} prompts and {pictures} pictures, up to {cost}.")
    if not yes and _answer(console) not in ("y", "yes"):
        raise DeclinedError("nothing was called and nothing was paid; YES=1 says yes beforehand")


def _answer(console: Console) -> str:
    try:
        return console.input("Go on? [y/N] ").strip().lower()
    except EOFError:  # nobody sits at the keyboard
        return ""


def _sum(costs: Iterable[float | None]) -> float | None:
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)


def _example(name: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((ROOT / "examples" / f"{name}.json").read_text())
    return request
