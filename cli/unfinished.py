"""What the command line shows of a run that has no report: why, which of its pictures are paid and stored, and what to do next."""

import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from easel.ledger.records import BAD, DELETED, LOST, REFUSED, STAGED, STORED, WRITTEN, ImageRecord, PromptRecord
from easel.contract.errors import ONE_PICTURE, ConflictError
from cli import records, runs
from cli.runs import Run
from cli.target import Target

# What a record's status means to the one who paid.
WORDS = {STAGED: "bought, not stored yet", LOST: "paid, and S3 did not take it", BAD: "paid, no picture"}


def show(target: Target, run: Run, console: Console) -> None:
    """The run's error, then what its records say."""
    if run.status == "RUNNING":
        console.print(f"{escape(run.label)} is running; so far:", highlight=False)
    else:
        console.print(f"[red]{escape(run.label)} {run.status}[/red] {escape(runs.message(run))}")
    # The records under its id are another request's.
    if run.execution.makes_pictures and run.error != ConflictError.__name__:
        _show_records(target, run, console)


def show_without_execution(target: Target, run_id: str, console: Console) -> None:
    """What the records say of a run that Step Functions does not know."""
    prompt, _, pictures = records.of_run(target, run_id)
    if prompt:
        _say(console, f"{escape(run_id)} · {escape(prompt.title)}")
        _show_pictures(prompt, pictures, console)


def _show_records(target: Target, run: Run, console: Console) -> None:
    prompt, chat, pictures = records.of_run(target, run.run_id)
    if chat and chat.possibly_paid:
        _say(console, f"its prompt: {chat.possibly_paid} calls possibly paid, {'written' if chat.status == WRITTEN else 'not written'}")
    if prompt is None:
        _say(console, "no picture was bought")
    else:
        _show_pictures(prompt, pictures, console)
    if run.status != "RUNNING":
        _say(console, _next(target, run, prompt, pictures))


def _show_pictures(prompt: PromptRecord, pictures: list[ImageRecord], console: Console) -> None:
    table = Table(title="its pictures", title_justify="left")
    for column in ("picture", "status", "cost", "possibly paid", "where"):
        table.add_column(column, overflow="fold")
    known = {picture.n: picture for picture in pictures}
    for n in range(1, prompt.choices["count"] + 1):
        picture = known.get(n)
        if picture is None:
            table.add_row(str(n), "not bought", "", "", "")
            continue
        cost = None if picture.cost_micro_usd is None else picture.cost_micro_usd / records.MICRO
        where = escape(picture.key or picture.staged_key or "")
        table.add_row(str(n), _status(picture), runs.dollars(cost), str(picture.possibly_paid), where)
    console.print(table)


def _status(picture: ImageRecord) -> str:
    if picture.status != "claimed":
        return WORDS.get(picture.status, picture.status)
    if picture.lease_until == 0:
        return f"called {picture.purchase} times, no answer"
    return "being bought" if picture.lease_until > time.time() else "cut off"


def _next(target: Target, run: Run, prompt: PromptRecord | None, pictures: list[ImageRecord]) -> str:
    command = f"`make redrive RUN={run.name if prompt is None else run.run_id}{'' if target.endpoint else ' TARGET=aws'}`"
    if run.error in {error.__name__ for error in ONE_PICTURE}:
        lost = [str(picture.n) for picture in pictures if picture.status not in (STORED, DELETED, REFUSED)]
        what = f"picture {', '.join(lost)} of it" if lost and prompt else "its prompt"
        return f"{what} can't be had: a request of its own, with another request_id and the count that is missing, buys anew"
    if prompt and len(pictures) == prompt.choices["count"] and all(picture.status in (STORED, DELETED, REFUSED) for picture in pictures):
        return f"all its pictures are there; {command} makes the report that is missing"
    return f"once the reason is mended, {command} goes on with it, paying only for what is missing"


def _say(console: Console, said: str) -> None:
    console.print(said, highlight=False, soft_wrap=True)
