"""Lists of batches and of a batch's lines. It needs no index.

A line is found by its run id, which contains the batch's name and the line's number.
"""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract import naming
from easel.contract.batch_messages import CheckedManifest
from easel.contract.errors import EaselError
from easel.contract.states import ExecutionStatus
from easel.contract.status import Status
from easel.ledger.records import RunRecords
from easel.request.names import batch_name
from easel.runs.executions import Execution, ExecutionSummary
from functions.api import batch_schemas, batches, schemas
from functions.api.caller import check_parameters
from functions.api.facts import failure_of
from functions.api.runs import MAX_TOKEN
from functions.api.services import ApiServices, services_of
from functions.api.views import cost_of, thumbnail_of

router = APIGatewayHttpRouter()
MAX_LINES = 50


@router.get("/batches")
def list_batches(
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    cursor: Annotated[str | None, Query(min_length=1, max_length=MAX_TOKEN)] = None,
    status: Annotated[schemas.ExecutionStatus | None, Query()] = None,
) -> batch_schemas.ListedBatches:
    """Return the starts of batches of the last 90 days, newest first."""
    services = services_of(router)
    check_parameters(router.current_event, "limit", "cursor", "status")
    only = ExecutionStatus(status.upper()) if status else None
    page, following = services.batch_executions.page(limit=limit, after=cursor, status=only)
    listed = [services.listed_batches.read(run, lambda r: _entry(r, services)) for run in page]
    entries = [entry for entry in listed if entry]
    return batch_schemas.ListedBatches(batches=entries, cursor=following)


@router.get("/batches/<name>/lines")
def list_lines(
    name: Annotated[str, Path(description="a batch's name")],
    cursor: Annotated[int, Query(ge=0, description="the number of the line before the page")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = 20,
) -> batch_schemas.BatchLines:
    """Return the lines of a batch by their number, with what was made of them so far.

    A line with a request_id of its own is not found by its number.
    """
    services = services_of(router)
    check_parameters(router.current_event, "limit", "cursor")
    run = batches.find(name, services)
    checked = services.batch_executions.checked_manifest(run)
    plan = CheckedManifest.from_state(checked) if checked else None
    total = plan.lines + plan.bad if plan else 0
    numbers = range(cursor + 1, min(cursor + limit, total) + 1)
    run_ids = {number: naming.batch_line(name, number) for number in numbers}
    prompts = services.gallery.prompts(run_ids.values())
    counts = {run_id: prompt.choices["count"] for run_id, prompt in prompts.items()}
    records = services.ledger.runs(counts)
    lines = [
        _line(number, run_id, records.get(run_id, RunRecords()), services)
        for number, run_id in run_ids.items()
    ]
    last = cursor + len(lines)
    return batch_schemas.BatchLines(lines=lines, total=total, cursor=last if last < total else None)


def _entry(run: ExecutionSummary, services: ApiServices) -> batch_schemas.ListedBatch | None:
    """Return a batch's entry, or None if AWS lists the start before it describes it."""
    execution = services.batch_executions.get(run.arn)
    if execution is None:
        return None
    request = execution.input if isinstance(execution.input, dict) else {}
    report, name = execution.output or {}, _name(execution)
    return batch_schemas.ListedBatch(
        name=name,
        execution=run.name,
        dry_run=request.get("dry_run") is True,
        status=execution.status.lower(),  # type: ignore[arg-type]
        started=execution.started,
        ended=execution.ended,
        lines=services.batch_executions.line_counts(execution),
        cost_usd=report.get("cost_usd"),
        error=failure_of(execution),
        url=services.batch_url(name) if name else None,
        console_url=services.console_url(run.arn),
    )


def _name(execution: Execution) -> str | None:
    try:
        return batch_name(execution.input.get("manifest"))
    except (EaselError, AttributeError):
        return None


def _line(
    number: int, run_id: str, records: RunRecords, services: ApiServices
) -> batch_schemas.BatchLine:
    prompt, statuses = records.prompt, [image.status for image in records.images]
    return batch_schemas.BatchLine(
        line=number,
        run_id=run_id,
        is_started=prompt is not None,
        title=prompt.title if prompt else None,
        count=prompt.choices["count"] if prompt else None,
        stored=sum(status.was_stored for status in statuses),
        refused=sum(status == Status.REFUSED for status in statuses),
        cost_usd=cost_of(records, is_running=True) if prompt else None,
        thumbnail=thumbnail_of(records, services),
        url=services.run_url(run_id),
    )
