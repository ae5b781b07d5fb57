"""Batches: get an upload link for a manifest, start a batch, and follow its progress."""

from secrets import token_hex
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract import naming
from easel.contract.errors import (
    MISSING,
    ConflictError,
    EaselError,
    InputError,
    NotFoundError,
    StorageBusyError,
)
from easel.contract.naming import RUN_ID
from easel.contract.states import ExecutionStatus
from easel.request import batch_request
from easel.request.fields import Choice, WholeNumber, check_fields, drop_nulls
from easel.request.names import BATCH_NAME, batch_name, check_batch_name
from easel.runs.executions import Execution
from functions.api import batch_schemas, views
from functions.api.caller import check_parameters, read_body, started_by
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
FORMAT = Choice(naming.MANIFEST_ENDINGS)
BYTES = WholeNumber(1, batch_request.MAX_MANIFEST_BYTES)
NEW_FIELDS = ("name", "format", "bytes")
# These are not in the body: the route names the batch, and the token names the user.
SET_BY_API = ("safety_identifier", "person")
START_TABLE = {
    name: field
    for name, field in batch_request.TABLE.items()
    if name not in ("manifest", *SET_BY_API)
}
START_FIELDS = ("format", *START_TABLE)
SEARCHED = 100  # executions to search for one that the check has not noted yet
BatchName = Annotated[str, Path(description="a batch's name")]
StartQuery = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=80,
        description="the `execution` of one start, instead of the latest",
    ),
]


@router.post("/batches")
def make_batch() -> Response[batch_schemas.NewBatch]:
    """Return a link to upload a batch's manifest.

    The link is valid for fifteen minutes. It allows the upload of a file with this name, size and
    type and nothing else. The answer to the upload has the version in `x-amz-version-id`.
    """
    services, body = services_of(router), _read(NEW_FIELDS)
    name = check_batch_name(body.get("name", MISSING), "name")
    if "bytes" not in body:
        raise InputError("bytes", MISSING, "the size of the manifest in bytes")
    size = BYTES.check("bytes", body["bytes"])
    link = services.upload_links.of(name, _format(body), size=size)
    upload = views.upload_to(link)
    start = f"{services.batch_url(name)}/start"
    batch = batch_schemas.NewBatch(name=name, manifest=link.key, upload=upload, start=start)
    return Response(status_code=201, content_type="application/json", body=batch)


@router.get("/batches/<name>")
def show_batch(name: BatchName, execution: StartQuery = None) -> batch_schemas.Batch:
    """Return a batch's current state: its lines so far, the check's result, its report or error."""
    services = services_of(router)
    check_parameters(router.current_event, "execution")
    return views.show_batch(name, find(name, services, execution=execution), services)


@router.post("/batches/<name>/start")
def start_batch(name: BatchName) -> Response[batch_schemas.Batch]:
    """Start a batch, or continue it.

    It needs no Idempotency-Key: another start uses the same run ids, so nothing is paid twice.
    `version_id` makes sure that nobody has replaced the manifest since its price was checked.
    """
    services, body = services_of(router), _read(START_FIELDS)
    name = check_batch_name(name, "name")
    if "version_id" not in body and body.get("dry_run") is not True:
        allowed = (
            "the version_id of the dry run, or the header x-amz-version-id in the answer to the "
            "upload of the manifest"
        )
        raise InputError("version_id", MISSING, allowed)
    # Without a format, the check uses whichever manifest exists.
    ending = _format(body) if "format" in body else None
    run_input = {"manifest": naming.batch_manifest(name, ending)} | {
        field: value for field, value in body.items() if field != "format"
    }
    batch_request.parse(run_input, services.batching)
    return _start(name, run_input, services)


@router.post("/batches/<name>/resume")
def resume_batch(name: BatchName) -> Response[batch_schemas.Batch]:
    """Start a batch again, with the manifest and the settings of its latest start.

    It pays only for what is missing, in the name of whoever resumes it.
    """
    services = services_of(router)
    run = find(name, services)
    view = views.show_batch(name, run, services)
    if not view.can_resume:
        state = "was only checked" if view.dry_run else f"is {view.status}"
        raise ConflictError(f"batch {name} {state}; there is nothing to resume")
    return _start(name, run.input | {"version_id": view.version_id}, services)


@router.post("/batches/<name>/stop")
def stop_batch(name: BatchName) -> Response[batch_schemas.Batch]:
    """Stop a running batch with all its lines.

    What it has bought is kept, and a resume pays only for what is missing.
    """
    services = services_of(router)
    run = find(name, services)
    if run.status != ExecutionStatus.RUNNING:
        raise ConflictError(f"batch {name} is {run.status}; there is nothing to stop")
    services.batch_executions.stop(run)
    return _answer(name, find(name, services, execution=run.name), services)


def _start(
    name: str, run_input: dict[str, Any], services: ApiServices
) -> Response[batch_schemas.Batch]:
    caller = started_by(router.current_event, services.api)
    run_input |= {field: caller[field] for field in SET_BY_API}
    execution_name = naming.batch_execution(name, at=services.now(), suffix=token_hex(2))
    execution = services.batch_executions.start(run_input, name=execution_name)
    if execution is None:
        raise StorageBusyError(
            f"batch {name} was started within the same second; look at that start, or start again"
        )
    return _answer(name, services.batch_executions.wait_until_visible(execution), services)


def _answer(name: str, run: Execution, services: ApiServices) -> Response[batch_schemas.Batch]:
    view = views.show_batch(name, run, services)
    return Response(
        status_code=202,
        content_type="application/json",
        body=view,
        headers={"Location": view.url},
    )


def _read(known: tuple[str, ...]) -> dict[str, Any]:
    body = read_body(router.current_event)
    check_fields(body, known)
    return drop_nulls(body)


def _format(body: dict[str, Any]) -> str:
    return FORMAT.check("format", body.get("format", naming.MANIFEST_ENDINGS[0]))


def find(name: str, services: ApiServices, *, execution: str | None = None) -> Execution:
    """Return the batch's latest execution, or the one with this name.

    The check of the manifest notes the execution. If that has not happened yet or has failed, the
    execution is found by its name.
    """
    executions = services.batch_executions
    if execution is not None:
        start = executions.get(execution) if RUN_ID.fullmatch(execution) else None
        if start is None or started_batch(start) != name:
            raise NotFoundError(
                f"batch {name!a} has no start {execution!a}; GET /batches lists all"
            )
        return start
    is_name = BATCH_NAME.fullmatch(name) is not None
    noted = services.batch_starts.latest(name) if is_name else None
    run = executions.get(noted.execution) if noted else None
    if is_name and (run is None or run.status != ExecutionStatus.RUNNING):
        names = executions.names(most=SEARCHED)
        latest = next((item for item in names if naming.is_batch_execution(item, name)), None)
        newer = executions.get(latest) if latest and (run is None or latest != run.name) else None
        run = newer if newer and (run is None or newer.started > run.started) else run
    if run is None:
        hint = "start one with POST /batches/{name}/start"
        raise NotFoundError(f"no batch {name!a} was started; {hint}")
    return run


def started_batch(execution: Execution) -> str | None:
    """Return the name of the batch that an execution starts, or None if it names no manifest."""
    try:
        return batch_name(execution.input.get("manifest"))
    except (EaselError, AttributeError):
        return None
