"""`python -m operate run|batch|redrive|report|open|budget|secret|user|token [--target local|aws]`; make calls it."""

import argparse
import getpass
import json
import re
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from easel.contract.errors import EaselError
from cli import batch_screen, batches, records, runs, screen, sign_in, unfinished
from cli.batches import BatchError
from cli.runs import NoExecutionError, Run
from cli.sign_in import SignInError
from cli.target import ROOT, Target, TargetError, named

MOST_USD = 1_000_000_000
PICTURES = ROOT / ".local" / "pictures"


def main() -> int:
    """Do one command; what a person can mend is one line on stderr, not a traceback."""
    given = _parser().parse_args()
    try:
        done: int = given.do(named(given.target), given)
        return done
    except (TargetError, SignInError, BatchError, LookupError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped watching; what was started goes on by itself", file=sys.stderr)
        return 130
    except (BotoCoreError, ClientError, EaselError) as error:
        print(f"{error}; is the {given.target} stack up, and do your credentials fit it?", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="operate", description="Work with a deployed Easel stack.")
    parser.add_argument("--target", choices=("local", "aws"), default="local")
    commands = parser.add_subparsers(required=True)

    def command(name: str, do: Callable[[Target, argparse.Namespace], int], says: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says)
        added.set_defaults(do=do)
        return added

    which = "the execution's name, or the run's id"
    run = command("run", lambda target, given: _run(target, given.input), "start one run and watch it")
    run.add_argument("input", type=Path, help="a file with the request, as JSON; - reads standard input")
    batch = command("batch", _batch, "make the pictures of a file of requests, and watch it")
    batch.add_argument("file", type=Path, help="a manifest: JSON Lines (.jsonl) or CSV with a header (.csv)")
    batch.add_argument("--name", help="the batch's name; the file's own where it is left out")
    batch.add_argument("--dry-run", action="store_true", default=None, help="check every line and price them, buy nothing")
    batch.add_argument("--allow-partial", action="store_true", default=None, help="make as many lines as fit into the month's budget")
    batch.add_argument("--economy", action="store_true", default=None, help="at half the price, within a day: OpenAI's Batch API")
    batch.add_argument("--max-parallel-images", type=int, metavar="N", help="how many lines go on at once")
    batch.add_argument("--tolerated-failure-percentage", type=float, metavar="PERCENT", help="how many lines may fail")
    redrive = command("redrive", lambda target, given: _watch(target, runs.resume(target, given.run)), "go on with a run that failed")
    redrive.add_argument("run", help=which)
    command("report", _report, "say what a run made, also where it failed").add_argument("run", help=which)
    command("open", _open, "open a run's pictures in the viewer").add_argument("run", help=which)
    budget = command("budget", _budget, "show this month's money, or change the cap at once")
    budget.add_argument("usd", nargs="?", type=_dollars, help="the new cap in dollars; 0 stops all spending")
    command("secret", _secret, "set the OpenAI key, from a prompt or standard input")
    command("user", _user, "add a user of the page").add_argument("email", type=_email, help="where the temporary password goes")
    token = command("token", _token, "print an access token of the API for a program, valid for an hour")
    token.add_argument("--scope", choices=tuple(sign_in.SCOPES), help="that scope alone; both where it is left out")
    return parser


def _run(target: Target, source: Path) -> int:
    piped = str(source) == "-"
    text, name = (sys.stdin.read(), "standard input") if piped else (source.read_text(), str(source))
    try:
        request: Any = json.loads(text)
    except ValueError as error:
        print(f"{name} is not JSON: {error}", file=sys.stderr)
        return 1
    return _watch(target, runs.start(target, request, label="request" if piped else source.stem))


def _watch(target: Target, run: Run) -> int:
    console = Console()
    console.print(f"run {run.name}", highlight=False)
    screen.watch(target, [run], console)
    screen.show_report(target, run, console)
    return 0 if run.status == "SUCCEEDED" else 1


def _batch(target: Target, given: argparse.Namespace) -> int:
    console = Console()
    started = batches.start(
        target,
        given.file,
        name=batches.name_of(given.file, given.name),
        dry_run=given.dry_run,
        allow_partial=given.allow_partial,
        economy=given.economy,
        max_parallel_images=given.max_parallel_images,
        tolerated_failure_percentage=given.tolerated_failure_percentage,
    )
    console.print(f"batch {started.name}, execution {started.execution.name}", highlight=False, soft_wrap=True)
    batch_screen.watch(target, started, console)
    batch_screen.show_report(target, started, console)
    refused = (started.execution.output or {}).get("refusal")
    return 0 if started.status == "SUCCEEDED" and not refused else 1


def _report(target: Target, given: argparse.Namespace) -> int:
    try:
        screen.show_report(target, runs.find(target, given.run), Console())
    except NoExecutionError:
        unfinished.show_without_execution(target, given.run, Console())
    return 0


def _budget(target: Target, given: argparse.Namespace) -> int:
    screen.show_budget(records.budget(target) if given.usd is None else records.set_budget(target, given.usd), Console())
    return 0


def _dollars(text: str) -> float:
    try:
        usd = float(text)
    except ValueError:
        usd = -1
    if not 0 <= usd < MOST_USD or (usd > 0) != (round(usd, 6) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no sum of dollars: a number from 0 to {MOST_USD:,}, such as 25")
    return usd


def _open(target: Target, given: argparse.Namespace) -> int:
    paths = runs.fetch(target, runs.report_of(target, given.run), PICTURES)
    if not paths:
        raise LookupError(f"run {given.run} stored no picture")
    for path in paths:
        print(path)
        webbrowser.open(path.as_uri())
    return 0


def _secret(target: Target, _given: argparse.Namespace) -> int:
    secret = target.secret()
    key = (getpass.getpass("OpenAI API key (not shown): ") if sys.stdin.isatty() else sys.stdin.read()).strip()
    if not key or any(c.isspace() for c in key) or not key.isascii():
        print("that is no API key: it must be one word of ASCII characters", file=sys.stderr)
        return 1
    target.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=key)
    print(f"the key is set in {secret}; functions that hold an older one fetch it after the first refusal")
    return 0


def _user(target: Target, given: argparse.Namespace) -> int:
    password = sign_in.add_user(target, given.email)
    how = (
        f"sign in with the temporary password {password}" if password else "the temporary password comes by mail, and holds for seven days"
    )
    print(f"{given.email} is added: {how}")
    return 0


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no email address")
    return text


def _token(target: Target, given: argparse.Namespace) -> int:
    print(sign_in.token(target, given.scope))
    return 0


if __name__ == "__main__":
    sys.exit(main())
