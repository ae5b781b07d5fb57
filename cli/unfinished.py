"""What the command line shows of a run without a report.

Why it has none, which of its images are paid and stored, and what to do next.
"""

import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.runs import Run
from cli.target import Target
from cli.words import dollars, say
from easel.contract import money
from easel.contract.errors import ConflictError
from easel.contract.status import ChatStatus, Status
from easel.ledger.records import ImageRecord, PromptRecord, RunRecords

# What a record's status means to the one who paid.
WORDS = {
    Status.STAGED: "bought, not stored yet",
    Status.LOST: "paid, and S3 did not take it",
    Status.BAD: "paid, no picture",
}


def show(target: Target, run: Run, console: Console) -> None:
    """Show the run's error, then what its records say."""
    if run.status == "RUNNING":
        say(console, f"{escape(run.label)} is running; so far:")
    else:
        console.print(f"[red]{escape(run.label)} {run.status}[/red] {escape(run.message)}")
    # After a conflict, the records under its id are another request's.
    if run.execution.makes_images and run.error != ConflictError.__name__:
        _show_records(target, run, console)


def show_without_execution(target: Target, run_id: str, console: Console) -> None:
    """Show what the records say of a run that Step Functions does not know."""
    records = target.ledger.run(run_id)
    if records.prompt:
        say(console, f"{escape(run_id)} · {escape(records.prompt.title)}")
        _show_images(records.prompt, records, console)


def _show_records(target: Target, run: Run, console: Console) -> None:
    records = target.ledger.run(run.run_id)
    chat = records.chat
    if chat and chat.possibly_paid:
        written = "written" if chat.status == ChatStatus.WRITTEN else "not written"
        say(console, f"its prompt: {chat.possibly_paid} calls possibly paid, {written}")
    if records.prompt is None:
        say(console, "no picture was bought")
    else:
        _show_images(records.prompt, records, console)
    if run.status != "RUNNING":
        say(console, _what_next(run, records, on_aws=not target.endpoint))


def _show_images(prompt: PromptRecord, records: RunRecords, console: Console) -> None:
    table = Table(title="its pictures", title_justify="left")
    for column in ("picture", "status", "cost", "possibly paid", "where"):
        table.add_column(column, overflow="fold")
    known = {image.n: image for image in records.images}
    for n in range(1, prompt.choices["count"] + 1):
        image = known.get(n)
        if image is None:
            table.add_row(str(n), "not bought", "", "", "")
            continue
        cost = dollars(money.dollars(image.cost_micro_usd))
        where = escape(image.key or image.staged_key or "")
        table.add_row(str(n), _status(image), cost, str(image.possibly_paid), where)
    console.print(table)


def _status(image: ImageRecord) -> str:
    if image.status != Status.CLAIMED:
        return WORDS.get(image.status, image.status)
    if image.lease_until == 0:
        return f"called {image.purchase} times, no answer"
    return "being bought" if image.lease_until > time.time() else "cut off"


def _what_next(run: Run, records: RunRecords, *, on_aws: bool) -> str:
    prompt, images = records.prompt, records.images
    name = run.name if prompt is None else run.run_id
    command = f"`make redrive RUN={name}{' TARGET=aws' if on_aws else ''}`"
    if run.execution.ended_one_image:
        lost = [str(image.n) for image in images if not image.status.is_finished]
        what = f"picture {', '.join(lost)} of it" if lost and prompt else "its prompt"
        return (
            f"{what} can't be made; to buy it again, start another request with another "
            "request_id and the count that is missing"
        )
    is_complete = prompt and len(images) == prompt.choices["count"]
    if is_complete and all(image.status.is_finished for image in images):
        return f"all its pictures are there; {command} makes the report that is missing"
    return f"once the reason is fixed, {command} continues it, paying only for what is missing"
