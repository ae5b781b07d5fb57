"""What the command line shows of a batch: its lines as they go, then what became of them, or what a dry run found."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from easel.runs.executions import LineCounts
from cli import batches
from cli.batches import Started
from cli.runs import dollars
from cli.target import Target

UNFINISHED = ("NotStarted", "Stopped")


def watch(target: Target, started: Started, console: Console) -> None:
    """Show the lines' progress until the batch has ended."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines {task.fields[counted]}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        # Pictures come in their own time: a mean over seconds would jump.
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as progress:
        bar = progress.add_task("checking the manifest", total=None, counted="")
        for now in batches.follow(target, started):
            counts = now.counts
            if counts and counts.total:
                done = counts.succeeded + counts.failed + counts.aborted
                doing = "making pictures" if done < counts.total else "reporting"
                progress.update(bar, description=doing, total=counts.total, completed=done, counted=_counted(counts))
        progress.update(bar, description=started.status.lower())
    if not console.is_terminal:  # there the bar leaves its last line open
        console.print()


def show_report(target: Target, started: Started, console: Console) -> None:
    """What a batch that has ended has made, what it failed at and why, and what it cost; of a dry run, what it would cost."""
    report = batches.report_of(target, started)
    if report:
        _show(target, started, report, console)
    elif started.execution.output is not None:
        _show_check(started.execution.output, console)
    if started.status != "SUCCEEDED":
        _say(console, f"[red]{escape(started.name)} {started.status}[/red] {escape(batches.message(started))}")


def _counted(counts: LineCounts) -> str:
    told = ((counts.succeeded, "green", "succeeded"), (counts.failed, "red", "failed"), (counts.running, "yellow", "running"))
    return " ".join(f"[{colour}]{number:,} {word}[/{colour}]" for number, colour, word in told if number)


def _show(target: Target, started: Started, report: dict[str, Any], console: Console) -> None:
    why = ", ".join(f"{error} {number:,}" for error, number in report["reasons"].items() if error not in UNFINISHED)
    rows = [
        ("pictures stored", f"{report['stored']:,}"),
        ("refused by OpenAI", f"{report['refused']:,}" if report["refused"] else ""),
        ("deleted since", f"{report['deleted']:,}" if report["deleted"] else ""),
        ("lines failed", f"{report['failed']:,} of {report['lines']:,}" + (f" ({why})" if why else "")),
        ("lines not finished", f"{report['not_started']:,}" if report["not_started"] else ""),
        ("cost", _cost(report)),
        ("possibly paid besides", f"{report['possibly_paid']:,} calls: OpenAI's usage page tells" if report["possibly_paid"] else ""),
        ("time", f"{report['seconds']:,.1f} s" + _pace(started, report)),
        ("report", f"s3://{target.bucket}/{report['report_key']}"),
        ("lines to mend or repeat", f"s3://{target.bucket}/{report['failed_key']}" if report["failed_key"] else ""),
    ]
    table = Table(title=f"batch {escape(started.name)}", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, said in rows:
        if said:
            table.add_row(what, escape(said))
    console.print(table)
    _show_lines(report["failures"], "the first lines that failed", console)
    if started.checked and not started.checked["todo"] and not started.checked["postponed"]:
        _say(console, "every line was finished before: nothing was bought now")
    if started.checked and started.checked["postponed"]:
        _say(console, f"{started.checked['postponed']:,} lines had no room in the month's budget: make budget USD=… gives it more")
    if report["failed_key"]:
        _say(
            console, f"`make batch FILE={report['failed_key']}` goes on with them; so does the same batch again, but for lines to be mended"
        )


def _cost(report: dict[str, Any]) -> str:
    unknown = f" known, and {report['unknown_costs']:,} of unknown cost" if report["unknown_costs"] else ""
    return f"{dollars(report['known_cost_usd'])}{unknown}, prompts included"


def _pace(started: Started, report: dict[str, Any]) -> str:
    """The pictures a second, where all of them were made by this start."""
    checked = started.checked
    if not checked or checked["todo"] < checked["lines"] or not report["stored"]:
        return ""
    return f", {report['stored'] / max(report['seconds'], 0.1):,.2f} pictures a second"


def _show_check(checked: dict[str, Any], console: Console) -> None:
    room = "which fits" if checked["fits"] else "[red]which does not fit[/red]; ALLOW_PARTIAL=1 makes as many lines as fit"
    made = f"{checked['lines']:,} lines, {checked['pictures']:,} pictures"
    if checked["postponed"]:
        _say(console, f"{checked['postponed']:,} lines would be left out: the month's budget has no room for them")
    price, left = dollars(checked["estimate_usd"]), f"${checked['budget_left_usd']:.2f}"
    _say(console, f"dry run of {escape(checked['batch'])}: nothing was bought; {made}")
    _say(console, f"what is missing of them would cost up to {price} of the {left} that are left of the month's budget, {room}")
    _show_lines(checked["problems"], f"{checked['bad']:,} lines can't be made", console)
    if checked["bad"] > len(checked["problems"]):
        _say(console, f"all of them are in {checked['problems_key']}")

    if checked["refusal"]:
        _say(console, f"[red]a start would be refused[/red]: {escape(checked['refusal'])}; TOLERATED=… and ALLOW_PARTIAL=1 say otherwise")


def _show_lines(problems: Sequence[dict[str, Any]], title: str, console: Console) -> None:
    if not problems:
        return
    table = Table(title=title, title_justify="left")
    table.add_column("line", justify="right")
    table.add_column("error", no_wrap=True)
    table.add_column("why", overflow="fold")
    for problem in problems:
        table.add_row(f"{problem['line']:,}", problem["error"], escape(problem["message"]))
    console.print(table)


def _say(console: Console, said: str) -> None:
    console.print(said, highlight=False, soft_wrap=True)
