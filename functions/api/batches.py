"""Batches: a link to put a manifest to, a start, and how far it has come."""

import re
from secrets import token_hex
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions import keys
from functions.adapters.executions import RUNNING, Execution
from functions.api import answers, batch_view, incoming
from functions.api.outside import Outside, given
from functions.batch import asked
from functions.errors import MISSING, InputError, NotFoundError, StorageBusyError
from functions.request import check_fields

router = APIGatewayHttpRouter()
FORMATS = ("jsonl", "csv")
VERSION_ID = re.compile("[!-~]{1,1024}")  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
START_FIELDS = ("format", *(name for name in asked.FIELDS if name not in ("manifest", "safety_identifier")))
SEARCHED = 100  # executions that are looked through for one that is too young to be noted
BatchName = Annotated[str, Path(description="a batch's name")]


@router.post("/batches")
def make_batch() -> Response[answers.NewBatch]:
    """Get a link to put a batch's manifest to, for fifteen minutes; whoever has it can put this one file and nothing else."""
    outside, said = given(router), _said(("name", "format"))
    name = keys.check_batch_name(said.get("name", MISSING), field="name")
    link = outside.uploads.of(name, _format(said))
    upload = answers.Upload(method="PUT", url=link.url, expires_at=link.expires_at)  # type: ignore[arg-type] # pydantic reads the time
    made = answers.NewBatch(name=name, manifest=link.key, upload=upload, start=f"{outside.batch_url(name)}/start")
    return Response(status_code=201, content_type="application/json", body=made)


@router.get("/batches/<name>")
def show_batch(name: BatchName) -> answers.Batch:
    """A batch as it stands: its lines so far, what the check found, its report or its error."""
    outside = given(router)
    return batch_view.shown(name, _found(name, outside), outside)


@router.post("/batches/<name>/start")
def start_batch(name: BatchName) -> Response[answers.Batch]:
    """Start a batch, or go on with it. It needs no Idempotency-Key: another start meets the same run ids, and pays nothing twice."""
    outside, said = given(router), _said(START_FIELDS)
    name = keys.check_batch_name(name, field="name")
    # Without a format it is whichever manifest is there.
    manifest = keys.batch_manifest(name, _format(said)) if "format" in said else keys.batch_manifest(name)
    wanted = {"manifest": manifest} | {field: value for field, value in said.items() if field != "format"}
    version_id = asked.parse(wanted, outside.settings).version_id
    if version_id is not None and not VERSION_ID.fullmatch(version_id):
        raise InputError("version_id", version_id, "the id of one of the manifest's versions, as the answer to the PUT has it")
    wanted["safety_identifier"] = incoming.safety_identifier(router.current_event, user_pool=outside.api.user_pool)
    execution = outside.batch_executions.start(wanted, name=keys.batch_execution(name, at=outside.now(), chance=token_hex(2)))
    if execution is None:
        raise StorageBusyError(f"batch {name} was started in this very second: look at that, or start again")
    view = batch_view.shown(name, outside.batch_executions.begun(execution), outside)
    return Response(status_code=202, content_type="application/json", body=view, headers={"Location": view.url})


def _said(known: tuple[str, ...]) -> dict[str, Any]:
    said = incoming.body(router.current_event)
    check_fields(said, known)
    return {name: value for name, value in said.items() if value is not None}


def _format(said: dict[str, Any]) -> str:
    ending = said.get("format", FORMATS[0])
    if not isinstance(ending, str) or ending not in FORMATS:
        raise InputError("format", ending, " | ".join(FORMATS))
    return ending


def _found(name: str, outside: Outside) -> Execution:
    """The batch's latest execution. The check of the manifest notes it; before, and where that fails at once, its name tells."""
    known = keys.BATCH_NAME.fullmatch(name)
    noted = outside.batches.latest(name) if known else None
    run = outside.batch_executions.named(noted.execution) if noted else None
    if known and (run is None or run.status != RUNNING):
        started = outside.batch_executions.names(most=SEARCHED)
        latest = next((execution for execution in started if keys.is_batch_execution(execution, name)), None)
        young = outside.batch_executions.named(latest) if latest and (run is None or latest != run.name) else None
        run = young if young and (run is None or young.started > run.started) else run
    if run is None:
        raise NotFoundError(f"there is no batch {name!a} that was started: POST /batches/{{name}}/start starts one")
    return run
