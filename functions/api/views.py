"""Runs and batches as the API shows them, built from executions, their histories, and records."""

from collections.abc import Sequence
from dataclasses import replace

from easel.contract import naming
from easel.contract.batch_messages import BatchReport, CheckedManifest
from easel.contract.errors import ConflictError, cause_message
from easel.contract.money import add, dollars
from easel.contract.states import ExecutionStatus, Step
from easel.contract.status import Status
from easel.ledger.records import ImageRecord, PromptRecord, RunRecords
from easel.runs.executions import Execution, ExecutionSummary
from easel.runs.history import Progress, StepProgress
from functions.api import schemas
from functions.api.problems import advice_for
from functions.api.services import ApiServices

PROMPT_SHOWN = 1_000


def list_run(
    run: ExecutionSummary | Execution, prompt: PromptRecord | None, services: ApiServices
) -> schemas.ListedRun:
    """Return a run's entry in the list."""
    return schemas.ListedRun(
        id=run.name,
        title=prompt.title if prompt else None,
        status=_status(run),
        started=run.started,
        ended=run.ended,
        url=services.run_url(run.name),
        console_url=services.console_url(run.arn),
    )


def show_run(run: Execution, services: ApiServices) -> schemas.Run:
    """Return a run with its steps, images, cost and error."""
    progress = services.executions.progress(run)
    # If the run failed with a conflict, the records under its id belong to another request.
    has_records = run.makes_images and run.error != ConflictError.__name__
    records = services.ledger.run(run.run_id) if has_records else RunRecords()
    prompt, output = records.prompt, run.output or {}
    count = prompt.choices["count"] if prompt else progress.variations
    steps = tuple(Step) if run.makes_images else (Step.CLEANUP,)
    estimate = dollars(prompt.estimate_micro_usd) if prompt else output.get("estimate_usd")
    return schemas.Run(
        **vars(list_run(run, prompt, services)),
        run_id=run.run_id,
        action=run.action,
        dry_run=isinstance(run.input, dict) and run.input.get("dry_run") is True,
        topic=prompt.topic if prompt else None,
        prompt=cut_prompt(prompt)[0] if prompt else None,
        count=count,
        steps=[_show_step(step, run, progress, count=count) for step in steps],
        error=failure_of(run),
        pictures=[_show_image(image, prompt, services) for image in records.images],
        cost_usd=_cost(records, is_running=run.status == ExecutionStatus.RUNNING),
        estimate_usd=estimate,
        possibly_paid=records.possibly_paid,
        objects=output.get("objects"),
        can_redrive=run.can_be_resumed,
        can_stop=run.status == ExecutionStatus.RUNNING and not run.is_line,
    )


def without_content(run: schemas.Run) -> schemas.Run:
    """Return a run for a token that may only write: without its prompt, its images and links."""
    return replace(run, title=None, topic=None, prompt=None, pictures=[])


def show_batch(name: str, run: Execution, services: ApiServices) -> schemas.Batch:
    """Return a batch with its lines so far, its check, its report and its error."""
    executions = services.batch_executions
    manifest = run.input.get("manifest") if isinstance(run.input, dict) else None
    checked = executions.checked_manifest(run)
    counts = executions.line_counts(run) if checked else None
    report = run.output if run.output and "report_key" in run.output else None
    seconds = ((run.ended or services.now()) - run.started).total_seconds()
    return schemas.Batch(
        name=name,
        status=_status(run),
        execution=run.name,
        manifest=manifest if isinstance(manifest, str) else None,
        started=run.started,
        ended=run.ended,
        seconds=round(max(0.0, seconds), 1),
        url=services.batch_url(name),
        console_url=services.console_url(run.arn),
        lines=counts,
        checked=CheckedManifest.from_state(checked) if checked else None,
        report=BatchReport.from_state(report) if report else None,
        error=failure_of(run),
    )


def cut_prompt(prompt: PromptRecord | None) -> tuple[str, bool]:
    """Return the beginning of a prompt, and whether the prompt was cut."""
    text = prompt.text if prompt else ""
    return text[:PROMPT_SHOWN], len(text) > PROMPT_SHOWN


def failure_of(run: Execution) -> schemas.RunFailure | None:
    """Return why an execution failed, or None if it has not failed."""
    if run.is_open:
        return None
    name = run.error or run.status.lower()
    message = cause_message(run.cause)
    advice = advice_for(name)
    return schemas.RunFailure(
        error=name, title=advice.title, message=message, what_to_do=advice.what_to_do
    )


def _status(run: ExecutionSummary | Execution) -> schemas.ExecutionStatus:
    # The API uses the statuses of Step Functions, in lower case.
    return run.status.lower()  # type: ignore[return-value]


def _show_step(
    name: Step, run: Execution, progress: Progress, *, count: int | None
) -> schemas.RunStep:
    step = progress.steps[name]
    varies = name in (Step.IMAGE, Step.UPLOAD)
    total = (1 if count is None else count) if varies else 1
    is_done = run.status == ExecutionStatus.SUCCEEDED or (
        progress.variations_done if varies else step.left > 0
    )
    ended = step.ended or (run.ended if step.entered else None)
    failure = None
    if step.failure and not is_done:
        error, message = step.failure
        title = advice_for(error).title
        failure = schemas.Failure(error=error, title=title, message=message)
    return schemas.RunStep(
        step=name,
        status=_step_status(step, run, is_done=is_done),
        started=step.started,
        ended=ended if is_done or run.status != ExecutionStatus.RUNNING else None,
        attempts=step.attempts,
        done=min(step.left, total),
        of=total,
        error=failure,
    )


def _step_status(step: StepProgress, run: Execution, *, is_done: bool) -> schemas.StepStatus:
    if is_done:
        return "succeeded"
    if step.entered == 0:
        return "waiting"
    if run.status == ExecutionStatus.RUNNING:
        return "retrying" if step.failure else "running"
    if run.status == ExecutionStatus.ABORTED:
        return "stopped"
    return "failed" if step.failure or step.entered > step.left else "waiting"


def _show_image(
    image: ImageRecord, prompt: PromptRecord | None, services: ApiServices
) -> schemas.RunPicture:
    is_stored = image.status == Status.STORED
    is_refused = image.status == Status.REFUSED
    return schemas.RunPicture(
        n=image.n,
        id=naming.image_id(image.run_id, image.n),
        status=image.status,
        key=image.key,
        alt_text=prompt.alt_text if prompt else "",
        width=image.width,
        height=image.height,
        cost_usd=0.0 if is_refused else dollars(image.cost_micro_usd),
        possibly_paid=image.possibly_paid,
        refusal=image.refusal,
        problem=image.problem,
        links=services.image_links.of(image.key) if image.key and is_stored else None,
    )


def _cost(records: RunRecords, *, is_running: bool) -> float | None:
    """Return the run's cost so far.

    An image that is still being bought does not count while the run is running.
    """
    if records.prompt is None:
        return None if records.chat and records.chat.possibly_paid else 0.0
    costs: Sequence[int | None] = records.image_costs
    if is_running:
        skipped = (Status.REFUSED, Status.CLAIMED)
        costs = [image.cost_micro_usd for image in records.images if image.status not in skipped]
    return dollars(add([records.prompt.chat_cost_micro_usd, *costs]))
