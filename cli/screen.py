"""What the command line shows: the states as they go, then the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from easel.ledger.budget import MonthBudget, usd
from easel.runs.history import STEPS
from cli import runs, unfinished
from cli.runs import Run, dollars
from cli.target import Target

WIDE = 100


def watch(target: Target, started: Sequence[Run], console: Console) -> None:
    """Show the runs' states until all have ended."""
    with Live(_states(started), console=console, refresh_per_second=8) as live:
        for now in runs.follow(target, started):
            live.update(_states(now))
    if not console.is_terminal:  # there Live leaves its last line open
        console.print()


def show_report(target: Target, run: Run, console: Console, *, folder: Path | None = None) -> None:
    """A finished run's pictures with key, size, prompt and cost; a failed run's error and what to do."""
    if run.output is None:
        unfinished.show(target, run, console)
        return
    if "pictures" not in run.output:
        _show_upkeep(run.output, console)
        return
    if run.output["dry_run"]:
        console.print(f"dry run: nothing was bought; it would cost up to {dollars(run.output['estimate_usd'])}")
        return
    table = Table(title=f"{escape(run.label)} · {escape(run.output['title'] or '')}", title_justify="left", show_lines=False)
    # A key in one piece can be copied; a narrow screen has no room for that.
    whole = ("size", "cost") if console.width < WIDE else ("picture", "size", "cost")
    for column in ("picture", "size", "cost", "prompt"):
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for picture in run.output["pictures"]:
        if picture["status"] != "stored":
            table.add_row(f"{picture['n']}: {picture['status']}", "", "", escape(picture["refusal"] or ""))
            continue
        known = runs.sidecar(target, picture["key"])
        if known is None:
            table.add_row(
                escape(picture["key"]), "", dollars(picture["cost_usd"]), "deleted since; restore_image brings it back for a time"
            )
            continue
        prompt = known["prompt"] if len(known["prompt"]) <= 140 else known["prompt"][:139] + "…"
        size = f"{known['width']}x{known['height']}\n{picture['bytes'] / 1024:,.0f} KiB"
        table.add_row(escape(picture["key"]), size, dollars(picture["cost_usd"]), escape(prompt))
    console.print(table)
    console.print(f"  {_price(run.output)}", highlight=False, soft_wrap=True)
    # Whole and unbroken, to be copied: the table folds them on a narrow screen.
    places: list[Path | str] = [
        f"s3://{target.bucket}/{picture['key']}" for picture in run.output["pictures"] if picture["status"] == "stored"
    ]
    for place in runs.fetch(target, run.output, folder) if folder else places:
        console.print(f"  {escape(str(place))}", soft_wrap=True, highlight=False)


def _price(report: dict[str, Any]) -> str:
    unknown = report["possibly_paid"]
    besides = f", and {unknown} calls possibly paid besides: OpenAI's usage page tells" if unknown else ""
    return f"{dollars(report['cost_usd'])} in all, the prompt included{besides}"


def _show_upkeep(output: dict[str, Any], console: Console) -> None:
    """A delete or a restore in one line, and the answer as it is."""
    console.print(f"{escape(output['target'])}: {_upkeep(output)}", highlight=False, soft_wrap=True)
    console.print_json(data=output)


def _upkeep(output: dict[str, Any]) -> str:
    restores, purges = "restored" in output, output.get("purge", False)
    if output["objects"] == 0:
        return (
            "nothing to bring back: not deleted, or the name is in use" if restores else "nothing found: is the name right, to the letter?"
        )
    count = f"{output['objects']:,} {'versions' if purges else 'objects'} ({output['bytes'] / 1024:,.0f} KiB)"
    for_good = " for good" if purges else ""
    if output["dry_run"]:
        return f"dry run: would {'bring back' if restores else 'take away'}{for_good} {count}"
    days = output.get("recoverable_days")
    back = f"; {output['action'].replace('delete', 'restore')} brings them back for {days} days" if days else ""
    return f"{'brought back' if restores else 'taken away'}{for_good}: {count}{back}"


def show_budget(month: MonthBudget, console: Console) -> None:
    """A month's money in one line."""
    console.print(
        f"{month.month}: {usd(month.spent)} spent, {usd(month.committed - month.spent)} reserved, cap {usd(month.cap)}",
        highlight=False,
        soft_wrap=True,
    )
    if month.cap == 0:
        console.print("a cap of 0 stops all spending; set another with make budget USD=…")


def _states(started: Sequence[Run]) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("run", no_wrap=True, max_width=16)  # a longer name stands whole above
    for step in STEPS:
        table.add_column(step)
    table.add_column("status")
    for run in started:
        cells = [_cell(run, step) for step in STEPS]
        colour = {"RUNNING": "yellow", "SUCCEEDED": "green"}.get(run.status, "red")
        status = f"{run.status} {run.seconds:.1f} s" if run.seconds else run.status
        table.add_row(escape(run.label), *cells, f"[{colour}]{status}[/{colour}]")
    return table


def _cell(run: Run, step: str) -> str:
    entered, left = run.progress.steps[step].entered, run.progress.steps[step].left
    if not entered:
        return "[dim]·[/dim]"
    open_ = "[yellow]…[/yellow]" if run.status == "RUNNING" else "[red]✗[/red]"
    # After a redrive a state has been entered more often than left.
    mark = "[green]✓[/green]" if left == entered or run.status == "SUCCEEDED" else open_
    return f"{mark} {left}/{entered}" if entered > 1 else mark
