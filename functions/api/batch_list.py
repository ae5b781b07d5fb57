"""Lists of batches and of a batch's lines. It needs no index: the check leaves a file of lines."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.batch_messages import CheckedManifest
from easel.contract.status import Status
from easel.ledger.batches import LINES
from easel.ledger.records import RunRecords
from easel.runs.executions import ExecutionSummary
from easel.runs.search import search
from functions.api import batch_schemas, batches
from functions.api.batch_lines import MAX_OFFSET, read_file, work_key
from functions.api.caller import check_parameters
from functions.api.facts import failure_of, words_of
from functions.api.run_filters import (
    LIST_FILTERS,
    CursorQuery,
    FromQuery,
    StatusQuery,
    ToQuery,
    read_criteria,
)
from functions.api.services import ApiServices, services_of
from functions.api.views import cost_of, thumbnail_of

router = APIGatewayHttpRouter()
MAX_LINES = 50


@router.get("/batches")
def list_batches(
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    cursor: CursorQuery = None,
    status: StatusQuery = None,
    since: FromQuery = None,
    until: ToQuery = None,
) -> batch_schemas.ListedBatches:
    """Return the starts of batches of the last 90 days, newest first."""
    services = services_of(router)
    check_parameters(router.current_event, *LIST_FILTERS)
    criteria = read_criteria(status=status, since=since, until=until)
    page, following = search(services.batch_executions, criteria, limit=limit, after=cursor)
    listed = [services.listed_batches.read(run, lambda r: _entry(r, services)) for run in page]
    entries = [entry for entry in listed if entry]
    return batch_schemas.ListedBatches(batches=entries, cursor=following)


@router.get("/batches/<name>/lines")
def list_lines(
    name: batches.BatchName,
    cursor: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = 20,
    execution: batches.StartQuery = None,
) -> batch_schemas.BatchLines:
    """Return the lines of a batch that can be made, with what was made of them so far.

    They are listed for 30 days after the start.
    """
    services = services_of(router)
    check_parameters(router.current_event, "limit", "cursor", "execution")
    run = batches.find(name, services, execution=execution)
    checked = services.batch_executions.checked_manifest(run)
    key = work_key(name, run, LINES)
    page = read_file(key, services, start=cursor, most=limit) if checked else None
    items, following = page or ([], None)
    lines = [
        _line(item, records, services) for item, records in services.ledger.join_records(items)
    ]
    total = CheckedManifest.from_state(checked).lines if checked and page else 0
    return batch_schemas.BatchLines(lines=lines, total=total, cursor=following)


def _entry(run: ExecutionSummary, services: ApiServices) -> batch_schemas.ListedBatch | None:
    """Return a batch's entry, or None if AWS lists the start before it describes it."""
    execution = services.batch_executions.get(run.arn)
    if execution is None:
        return None
    request = execution.input if isinstance(execution.input, dict) else {}
    report, name = execution.output or {}, batches.started_batch(execution)
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


def _line(
    item: dict[str, Any], records: RunRecords, services: ApiServices
) -> batch_schemas.BatchLine:
    prompt, statuses = records.prompt, [image.status for image in records.images]
    run_id = item["run_id"]
    return batch_schemas.BatchLine(
        line=item["line"],
        run_id=run_id,
        is_started=prompt is not None,
        title=prompt.title if prompt else words_of(item["request"]),
        count=item["pictures"],
        stored=sum(status.was_stored for status in statuses),
        refused=sum(status == Status.REFUSED for status in statuses),
        cost_usd=cost_of(records, is_running=True) if prompt else None,
        thumbnail=thumbnail_of(records, services),
        url=services.run_url(run_id),
    )
