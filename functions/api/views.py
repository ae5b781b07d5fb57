"""A run as the API tells it: from its execution, the execution's history, and its records."""

from collections.abc import Sequence

from functions import keys
from functions.adapters import records
from functions.adapters.claims import CLAIMED
from functions.adapters.executions import RUNNING, STOPPED, SUCCEEDED, Execution, Listed
from functions.adapters.history import STEPS, Progress, Step, message
from functions.adapters.records import ChatRecord, ImageRecord, PromptRecord
from functions.api import answers, pictures
from functions.api.outside import Outside, usd
from functions.api.problems import what_to_do
from functions.errors import ConflictError, InputError

NEVER = (InputError.__name__, ConflictError.__name__)  # they would only end the same way again


def listed(run: Listed | Execution, prompt: PromptRecord | None, outside: Outside) -> answers.ListedRun:
    """A run in a list."""
    return answers.ListedRun(
        id=run.name,
        title=prompt.title if prompt else None,
        status=run.status.lower(),  # type: ignore[arg-type] # Step Functions' words are those of the answer
        started=run.started,
        ended=run.ended,
        url=outside.run_url(run.name),
        console_url=outside.console_graph(run.arn),
    )


def shown(run: Execution, outside: Outside) -> answers.Run:
    """A run with its steps, pictures, cost, and what went wrong."""
    progress = outside.executions.progress(run)
    # After a conflict, the records under its id are those of another request.
    known = run.makes_pictures and run.error != ConflictError.__name__
    prompt, chat, images = outside.book.run(run.run_id) if known else (None, None, [])
    report = run.output or {}
    wanted = prompt.choices["count"] if prompt else progress.wanted
    return answers.Run(
        **listed(run, prompt, outside).model_dump(),
        run_id=run.run_id,
        action=run.action,
        dry_run=isinstance(run.input, dict) and run.input.get("dry_run") is True,
        topic=prompt.topic if prompt else None,
        prompt=pictures.cut(prompt)[0] if prompt else None,
        count=wanted,
        steps=[_step(name, run, progress, of=wanted) for name in (STEPS if run.makes_pictures else ("cleanup",))],
        error=failure(run),
        pictures=[_picture(image, prompt, outside) for image in images],
        cost_usd=_cost(prompt, chat, images, running=run.status == RUNNING),
        estimate_usd=report.get("estimate_usd") if prompt is None else usd(prompt.estimate_micro_usd),
        possibly_paid=sum(image.possibly_paid for image in images) + (chat.possibly_paid if chat else 0),
        objects=report.get("objects"),
        can_redrive=_can_redrive(run),
        can_stop=run.status == RUNNING,
    )


def _can_redrive(run: Execution) -> bool:
    if run.status in (RUNNING, SUCCEEDED) or run.error in NEVER or not isinstance(run.input, dict):
        return False
    return run.makes_pictures or (run.redrivable and run.input.get("purge") is not True)


def failure(run: Execution) -> answers.RunFailure | None:
    """Why an execution has failed, None where it has not."""
    if run.status in (RUNNING, SUCCEEDED):
        return None
    name = run.error or run.status.lower()
    return answers.RunFailure(error=name, message=message(run.cause), what_to_do=what_to_do(name))


def _step(name: str, run: Execution, progress: Progress, *, of: int | None) -> answers.Step:
    step = progress.steps[name]
    varies = name in ("image", "upload")
    wanted = (1 if of is None else of) if varies else 1
    through = run.status == SUCCEEDED or (progress.varied if varies else step.left > 0)
    return answers.Step(
        step=name,  # type: ignore[arg-type] # STEPS are those of the answer
        status=_status(step, run, through=through),  # type: ignore[arg-type] # its words are
        started=step.started,
        ended=(step.ended or (run.ended if step.entered else None)) if through or run.status != RUNNING else None,
        attempts=step.attempts,
        done=min(step.left, wanted),
        of=wanted,
        error=None if through or step.failure is None else answers.Failure(error=step.failure[0], message=step.failure[1]),
    )


def _status(step: Step, run: Execution, *, through: bool) -> str:
    if through:
        return "succeeded"
    if step.entered == 0:
        return "waiting"
    if run.status == RUNNING:
        return "retrying" if step.failure else "running"
    if run.status == STOPPED:
        return "stopped"
    return "failed" if step.failure or step.entered > step.left else "waiting"


def _picture(image: ImageRecord, prompt: PromptRecord | None, outside: Outside) -> answers.RunPicture:
    return answers.RunPicture(
        n=image.n,
        id=keys.picture_id(image.run_id, image.n),
        status=image.status,  # type: ignore[arg-type] # the records' words are those of the answer
        key=image.key,
        alt_text=prompt.alt_text if prompt else "",
        width=image.width,
        height=image.height,
        cost_usd=0.0 if image.status == records.REFUSED else usd(image.cost_micro_usd),
        possibly_paid=image.possibly_paid,
        refusal=image.refusal,
        problem=image.problem,
        links=pictures.links(image.key, outside) if image.key and image.status == records.STORED else None,
    )


def _cost(prompt: PromptRecord | None, chat: ChatRecord | None, images: Sequence[ImageRecord], *, running: bool) -> float | None:
    """What the run has cost so far; while it runs, a picture that is being bought has no cost yet."""
    if prompt is None:
        return None if chat and chat.possibly_paid else 0.0
    bought = [image for image in images if image.status != records.REFUSED and not (running and image.status == CLAIMED)]
    costs = [prompt.chat_cost_micro_usd, *(image.cost_micro_usd for image in bought)]
    return None if None in costs else usd(sum(cost for cost in costs if cost is not None))
