"""The command line: `easel [--target local|aws] COMMAND`.

The commands are run, upload, batch, batches, batch-stop, redrive, report, open, find, reindex,
share, unshare, schedules, schedule, unschedule, budget, spending, secret, user, token, credentials
and doctor.
"""

import argparse
import getpass
import json
import re
import shlex
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from cli import batch_screen, batches, find, runs, schedules, screen, sharing, sign_in, uploads
from cli.batches import BatchError
from cli.doctor import catalogue
from cli.doctor import screen as doctor_screen
from cli.doctor.deployment import Deployment
from cli.doctor.finding import Verdict
from cli.money import add_budget_options, add_spending_options, budget, spending
from cli.runs import NoExecutionError, Run
from cli.sign_in import SignInError
from cli.target import ROOT, Access, Target, TargetError, find_access, find_target
from cli.uploads import UploadError
from easel.contract.errors import EaselError
from easel.contract.naming import MANIFEST_ENDINGS
from easel.contract.states import ExecutionStatus
from easel.contract.text import printable
from easel.request import batch_request
from easel.request.fields import Flag, Number, WholeNumber
from functions.api.roles import DEFAULT, ROLES

IMAGES = ROOT / ".local" / "pictures"
# The manifest and its version come from the uploaded file.
BATCHES_SHOWN = 20
BATCH_OPTIONS = [name for name in batch_request.FIELDS if name not in ("manifest", "version_id")]
WHICH_RUN = "the execution's name, or the run's id"
DOCTOR = "check the stack with read-only calls and one dry run, which pays nothing"

Command = Callable[[Target, argparse.Namespace], int]


def main() -> int:
    """Run one command. Print an error that a user can fix as one line on stderr."""
    options = _parser().parse_args()
    try:
        code: int = options.command(options.find(options.target), options)
        return code
    except (TargetError, SignInError, BatchError, UploadError, LookupError) as error:
        print(printable(str(error)), file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped watching; what was started continues", file=sys.stderr)
        return 130
    except EaselError as error:
        print(printable(str(error)), file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        hint = (
            f"check that the {options.target} stack is up, and that your credentials are for its "
            "account"
        )
        print(printable(f"{error}; {hint}"), file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="easel", description="Work with a deployed Easel stack.")
    parser.add_argument(
        "--target", choices=("local", "aws"), default="local", help="which stack; local by default"
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, command: Command, description: str) -> argparse.ArgumentParser:
        command_parser = commands.add_parser(name, help=description, description=description)
        command_parser.set_defaults(command=command, find=find_target)
        return command_parser

    run = add("run", _run, "start one run and watch it")
    run.add_argument("input", type=Path, help="a file with the request as JSON; - is stdin")
    upload = add("upload", _upload, "upload images to make others from; prints their keys")
    upload.add_argument("files", type=Path, nargs="+", help="PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF")
    _add_batch_options(add("batch", _batch, "make the images of a file of requests"))
    add("batches", _batches, "list the latest batches with their progress and cost")
    stop = add("batch-stop", _stop_batch, "stop a running batch; starting it again continues it")
    stop.add_argument("name", help="the batch's name")
    redrive = add("redrive", _redrive, "resume a failed run; pays only for what is missing")
    redrive.add_argument("run", help=WHICH_RUN)
    report = add("report", _report, "show what a run made, also if it failed")
    report.add_argument("run", nargs="?", help=f"{WHICH_RUN}; the latest run by default")
    open_command = add("open", _open, "open a run's images in the viewer")
    open_command.add_argument("run", nargs="?", help=f"{WHICH_RUN}; the latest run by default")
    find.add_options(add("find", find.find, "find stored images by their words, newest first"))
    add("reindex", find.reindex, "make the search index again, such as after its alarm")
    share = add("share", _share, "give an image a public address, and print it")
    share.add_argument("key", help="the image's key in the bucket")
    share.add_argument("--as", dest="form", choices=sharing.FORMS, default="link")
    unshare = add("unshare", _unshare, "make an image private again")
    unshare.add_argument("key", help="the image's key in the bucket")
    add("schedules", _schedules, "list the schedules with their next and last runs")
    schedule = add("schedule", _schedule, "create a schedule, or replace the one of its name")
    schedule.add_argument("file", type=Path, help="a file with the schedule as JSON")
    unschedule = add("unschedule", _unschedule, "delete a schedule; its images stay")
    unschedule.add_argument("name", help="the schedule's name")
    add_budget_options(add("budget", budget, "show or change a budget of this month"))
    add_spending_options(add("spending", spending, "show what a month cost, by folder or tag"))
    add("secret", _secret, "set the OpenAI key, typed or from stdin")
    user = add("user", _user, "add a user for the page")
    user.add_argument("email", type=_email, help="the temporary password is sent there")
    user.add_argument(
        "--role", choices=ROLES, default=DEFAULT, help="what they may do; changes an existing user"
    )
    token = add("token", _token, "print an API access token for a program, valid for an hour")
    token.add_argument(
        "--scope", choices=tuple(sign_in.SCOPES), help="a single scope; all by default"
    )
    add("credentials", _credentials, "print the client credentials of programs for a shell")
    doctor = commands.add_parser("doctor", help=DOCTOR, description=DOCTOR)
    # This command must also work without a stack.
    doctor.set_defaults(command=_doctor, find=find_access)
    return parser


def _add_batch_options(batch: argparse.ArgumentParser) -> None:
    batch.add_argument("file", type=Path, help="JSON Lines (.jsonl), or CSV with a header (.csv)")
    batch.add_argument("--name", help="the batch's name; the file's name by default")
    # None means "not given": the field's default or the deployment's setting applies.
    for name in BATCH_OPTIONS:
        field = batch_request.TABLE[name]
        kind: dict[str, Any] = {"metavar": "TEXT"}
        if isinstance(field.kind, Flag):
            kind = {"action": "store_true", "default": None}
        elif isinstance(field.kind, Number | WholeNumber):
            kind = {"type": float if isinstance(field.kind, Number) else int, "metavar": "N"}
        batch.add_argument(f"--{name.replace('_', '-')}", help=field.note, **kind)


def _run(target: Target, options: argparse.Namespace) -> int:
    is_piped = str(options.input) == "-"
    source = "standard input" if is_piped else str(options.input)
    text = sys.stdin.read() if is_piped else options.input.read_text()
    try:
        request: Any = json.loads(text)
    except ValueError as error:
        print(f"{source} is not JSON: {error}{_batch_hint(options.input)}", file=sys.stderr)
        return 1
    label = "run" if is_piped else options.input.stem
    return _watch(target, runs.start(target, request, label=label))


def _upload(target: Target, options: argparse.Namespace) -> int:
    for file in options.files:
        print(uploads.upload(target, file).key)
    return 0


def _redrive(target: Target, options: argparse.Namespace) -> int:
    return _watch(target, runs.resume(target, options.run))


def _watch(target: Target, run: Run) -> int:
    console = Console()
    console.print(f"run {run.name}", highlight=False)
    screen.watch(target, [run], console)
    screen.show_report(target, run, console)
    return 0 if run.status == ExecutionStatus.SUCCEEDED else 1


def _batch(target: Target, options: argparse.Namespace) -> int:
    console = Console()
    settings = {name: getattr(options, name) for name in BATCH_OPTIONS}
    name = batches.batch_name(options.file, options.name)
    batch = batches.start(target, options.file, name=name, options=settings)
    headline = f"batch {batch.name}, execution {batch.execution.name}"
    console.print(headline, highlight=False, soft_wrap=True)
    batch_screen.watch(target, batch, console)
    batch_screen.show_report(target, batch, console)
    refusal = (batch.execution.output or {}).get("refusal")
    return 0 if batch.status == ExecutionStatus.SUCCEEDED and not refusal else 1


def _batches(target: Target, _options: argparse.Namespace) -> int:
    batch_screen.show_list(batches.latest(target, most=BATCHES_SHOWN), Console())
    return 0


def _stop_batch(target: Target, options: argparse.Namespace) -> int:
    for execution in batches.stop(target, options.name):
        print(f"{execution} is stopped; start the batch again to make what is missing")
    return 0


def _report(target: Target, options: argparse.Namespace) -> int:
    name = options.run or runs.latest(target)
    try:
        screen.show_report(target, runs.find(target, name), Console())
    except NoExecutionError:
        screen.show_without_execution(target, name, Console())
    return 0


def _open(target: Target, options: argparse.Namespace) -> int:
    name = options.run or runs.latest(target)
    paths = runs.fetch_images(target, runs.stored_keys(target, name), IMAGES)
    if not paths:
        raise LookupError(f"run {name} stored no images")
    for path in paths.values():
        print(path)
        webbrowser.open(path.as_uri())
    return 0


def _share(target: Target, options: argparse.Namespace) -> int:
    print(sharing.share(target, options.key, form=options.form))
    return 0


def _unshare(target: Target, options: argparse.Namespace) -> int:
    seconds = sharing.unshare(target, options.key)
    print(f"{options.key} is private again; its address stops within {seconds} seconds")
    return 0


def _schedules(target: Target, _options: argparse.Namespace) -> int:
    schedules.DeployedSchedules(target).show(Console())
    return 0


def _schedule(target: Target, options: argparse.Namespace) -> int:
    raw = schedules.read_file(options.file.read_text(), str(options.file))
    stored = schedules.DeployedSchedules(target).put(raw)
    print(f"schedule {stored.schedule.name}, {schedules.next_run_text(stored)}")
    return 0


def _unschedule(target: Target, options: argparse.Namespace) -> int:
    schedules.DeployedSchedules(target).delete(options.name)
    print(f"{options.name} starts no more runs; its images stay")
    return 0


def _batch_hint(file: Path) -> str:
    is_manifest = file.suffix.lstrip(".") in MANIFEST_ENDINGS
    return f"; for a file of requests use `make batch FILE={file}`" if is_manifest else ""


def _secret(target: Target, _options: argparse.Namespace) -> int:
    secret = target.openai_secret()
    is_terminal = sys.stdin.isatty()
    key = getpass.getpass("OpenAI API key (not shown): ") if is_terminal else sys.stdin.read()
    key = key.strip()
    if not key:
        print("no key was entered; nothing was changed", file=sys.stderr)
        return 1
    if any(c.isspace() for c in key) or not key.isascii():
        print("this is not an API key; enter one word of ASCII characters", file=sys.stderr)
        return 1
    target.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=key)
    print(
        f"the key is set in {secret}; running functions fetch it after OpenAI first rejects the "
        "old one"
    )
    return 0


def _user(target: Target, options: argparse.Namespace) -> int:
    is_new, password = sign_in.add_user(target, options.email, options.role)
    if not is_new:
        print(f"{options.email} now has the role {options.role!r}, from their next sign-in on")
        return 0
    hint = "the temporary password is sent by mail and is valid for seven days"
    if password:
        hint = f"sign in with the temporary password {password}"
    print(f"{options.email} was added: {hint}")
    return 0


def _token(target: Target, options: argparse.Namespace) -> int:
    print(sign_in.fetch_token(target, options.scope))
    return 0


def _credentials(target: Target, _options: argparse.Namespace) -> int:
    for name, value in vars(sign_in.program_credentials(target)).items():
        print(f"{name.upper()}={shlex.quote(value)}")
    return 0


def _doctor(access: Access, _options: argparse.Namespace) -> int:
    console = Console()
    with console.status("Checking the stack …"):
        findings = list(catalogue.examine_all(Deployment(access)))
    doctor_screen.show(findings, console)
    return 1 if any(finding.verdict is Verdict.PROBLEM for _, finding in findings) else 0


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an email address")
    return text


if __name__ == "__main__":
    sys.exit(main())
