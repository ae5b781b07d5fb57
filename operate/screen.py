"""What the command line shows: the states as they go, then the report."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from functions.adapters.budget import MonthBudget, usd
from functions.adapters.records import WRITTEN
from operate import records, runs
from operate.runs import Run
from operate.target import Target

STEPS = ("prompt", "image", "upload", "cleanup")
WIDE = 100
# What a record's status means to the one who paid.
WORDS = {"claimed": "being bought, or cut off", "staged": "bought, not stored yet", "lost": "paid and lost", "bad": "paid, no picture"}


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
        console.print(f"[red]{escape(run.label)} {run.status}[/red] {escape(runs.message(run))}")
        show_records(target, run, console)
        return
    if "pictures" not in run.output:
        console.print_json(data=run.output)
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
        prompt = known["prompt"] if len(known["prompt"]) <= 140 else known["prompt"][:139] + "…"
        size = f"{known['width']}x{known['height']}\n{picture['bytes'] / 1024:,.0f} KiB"
        table.add_row(escape(picture["key"]), size, dollars(picture["cost_usd"]), escape(prompt))
    console.print(table)
    # Whole and unbroken, to be copied: the table folds them on a narrow screen.
    places: list[Path | str] = [
        f"s3://{target.bucket}/{picture['key']}" for picture in run.output["pictures"] if picture["status"] == "stored"
    ]
    for place in runs.fetch(target, run.output, folder) if folder else places:
        console.print(f"  {escape(str(place))}", soft_wrap=True, highlight=False)


def show_records(target: Target, run: Run, console: Console) -> None:
    """What the table says of the pictures of a run that has no report: which are paid, which are stored, what goes on with it."""
    _, chat, pictures = records.of_run(target, run.run_id)
    if chat and chat.possibly_paid:
        console.print(f"its prompt: {chat.possibly_paid} calls possibly paid, {'written' if chat.status == WRITTEN else 'not written'}")
    if not pictures:
        console.print("no picture was bought")
        return
    table = Table(title="its pictures", title_justify="left")
    for column in ("picture", "status", "cost", "possibly paid", "where"):
        table.add_column(column, overflow="fold")
    for picture in pictures:
        cost = None if picture.cost_micro_usd is None else picture.cost_micro_usd / records.MICRO
        status = WORDS.get(picture.status, picture.status)
        table.add_row(str(picture.n), status, dollars(cost), str(picture.possibly_paid), escape(picture.key or picture.staged_key or ""))
    console.print(table)
    command = f"make redrive RUN={run.run_id}" + ("" if target.endpoint else " TARGET=aws")
    console.print(f"`{command}` goes on with it, paying only for what is missing", highlight=False, soft_wrap=True)


def show_budget(month: MonthBudget, console: Console) -> None:
    """A month's money in one line."""
    console.print(
        f"{month.month}: {usd(month.spent)} spent, {usd(month.committed - month.spent)} reserved, cap {usd(month.cap)}",
        highlight=False,
        soft_wrap=True,
    )
    if month.cap == 0:
        console.print("a cap of 0 stops all spending; set another with make budget USD=…")


def dollars(cost: float | None) -> str:
    """A cost for a person; what is not known is said to be unknown."""
    return "unknown" if cost is None else f"${cost:.4f}"


def _states(started: Sequence[Run]) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("run", no_wrap=True)
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
    entered, left = run.entered[step], run.left[step]
    if not entered:
        return "[dim]·[/dim]"
    open_ = "[yellow]…[/yellow]" if run.status == "RUNNING" else "[red]✗[/red]"
    mark = "[green]✓[/green]" if left == entered else open_
    return f"{mark} {left}/{entered}" if entered > 1 else mark
