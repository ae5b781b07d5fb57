"""`python -m local up|down|demo`: the stack on this machine; make calls it."""

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path

from rich.console import Console

from local import demo, stack
from local.deploy import ROOT, DeployError
from local.ministack.process import EmulatorError
from local.stack import Local, StackError


def main() -> int:
    """Do one command; what a person can mend is one line on stderr, not a traceback."""
    # make and CI end a command by SIGTERM: what was started has to end then too, as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="local", description="Easel on this machine, with no AWS account and no key.")
    parser.add_argument("command", choices=("up", "down", "demo"))
    parser.add_argument("--port", type=int, default=4566, help="the emulator's port")
    parser.add_argument("--folder", type=Path, default=ROOT / ".local", help="where everything is kept")
    parser.add_argument("--context", default="", help='settings of cdk.json, as in "-c monthly_budget_usd=1"')
    parser.add_argument("--keep", action="store_true", help="with down: keep the data")
    given = parser.parse_args()
    words = argparse.ArgumentParser()
    words.add_argument("-c", action="append", default=[])
    settings = words.parse_args(shlex.split(given.context)).c
    local = Local(folder=given.folder.resolve(), port=given.port, settings=settings, environment=dict(os.environ))
    try:
        if given.command == "down":
            return _down(local, keep=given.keep)
        return _up(local) if given.command == "up" else _demo(local)
    except (StackError, EmulatorError, DeployError, demo.DeclinedError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _up(local: Local) -> int:
    was_up = stack.is_up(local)
    outputs = stack.up(local)
    if was_up and not outputs["endpoint"].endswith(f":{local.port}"):
        print(f"The stack was up already, and stays at {outputs['endpoint']}; `make down` first to move it.")
    for name, value in outputs.items():
        if value is not None:
            print(f"{name}: {value}")
    if outputs["user"]:
        print(f"The page: {outputs['api_url']} — sign in as {outputs['user']} with {outputs['password']}")
    print(f"The stack is up; this stands in {local.outputs_file}. Next: make run INPUT=examples/default.json, and make down at the end.")
    return 0


def _down(local: Local, *, keep: bool) -> int:
    running = stack.down(local, keep=keep)
    print("nothing was running" if not running else "stopped, the data is kept" if keep else "stopped, the data is gone")
    return 0


def _demo(local: Local) -> int:
    console = Console()
    was_up = stack.is_up(local)
    console.print("Deploying the stack to the local AWS …")
    stack.up(local)
    try:
        return 0 if demo.show(local, console) else 1
    finally:
        if not was_up:
            stack.down(local, keep=False)


if __name__ == "__main__":
    sys.exit(main())
