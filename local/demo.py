"""The demonstration: make three runs on the local stack, and show their steps and images."""

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from cli import runs, screen
from cli.screen import dollars
from cli.target import Target, local_target
from easel.contract.states import ExecutionStatus
from local.deploy import ROOT
from local.stack import Local, paid_server

EXAMPLES = ("default", "described", "jpeg_by_style")


class DeclinedError(Exception):
    """Nobody agreed to pay. The message says that nothing was paid."""


def show(local: Local, console: Console) -> bool:
    """Run the examples and show their images. Return whether all succeeded.

    Ask before calling a real server, which costs money. Raise DeclinedError if the answer is no.
    """
    target = local_target(local.outputs_file)
    server = paid_server(local)
    if server:
        _ask(target, server, console, yes=local.environment.get("YES") == "1")
    started = [runs.start(target, _example(name), label=name) for name in EXAMPLES]
    screen.watch(target, started, console)
    folder = local.folder / "pictures"
    for run in started:
        screen.show_report(target, run, console, folder=folder)
    total = dollars(_sum(run.output["cost_usd"] for run in started if run.output))
    if server:
        console.print(f"paid to {server}: {total}")
    else:
        console.print(
            "Painted by the local stand-in for OpenAI: nothing was paid; the real models would "
            f"have cost {total}."
        )
    console.print("make up keeps the stack running, with a page to make and browse images.")
    return all(run.status == ExecutionStatus.SUCCEEDED for run in started)


def _ask(target: Target, server: str, console: Console, *, yes: bool) -> None:
    """Name the server that will be called and its price, from a dry run of each example."""
    examples = {name: _example(name) for name in EXAMPLES}
    planned = [
        runs.start(target, request | {"dry_run": True}, label=name)
        for name, request in examples.items()
    ]
    for _ in runs.follow(target, planned):
        pass
    failed = next((run for run in planned if run.output is None), None)
    if failed:
        raise DeclinedError(f"nothing was called or paid: {failed.message}")
    cost = dollars(_sum(run.output["estimate_usd"] for run in planned if run.output))
    images = sum(request.get("count", 1) for request in examples.values())
    console.print(
        f"This calls {server} with your key: {len(EXAMPLES)} prompts and {images} images, up to "
        f"{cost}."
    )
    if not yes and _answer(console) not in ("y", "yes"):
        raise DeclinedError("nothing was called or paid; YES=1 agrees beforehand")


def _answer(console: Console) -> str:
    try:
        return console.input("Continue? [y/N] ").strip().lower()
    except EOFError:  # nobody is at the keyboard to answer
        return ""


def _sum(costs: Iterable[float | None]) -> float | None:
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)


def _example(name: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((ROOT / "examples" / f"{name}.json").read_text())
    return request
