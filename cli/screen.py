"""Shows a run on the terminal: the progress of its steps, then its report."""

import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape as escape_markup
from rich.table import Table

from cli import runs
from cli.runs import Run
from cli.target import Target
from easel.contract import money
from easel.contract.errors import ConflictError
from easel.contract.states import ExecutionStatus, Step
from easel.contract.status import ChatStatus, Status
from easel.contract.text import printable
from easel.ledger.budget import MonthBudget
from easel.ledger.records import ImageRecord, PromptRecord, RunRecords

PROMPT_CHARACTERS = 200
COLOURS: dict[str, str] = {
    ExecutionStatus.RUNNING: "yellow",
    ExecutionStatus.SUCCEEDED: "green",
}
# These words describe a record's status from the payer's point of view.
WORDS = {
    Status.STAGED: "bought, but not stored yet",
    Status.LOST: "paid, but S3 did not accept it",
    Status.BAD: "paid, but no image",
}


def watch(target: Target, started: Sequence[Run], console: Console) -> None:
    """Show the runs' steps until all have ended."""
    with Live(_steps_table(started), console=console, refresh_per_second=8) as live:
        for states in runs.follow(target, started):
            live.update(_steps_table(states))
    if not console.is_terminal:  # Live leaves its last line open here
        console.print()


def show_report(target: Target, run: Run, console: Console, *, folder: Path | None = None) -> None:
    """Show a finished run's prompt, and its images with cost, size and place.

    For a failed run, show the error and what to do. If a folder is given, copy the images there.
    """
    if run.output is None:
        _show_unfinished(target, run, console)
    elif "pictures" not in run.output:
        _show_removal(run.output, console)
    elif run.output["dry_run"]:
        estimate = dollars(run.output["estimate_usd"])
        say(console, f"dry run: nothing was bought; it would cost up to {estimate}")
    else:
        _show_images(target, run, console, folder)


def show_without_execution(target: Target, run_id: str, console: Console) -> None:
    """Show the records of a run that has no execution in Step Functions."""
    records = target.ledger.run(run_id)
    if records.prompt:
        say(console, f"{escape(run_id)} · {escape(records.prompt.title)}")
        _show_image_records(records.prompt, records, console)


def show_budget(month: MonthBudget, console: Console) -> None:
    """Show a month's budget in one line."""
    spent, reserved, cap = map(money.show, (month.spent, month.reserved, month.cap))
    say(console, f"{month.month}: {spent} spent, {reserved} reserved, cap {cap}")
    if month.cap == 0:
        say(
            console,
            "a cap of 0 stops all spending; set another with `easel budget USD` (make: budget "
            "USD=…)",
        )


def dollars(usd: float | None) -> str:
    """Format dollars. Return "unknown" for None."""
    return "unknown" if usd is None else money.show(money.micro_dollars(usd))


def count(number: int, noun: str) -> str:
    """Format a number with its noun, such as "1 call" or "2 calls"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def escape(text: str) -> str:
    """Return a text that neither rich nor the terminal obeys.

    Titles, keys, names and error messages come from the stack and not from this user.
    """
    return escape_markup(printable(text))


def say(console: Console, line: str) -> None:
    """Print a line unchanged, without rich's highlighting and line breaks."""
    console.print(line, highlight=False, soft_wrap=True)


def _show_unfinished(target: Target, run: Run, console: Console) -> None:
    """Show why a run has no report, which images are paid or stored, and what to do."""
    if run.status == ExecutionStatus.RUNNING:
        say(console, f"{escape(run.label)} is running; so far:")
    else:
        console.print(f"[red]{escape(run.label)} {run.status}[/red] {escape(run.message)}")
    # If the run failed with a conflict, the records under its id belong to another request.
    if run.execution.makes_images and run.error != ConflictError.__name__:
        _show_records(target, run, console)


def _show_records(target: Target, run: Run, console: Console) -> None:
    records = target.ledger.run(run.run_id)
    chat = records.chat
    if chat and chat.possibly_paid:
        written = "written" if chat.status == ChatStatus.WRITTEN else "not written"
        say(console, f"its prompt: {count(chat.possibly_paid, 'call')} possibly paid, {written}")
    if records.prompt is None:
        say(console, "no image was bought")
    else:
        _show_image_records(records.prompt, records, console)
    if run.status != ExecutionStatus.RUNNING:
        say(console, escape(_next_step(run, records, on_aws=not target.endpoint)))


def _show_image_records(prompt: PromptRecord, records: RunRecords, console: Console) -> None:
    say(console, "its images:")
    known = {image.n: image for image in records.images}
    for n in range(1, prompt.choices["count"] + 1):
        image = known.get(n)
        if image is None:
            say(console, f"{n:>3}  not bought")
            continue
        calls = image.possibly_paid
        facts = [_status(image), dollars(money.dollars(image.cost_micro_usd))]
        facts += [f"{count(calls, 'call')} possibly paid"] if calls else []
        facts += [escape(image.key or image.staged_key or "")]
        # A line is never broken, so that the key can be copied.
        say(console, f"{n:>3}  {', '.join(facts[:-1])}  {facts[-1]}".rstrip())


def _status(image: ImageRecord) -> str:
    if image.status != Status.CLAIMED:
        return WORDS.get(image.status, image.status)
    if image.is_counted:
        return f"no answer after {count(image.purchase, 'call')}"
    return "being bought" if image.lease_until > time.time() else "function died, claim expired"


def _next_step(run: Run, records: RunRecords, *, on_aws: bool) -> str:
    prompt, images = records.prompt, records.images
    name = run.name if prompt is None else run.run_id
    command = f"`make redrive RUN={name}{' TARGET=aws' if on_aws else ''}`"
    if run.execution.is_image_failure:
        lost = [str(image.n) for image in images if not image.status.is_finished]
        if not (lost and prompt):
            return "its prompt cannot be made; to buy it, start the request with a new request_id"
        return (
            f"cannot be made: image {', '.join(lost)}; to buy this again, start the request with a "
            f"new request_id and count {len(lost)}"
        )
    if not run.execution.can_be_resumed:
        paid = prompt or images or (records.chat and records.chat.wasted_micro_usd)
        nothing = "" if paid else "nothing was paid; "
        return f"{nothing}the same request would fail again: correct it and start it again"
    is_complete = prompt and len(images) == prompt.choices["count"]
    if is_complete and all(image.status.is_finished for image in images):
        return f"all its images are stored; {command} makes the missing report"
    return f"once the problem is fixed, {command} resumes it and pays only for what is missing"


def _show_images(target: Target, run: Run, console: Console, folder: Path | None) -> None:
    """Show the title, the prompt, and a line for each image that ends with its place.

    A line is never broken, so that the place can be copied.
    """
    report = run.output or {}
    keys = runs.reported_keys(report)
    places: dict[str, Any] = {key: f"s3://{target.bucket}/{key}" for key in keys}
    if folder:
        places |= runs.fetch_images(target, keys, folder)
    sidecars = {key: runs.read_sidecar(target, key) for key in keys}
    say(console, f"{escape(run.label)} · {escape(report['title'] or '')}")
    prompt = next((sidecar["prompt"] for sidecar in sidecars.values() if sidecar), None)
    if prompt:
        shown = textwrap.shorten(prompt, PROMPT_CHARACTERS, placeholder=" …")
        console.print(f"  “{escape(shown)}”", style="dim", highlight=False)
    for image in report["pictures"]:
        key = image["key"]
        say(console, f"  {_image_line(image, sidecars.get(key), places.get(key))}")
    say(console, f"  {_price(report)}")


def _image_line(
    image: dict[str, Any], sidecar: dict[str, Any] | None, place: Path | str | None
) -> str:
    if image["status"] != Status.STORED:
        return f"{image['n']:>2}  {image['status']} {escape(image['refusal'] or '')}".rstrip()
    if sidecar is None:
        facts = "deleted later; restore_image can restore it for some time:"
    else:
        kibibytes = f"{image['bytes'] / 1024:,.0f} KiB"
        facts = f"{sidecar['width']}x{sidecar['height']}  {kibibytes:>9}"
    return f"{image['n']:>2}  {dollars(image['cost_usd']):>7}  {facts}  {escape(str(place))}"


def _price(report: dict[str, Any]) -> str:
    calls = report["possibly_paid"]
    more = f", and {count(calls, 'call')} possibly paid; see OpenAI's usage page" if calls else ""
    return f"{dollars(report['cost_usd'])} in total, including the prompt{more}"


def _show_removal(output: dict[str, Any], console: Console) -> None:
    """Show a delete or a restore in one line, followed by the whole output."""
    say(console, f"{escape(output['target'])}: {_removal_line(output)}")
    console.print_json(data=output)


def _removal_line(output: dict[str, Any]) -> str:
    restores, purges = "restored" in output, output.get("purge", False)
    if output["objects"] == 0:
        if restores:
            return "nothing to restore: it was not deleted, or another image has its name"
        return "nothing found: check the name"
    noun = "versions" if purges else "objects"
    count = f"{output['objects']:,} {noun} ({output['bytes'] / 1024:,.0f} KiB)"
    forever = " permanently" if purges else ""
    used_in = output.get("used_in")
    stays = f"; what was made from it stays ({used_in:,} images requested)" if used_in else ""
    if output["dry_run"]:
        return f"dry run: would {'restore' if restores else 'delete'}{forever} {count}{stays}"
    days = output.get("recoverable_days")
    restore = output["action"].replace("delete", "restore")
    back = f"; {restore} can restore them for {days} days" if days else ""
    return f"{'restored' if restores else 'deleted'}{forever}: {count}{back}{stays}"


def _steps_table(started: Sequence[Run]) -> Table:
    table = Table(box=None, padding=(0, 1))
    # The name is needed to find the run again, and a UUID fits into 80 columns.
    table.add_column("run", no_wrap=True)
    for step in Step:
        table.add_column(step)
    table.add_column("status", no_wrap=True)
    for run in started:
        cells = [_step_cell(run, step) for step in Step]
        colour = COLOURS.get(run.status, "red")
        status = f"{run.status} {run.seconds:.1f} s" if run.seconds else run.status
        table.add_row(escape(run.label), *cells, f"[{colour}]{status}[/{colour}]")
    return table


def _step_cell(run: Run, step: Step) -> str:
    entered, left = run.progress.steps[step].entered, run.progress.steps[step].left
    if not entered:
        return "[dim]·[/dim]"
    # After a redrive, a state may have been entered more often than left.
    if left == entered or run.status == ExecutionStatus.SUCCEEDED:
        mark = "[green]✓[/green]"
    else:
        mark = "[yellow]…[/yellow]" if run.status == ExecutionStatus.RUNNING else "[red]✗[/red]"
    return f"{mark} {left}/{entered}" if entered > 1 else mark
