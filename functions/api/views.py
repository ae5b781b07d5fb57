"""Runs and batches as the API shows them, built from executions, their histories, and records."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from easel.contract import naming
from easel.contract.batch_messages import BatchReport, CheckedManifest
from easel.contract.errors import (
    NEVER_RESUMED,
    BadImageError,
    OutcomeUnknownError,
)
from easel.contract.money import add, dollars
from easel.contract.states import ExecutionStatus, Step
from easel.contract.status import Status
from easel.ledger.gallery import GalleryImage
from easel.ledger.records import ImageRecord, PromptRecord, RunRecords
from easel.ledger.shares import share_of
from easel.request.request import FIELDS
from easel.runs.executions import Execution, ExecutionSummary
from easel.runs.history import Progress, StepProgress
from functions.api import batch_schemas, schemas
from functions.api.batch_lines import cost_so_far
from functions.api.facts import Facts, failure_of
from functions.api.links import Links, UploadLink
from functions.api.problems import advice_for
from functions.api.services import ApiServices

PROMPT_SHOWN = 1_000
# The API sets these itself when it starts a run.
SET_BY_API = ("action", "request_id", "safety_identifier", "person", "trigger", "dry_run")
REUSABLE = frozenset(FIELDS) - frozenset(SET_BY_API)


def list_run(
    run: ExecutionSummary | Execution, facts: Facts, records: RunRecords, services: ApiServices
) -> schemas.ListedRun:
    """Return a run's entry in the list."""
    prompt = records.prompt
    return schemas.ListedRun(
        id=run.name,
        run_id=facts.run_id,
        action=facts.action,
        person=naming.caller_of(run.name),
        dry_run=facts.dry_run,
        title=prompt.title if prompt else facts.words,
        status=_status(run),
        started=run.started,
        ended=run.ended,
        count=prompt.choices["count"] if prompt else None,
        refused=sum(image.status == Status.REFUSED for image in records.images),
        thumbnail=thumbnail_of(records, services),
        cost_usd=cost_of(records, is_running=run.status == ExecutionStatus.RUNNING),
        error=facts.error,
        can_redrive=facts.can_redrive,
        url=services.run_url(run.name),
        console_url=services.console_url(run.arn),
    )


def show_run(run: Execution, services: ApiServices) -> schemas.Run:
    """Return a run with its steps, images, cost and error."""
    progress = services.executions.progress(run)
    facts = Facts.of(run)
    records = services.ledger.run(run.run_id) if facts.has_records else RunRecords()
    prompt, output = records.prompt, run.output or {}
    is_written = run.only_writes_prompt and prompt is not None and not records.images
    count = prompt.choices["count"] if prompt else progress.variations
    painted = 0 if run.only_writes_prompt else count
    steps = tuple(Step) if run.makes_images else (Step.CLEANUP,)
    estimate = dollars(prompt.estimate_micro_usd) if prompt else output.get("estimate_usd")
    return schemas.Run(
        **vars(list_run(run, facts, records, services)) | {"count": count},
        topic=prompt.topic if prompt else None,
        prompt=cut_prompt(prompt)[0] if prompt else None,
        request=None if run.status == ExecutionStatus.RUNNING else _request(run),
        steps=[_show_step(step, run, progress, records, count=painted) for step in steps],
        pictures=[_show_image(image, prompt, services) for image in records.images],
        written_prompt=prompt.text if prompt and is_written else None,
        paint_usd=_price_to_paint(prompt) if prompt and is_written else None,
        estimate_usd=estimate,
        possibly_paid=records.possibly_paid,
        objects=output.get("objects"),
        can_stop=run.status == ExecutionStatus.RUNNING and not run.is_line,
    )


def _price_to_paint(prompt: PromptRecord) -> float | None:
    bound = prompt.image_bound()
    return None if bound is None else dollars(bound * prompt.choices["count"])


def without_content(run: schemas.Run) -> schemas.Run:
    """Return a run for a token that may only write: without its prompt, its images and links."""
    return replace(
        run,
        title=None,
        topic=None,
        prompt=None,
        written_prompt=None,
        request=None,
        thumbnail=None,
        pictures=[],
    )


def show_batch(name: str, run: Execution, services: ApiServices) -> batch_schemas.Batch:
    """Return a batch with its lines so far, its check, its report and its error."""
    executions = services.batch_executions
    checked = executions.checked_manifest(run)
    counts = executions.line_counts(run) if checked else None
    request = run.input if isinstance(run.input, dict) else {}
    dry_run = request.get("dry_run") is True
    is_running = run.status == ExecutionStatus.RUNNING
    report = run.output if run.output and "report_key" in run.output else None
    cost = cost_so_far(name, run, services) if checked and not report and not dry_run else None
    seconds = ((run.ended or services.now()) - run.started).total_seconds()
    return batch_schemas.Batch(
        name=name,
        status=_status(run),
        execution=run.name,
        dry_run=dry_run,
        economy=request.get("economy") is True,
        manifest=_text((checked or request).get("manifest")),
        version_id=_text((checked or request).get("version_id")),
        started=run.started,
        ended=run.ended,
        seconds=round(max(0.0, seconds), 1),
        url=services.batch_url(name),
        console_url=services.console_url(run.arn),
        lines=counts,
        cost_usd=report["cost_usd"] if report else cost,
        can_stop=is_running,
        can_resume=not is_running and not dry_run and _is_unfinished(run, checked or {}),
        checked=CheckedManifest.from_state(checked) if checked else None,
        report=BatchReport.from_state(report) if report else None,
        error=failure_of(run),
    )


def _is_unfinished(run: Execution, checked: dict[str, Any]) -> bool:
    """Return whether another start of an ended batch may make more of its lines."""
    if run.status != ExecutionStatus.SUCCEEDED:
        return run.error not in NEVER_RESUMED
    report = run.output or {}
    # Lines that cannot be made count as failed, and fail again.
    unfinished = int(report.get("failed", 0)) + int(report.get("not_started", 0))
    return unfinished > int(checked.get("bad", 0))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def upload_to(link: UploadLink) -> schemas.UploadTo:
    """Return where a file is uploaded."""
    return schemas.UploadTo(
        method="PUT", url=link.url, headers=link.headers, expires_at=link.expires_at
    )


def show_share(image: ImageRecord | GalleryImage, services: ApiServices) -> schemas.Share | None:
    """Return an image's public address, or None if it is private."""
    share, base = share_of(image), services.delivery.url
    if share is None or base is None:
        return None
    return schemas.Share(url=share.url(base), since=datetime.fromisoformat(str(share.since)))


def cut_prompt(prompt: PromptRecord | None) -> tuple[str, bool]:
    """Return the beginning of a prompt, and whether the prompt was cut."""
    text = prompt.text if prompt else ""
    return text[:PROMPT_SHOWN], len(text) > PROMPT_SHOWN


def thumbnail_of(records: RunRecords, services: ApiServices) -> str | None:
    """Return a link to the thumbnail of the first stored image, or None."""
    stored = (image.key for image in records.images if image.status == Status.STORED and image.key)
    key = next(stored, None)
    return services.image_links.of(key).thumbnail if key else None


def _status(run: ExecutionSummary | Execution) -> schemas.ExecutionStatus:
    # The API uses the statuses of Step Functions, in lower case.
    return run.status.lower()  # type: ignore[return-value]


def _request(run: Execution) -> dict[str, Any] | None:
    """Return the request as it was sent, without what the API added to it."""
    if not run.makes_images or not isinstance(run.input, dict):
        return None
    return {name: value for name, value in run.input.items() if name in REUSABLE}


def _show_step(
    name: Step, run: Execution, progress: Progress, records: RunRecords, *, count: int | None
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
        failure = _failure(error, message)
    status, done = _step_status(step, run, is_done=is_done), min(step.left, total)
    if varies and progress.variations_done and records.prompt:
        # A Map ends well even if some images cannot be made, so the records decide.
        status, done, total, failure = _images_outcome(name, records, total)
    elif name == Step.CLEANUP and run.is_image_failure and progress.variations_done:
        # The last step reports the images that cannot be made. It has done its work.
        status, done, failure = "succeeded", total, None
    return schemas.RunStep(
        step=name,
        status=status,
        started=step.started,
        ended=ended if is_done or run.status != ExecutionStatus.RUNNING else None,
        attempts=step.attempts,
        done=done,
        of=total,
        error=failure,
    )


def _images_outcome(
    name: Step, records: RunRecords, total: int
) -> tuple[schemas.StepStatus, int, int, schemas.Failure | None]:
    """Return the status of a step on images, how many it completed of how many, and its error."""
    if total == 0:
        return "skipped", 0, 0, None
    images = records.images
    stored = sum(image.status.was_stored for image in images)
    made = stored + sum(image.status == Status.STAGED for image in images)
    if name == Step.UPLOAD:
        if made == 0:
            return "skipped", 0, 0, None
        return ("succeeded" if stored == made else "failed"), stored, made, None
    unusable = next((image for image in images if image.status == Status.BAD), None)
    if unusable:
        problem = unusable.problem or ""
        return "failed", made, total, _failure(BadImageError.__name__, problem)
    refused = sum(image.status == Status.REFUSED for image in images)
    if made + refused < total:
        problem = f"{total - made - refused} of {total} images never arrived"
        return "failed", made, total, _failure(OutcomeUnknownError.__name__, problem)
    return ("refused" if refused else "succeeded"), made, total, None


def _failure(error: str, message: str) -> schemas.Failure:
    return schemas.Failure(error=error, title=advice_for(error).title, message=message)


def _step_status(step: StepProgress, run: Execution, *, is_done: bool) -> schemas.StepStatus:
    if is_done:
        return "succeeded" if step.entered else "skipped"
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
        links=_links(image, services) if is_stored else None,
        share=show_share(image, services),
        sizes=show_sizes(image, services),
    )


def _links(image: ImageRecord, services: ApiServices) -> Links | None:
    if image.key is None:
        return None
    size = (image.width, image.height)
    return services.image_links.of(image.key, size, image.previews or ())


def show_sizes(image: ImageRecord | GalleryImage, services: ApiServices) -> list[schemas.ExactSize]:
    """Return the files of exact sizes of an image, with links, if it is stored."""
    share, base = share_of(image), services.delivery.url
    shown = []
    for size in image.sizes or () if image.status == Status.STORED else ():
        picture, download = services.image_links.file(size.key)
        shown.append(
            schemas.ExactSize(
                **asdict(size),
                picture=picture,
                download=download,
                public_url=share.url(base, size) if share and base else None,
            )
        )
    return shown


def cost_of(records: RunRecords, *, is_running: bool) -> float | None:
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
