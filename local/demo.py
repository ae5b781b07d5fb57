"""The demonstration: three runs on the local stack, their states as they go, their pictures at the end."""

import json
import shutil
from typing import Any

from rich.console import Console

from functions import models
from functions.prompt import writing
from local.deploy import ROOT
from local.stack import Local
from operate import runs, screen, target

EXAMPLES = ("default", "described", "jpeg_by_style")


class DeclinedError(Exception):
    """The person at the keyboard said no to paying."""


def ask_before_paying(local: Local, console: Console) -> None:
    """Say which server will be called and what that may cost; go on only with a yes. The stand-in costs nothing."""
    if not local.real_openai:
        return
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    asked = [_example(name) for name in EXAMPLES]
    one = models.estimate_image(context["image_model"], prompt="x" * writing.MAX_WRITTEN, size="1024x1024", quality="medium")
    pictures = sum(request.get("count", 1) for request in asked)
    cost = screen.dollars(None if one is None else pictures * one / 1_000_000)
    console.print(f"This calls {local.real_openai} with your key: {len(asked)} chat calls and {pictures} pictures, up to {cost}.")
    if local.environment.get("YES") != "1" and _answer(console) not in ("y", "yes"):
        raise DeclinedError("nothing was called and nothing was paid; YES=1 says yes beforehand")


def show(local: Local, console: Console) -> bool:
    """Run the examples and show what came; true if all ended well."""
    stack = target.local(local.outputs_file)
    started = [runs.start(stack, _example(name), label=name) for name in EXAMPLES]
    screen.watch(stack, started, console)
    folder = local.folder / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    for run in started:
        screen.show_report(stack, run, console, folder=folder)
    known = [run.output["cost_usd"] for run in started if run.output]
    total = None if None in known else sum(known)
    if local.real_openai:
        console.print(f"paid to {local.real_openai}: {screen.dollars(total)}")
    else:
        console.print(
            f"Painted by the local stand-in for OpenAI: nothing was paid; the real models would have cost {screen.dollars(total)}."
        )
    return all(run.status == "SUCCEEDED" for run in started)


def _answer(console: Console) -> str:
    try:
        return console.input("Go on? [y/N] ").strip().lower()
    except EOFError:  # nobody sits at the keyboard
        return ""


def _example(name: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((ROOT / "examples" / f"{name}.json").read_text())
    return request
