"""`python -m operate run|open|secret [--target local|aws]`; make calls it."""

import argparse
import getpass
import json
import sys
import webbrowser
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from operate import runs, screen
from operate.target import ROOT, Target, TargetError, named

PICTURES = ROOT / ".local" / "pictures"


def main() -> int:
    """Do one command; what a person can mend is one line on stderr, not a traceback."""
    parser = argparse.ArgumentParser(prog="operate", description="Work with a deployed Easel stack.")
    parser.add_argument("--target", choices=("local", "aws"), default="local")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start one run and watch it")
    run.add_argument("input", type=Path, help="a file with the request, as JSON; - reads standard input")
    show = commands.add_parser("open", help="open a run's pictures in the viewer")
    show.add_argument("run", help="the run's name")
    commands.add_parser("secret", help="set the OpenAI key, from a prompt or standard input")
    given = parser.parse_args()
    try:
        target = named(given.target)
        if given.command == "run":
            return _run(target, given.input)
        if given.command == "open":
            return _open(target, given.run)
        return _secret(target)
    except (TargetError, LookupError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped watching; what was started goes on by itself", file=sys.stderr)
        return 130
    except (BotoCoreError, ClientError) as error:
        print(f"{error}; is the {given.target} stack up, and do your credentials fit it?", file=sys.stderr)
    return 1


def _run(target: Target, source: Path) -> int:
    piped = str(source) == "-"
    text, name = (sys.stdin.read(), "standard input") if piped else (source.read_text(), str(source))
    try:
        request: Any = json.loads(text)
    except ValueError as error:
        print(f"{name} is not JSON: {error}", file=sys.stderr)
        return 1
    console = Console()
    run = runs.start(target, request, label="request" if piped else source.stem)
    console.print(f"run {run.name}", highlight=False)
    screen.watch(target, [run], console)
    screen.show_report(target, run, console)
    return 0 if run.status == "SUCCEEDED" else 1


def _open(target: Target, name: str) -> int:
    paths = runs.fetch(target, runs.report_of(target, name), PICTURES)
    if not paths:
        raise LookupError(f"run {name} stored no picture")
    for path in paths:
        print(path)
        webbrowser.open(path.as_uri())
    return 0


def _secret(target: Target) -> int:
    key = (getpass.getpass("OpenAI API key (not shown): ") if sys.stdin.isatty() else sys.stdin.read()).strip()
    if not key or any(c.isspace() for c in key) or not key.isascii():
        print("that is no API key: it must be one word of ASCII characters", file=sys.stderr)
        return 1
    secret = target.secret()
    target.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=key)
    print(f"the key is set in {secret}; functions that hold an older one fetch it after the first refusal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
