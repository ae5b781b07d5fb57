"""Run the stack on this machine: `make` calls `python -m local up|down|demo`."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from rich.console import Console

from local import demo, stack
from local.deploy import ROOT, DeployError
from local.processes import ProcessError, end_on_signals
from local.stack import Local, StackError


def main() -> int:
    """Run one command. Report an error that the user can fix in one line, without a traceback."""
    options = _options()
    words = argparse.ArgumentParser()
    words.add_argument("-c", action="append", default=[])
    local = Local(
        folder=options.folder.resolve(),
        port=options.port,
        settings=words.parse_args(shlex.split(options.context)).c,
        environment=dict(os.environ),
    )
    try:
        # make and CI end a command with SIGTERM. Every process has to end then, as on Ctrl-C.
        with end_on_signals():
            if options.command == "down":
                return _down(local, keep=options.keep, delete=options.delete)
            return _up(local) if options.command == "up" else _demo(local)
    except (StackError, ProcessError, DeployError, demo.DeclinedError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="local", description="Easel on this machine, without an AWS account or a key."
    )
    parser.add_argument("command", choices=("up", "down", "demo"))
    parser.add_argument("--port", type=int, default=4566, help="the emulator's port")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".local", help="the folder for data and logs"
    )
    parser.add_argument(
        "--context", default="", help='settings of cdk.json, as in "-c monthly_budget_usd=1"'
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--keep", action="store_true", help="with down: keep the data")
    data.add_argument(
        "--delete", action="store_true", help="with down: delete even data that was paid for"
    )
    return parser.parse_args()


def _up(local: Local) -> int:
    was_up = stack.is_up(local)
    outputs = stack.up(local)
    if was_up and not outputs["endpoint"].endswith(f":{local.port}"):
        print(
            f"The stack was already running, and stays at {outputs['endpoint']}. To move it, run "
            "`make down` first."
        )
    for name, text in outputs.items():
        if text is not None and name not in stack.ACCESS:
            print(f"{name}: {text}")
    if outputs["user"]:
        print(
            f"The page: {outputs['api_url']} — sign in as {outputs['user']} "
            f"with {outputs['password']}"
        )
    print(
        f"The stack is up. {local.outputs_file} has the above and an access key. Next: make run "
        "INPUT=examples/default.json, and make down at the end."
    )
    return 0


def _down(local: Local, *, keep: bool, delete: bool) -> int:
    has_data, is_paid = local.emulator_folder.exists(), stack.has_paid_data(local)
    keep = keep or (is_paid and not delete)
    was_up = stack.down(local, keep=keep, report=_say)
    print("Stopped." if was_up else "Nothing was running.")
    if has_data:
        print(_describe_data(local, is_kept=keep, is_paid=is_paid))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def _describe_data(local: Local, *, is_kept: bool, is_paid: bool) -> str:
    if not is_kept:
        return "The data was deleted."
    if not is_paid:
        return f"The data was kept in {local.emulator_folder}."
    return (
        f"The data was kept in {local.emulator_folder}, because it may contain images that you "
        "paid for. `make down DELETE=1` deletes it."
    )


def _demo(local: Local) -> int:
    console = Console()
    was_up, was_paid = stack.is_up(local), stack.has_paid_data(local)
    console.print("Deploying the stack to the local AWS …")
    stack.up(local)
    is_paid = stack.has_paid_data(local)
    try:
        with stack.private_files():
            return 0 if demo.show(local, console) else 1
    except demo.DeclinedError:
        is_paid = was_paid
        raise
    finally:
        if not was_up:
            stack.down(local, keep=is_paid, report=_say)
            if is_paid:
                print(_describe_data(local, is_kept=True, is_paid=True))


if __name__ == "__main__":
    sys.exit(main())
