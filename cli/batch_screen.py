"""Shows a batch on the terminal: the progress of its lines, then its report."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from cli import batches
from cli.batches import StartedBatch
from cli.runs import failure_message
from cli.screen import dollars, escape, say
from cli.target import Target
from easel.contract.states import ExecutionStatus
from easel.runs.executions import LineCounts

UNFINISHED = ("NotStarted", "Stopped")


def watch(target: Target, batch: StartedBatch, console: Console) -> None:
    """Show the lines' progress until the batch has ended."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines {task.fields[counts]}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    # Images take long, uneven times, so an average over a few seconds would jump.
    with Progress(*columns, console=console, speed_estimate_period=600) as progress:
        bar = progress.add_task("checking the manifest", total=None, counts="")
        for state in batches.follow(target, batch):
            counts = state.counts
            if counts and counts.total:
                done = counts.succeeded + counts.failed + counts.aborted
                progress.update(
                    bar,
                    description="making pictures" if done < counts.total else "reporting",
                    total=counts.total,
                    completed=done,
                    counts=_format_counts(counts),
                )
        progress.update(bar, description=batch.status.lower())
    if not console.is_terminal:  # the bar leaves its last line open here
        console.print()


def show_report(target: Target, batch: StartedBatch, console: Console) -> None:
    """Show an ended batch: its images, its failures with their reasons, and its cost.

    For a dry run, show the cost it would have.
    """
    report = batches.read_report(target, batch)
    if report:
        _show_report(target, batch, report, console)
    elif batch.execution.output is not None:
        _show_check(batch.execution.output, console)
    if batch.status != ExecutionStatus.SUCCEEDED:
        failed = f"[red]{escape(batch.name)} {batch.status}[/red]"
        say(console, f"{failed} {escape(failure_message(batch.execution))}")


def show_list(started: Sequence[StartedBatch], console: Console) -> None:
    """Show starts of batches in a table."""
    if not started:
        say(console, "no batches yet; start one with `easel batch FILE`")
        return
    table = Table("batch", "started", "state", "lines", "cost", box=None)
    for batch in started:
        execution, report = batch.execution, batch.execution.output or {}
        is_check = isinstance(execution.input, dict) and execution.input.get("dry_run") is True
        table.add_row(
            escape(batch.name),
            f"{execution.started:%Y-%m-%d %H:%M}",
            "checked" if is_check and report else execution.status.lower(),
            f"{batch.counts.succeeded:,} of {batch.counts.total:,}" if batch.counts else "-",
            dollars(report["known_cost_usd"]) if "known_cost_usd" in report else "-",
        )
    console.print(table)


def _format_counts(counts: LineCounts) -> str:
    states = (
        (counts.succeeded, "green", "succeeded"),
        (counts.failed, "red", "failed"),
        (counts.running, "yellow", "running"),
    )
    return " ".join(
        f"[{colour}]{number:,} {word}[/{colour}]" for number, colour, word in states if number
    )


def _show_report(
    target: Target, batch: StartedBatch, report: dict[str, Any], console: Console
) -> None:
    say(console, f"batch {escape(batch.name)}")
    for label, value in _report_rows(target, batch, report):
        if value:
            # A line is never broken, so that a key can be copied.
            say(console, f"  {label:<22} {escape(value)}")
    _show_lines(report["failures"], "the first lines that failed", console)
    checked = batch.checked
    if checked and not checked["todo"] and not checked["postponed"]:
        say(console, "every line was already finished: nothing was bought now")
    if checked and checked["postponed"]:
        say(
            console,
            f"{checked['postponed']:,} lines did not fit into the month's budget: `easel budget "
            "USD` raises the cap (make: budget USD=…)",
        )
    if report["failed_key"]:
        say(
            console,
            "fix the lines that failed in your file, then start it again: it pays only for what is "
            f"missing (or fix and start s3://{target.bucket}/{escape(report['failed_key'])})",
        )


def _report_rows(
    target: Target, batch: StartedBatch, report: dict[str, Any]
) -> tuple[tuple[str, str], ...]:
    reasons = ", ".join(
        f"{error} {number:,}"
        for error, number in report["reasons"].items()
        if error not in UNFINISHED
    )
    failed = f"{report['failed']:,} of {report['lines']:,}" + (f" ({reasons})" if reasons else "")
    maybe_paid, rest = _number(report["possibly_paid"]), report["failed_key"]
    return (
        ("images stored", f"{report['stored']:,}"),
        ("refused by OpenAI", _number(report["refused"])),
        ("deleted later", _number(report["deleted"])),
        ("lines failed", failed),
        ("lines not finished", _number(report["not_started"])),
        ("cost", _cost(report)),
        ("possibly paid", maybe_paid and f"{maybe_paid} calls; see OpenAI's usage page"),
        ("time", f"{report['seconds']:,.1f} s{_throughput(batch, report)}"),
        ("report", f"s3://{target.bucket}/{report['report_key']}"),
        ("lines to fix or retry", rest and f"s3://{target.bucket}/{rest}"),
    )


def _number(number: int) -> str:
    """Format a number. Return "" for 0, so that its row is omitted."""
    return f"{number:,}" if number else ""


def _cost(report: dict[str, Any]) -> str:
    unknown = report["unknown_costs"]
    rest = f" known, and {unknown:,} with an unknown cost" if unknown else ""
    return f"{dollars(report['known_cost_usd'])}{rest}, including prompts"


def _throughput(batch: StartedBatch, report: dict[str, Any]) -> str:
    """Return the images per second, or "" if this start did not make all of them."""
    checked = batch.checked
    if not checked or checked["todo"] < checked["lines"] or not report["stored"]:
        return ""
    rate = report["stored"] / max(report["seconds"], 0.1)
    return f", {rate:,.2f} images a second"


def _show_check(checked: dict[str, Any], console: Console) -> None:
    size = f"{checked['lines']:,} lines, {checked['pictures']:,} images"
    fits = "which fits"
    if not checked["fits"]:
        fits = (
            "[red]which does not fit[/red]; --allow-partial (make: ALLOW_PARTIAL=1) makes as "
            "many lines as fit"
        )
    if checked["postponed"]:
        say(
            console,
            f"{checked['postponed']:,} lines would be left out, because the month's budget has no "
            "room for them",
        )
    price, left = dollars(checked["estimate_usd"]), f"${checked['budget_left_usd']:.2f}"
    say(console, f"dry run of {escape(checked['batch'])}: nothing was bought; {size}")
    say(
        console,
        f"what is missing would cost up to {price} of the {left} left in the month's budget, "
        f"{fits}",
    )
    _show_lines(checked["problems"], f"{checked['bad']:,} lines cannot be made", console)
    if checked["bad"] > len(checked["problems"]):
        say(console, f"{escape(checked['problems_key'])} lists all of them")
    if checked["refusal"]:
        say(
            console,
            f"[red]a start would be refused[/red]: {escape(checked['refusal'])}; "
            "--tolerated-failure-percentage and --allow-partial change that (make: TOLERATED=…, "
            "ALLOW_PARTIAL=1)",
        )


def _show_lines(problems: Sequence[dict[str, Any]], title: str, console: Console) -> None:
    if not problems:
        return
    table = Table(title=title, title_justify="left")
    table.add_column("line", justify="right")
    table.add_column("error", no_wrap=True)
    table.add_column("why", overflow="fold")
    for problem in problems:
        table.add_row(f"{problem['line']:,}", escape(problem["error"]), escape(problem["message"]))
    console.print(table)
