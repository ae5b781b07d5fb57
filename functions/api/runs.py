"""Runs: start, list, show, redrive and stop."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract import naming
from easel.contract.errors import MISSING, ConflictError, EaselError, InputError, NotFoundError
from easel.contract.naming import RUN_ID
from easel.contract.states import ExecutionStatus
from easel.request import request
from easel.request.fields import check_fields, drop_nulls
from easel.request.request import FIELDS, TABLE, Request
from easel.runs.executions import Execution
from easel.runs.search import search
from functions.api import schemas, views
from functions.api.caller import (
    caller_id,
    check_parameters,
    may_read,
    read_body,
    started_by,
)
from functions.api.problems import refusal
from functions.api.run_filters import (
    LIST_FILTERS,
    CursorQuery,
    FromQuery,
    KindQuery,
    PersonQuery,
    StatusQuery,
    ToQuery,
    read_criteria,
)
from functions.api.run_list import list_entries
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
KEY_HEADER = "Idempotency-Key"
PROMPT_FIRST = ("only_prompt", "edited_prompt")
MAX_WAIT = 30  # seconds; the gateway waits no longer
# The function has 29 seconds. It needs the rest to start the run and to write the answer.
LONGEST_WAIT = 24
LONGEST_PAUSE = 3
# An execution's name has at most 80 characters. It starts with the caller's eight and a hyphen.
MAX_KEY = 80 - len(naming.api_run("1" * naming.CALLER_LENGTH, ""))
# The route of each field that the request itself must not have.
ELSEWHERE = {
    "action": "DELETE, or POST …/restore or …/share",
    "request_id": f"the header {KEY_HEADER}",
    "safety_identifier": "nothing, because it is set to the signed-in user",
    "person": "nothing, because it is set to the signed-in user",
    "trigger": "nothing, because it is set to page or api",
    "image_key": "DELETE /images/{id}",
    "confirm": "DELETE /folders",
    "image_ids": "POST /images/actions",
    "to_folder": "POST /images/{id}/move",
    "edited_prompt": "POST /runs/{id}/paint",
    "purge": "a purge that is started in the Step Functions console",
}
BODY_FIELDS = tuple(name for name in FIELDS if name not in ELSEWHERE)
RunId = Annotated[str, Path(description="a run's id, or the name of one of its executions")]


@router.post("/runs")
def start_run(
    wait: Annotated[
        int,
        Query(
            ge=0,
            le=MAX_WAIT,
            description="how many seconds to wait for the run's end; up to 24 are waited",
        ),
    ] = 0,
) -> Response[schemas.Run]:
    """Start a run. The same key with the same body always returns the same run.

    With `wait`, the answer has status 200 if the run ends in time, and otherwise 202.
    """
    services, event = services_of(router), router.current_event
    check_parameters(event, "wait")
    body = drop_nulls(read_body(event))
    check(body, services)
    run_id = naming.api_run(caller_id(event), _key(event.headers.get(KEY_HEADER.lower())))
    caller = started_by(event, services.api)
    run_input = body | {"request_id": run_id} | caller
    executions = services.executions
    if executions.start(run_input, name=run_id) is not None:
        started = _wait(executions.wait_until_visible(run_id), services, seconds=wait)
        return _answer(started, services, status=_status(started) if wait else 202)
    # Another copy of this request may have started the run a moment ago.
    first = executions.wait_until_visible(run_id)
    earlier = services.runs.latest(run_id, known=first) or first
    # A run of an older version does not name its caller.
    same = isinstance(earlier.input, dict)
    if not same or _paid_part(caller | earlier.input) != _paid_part(run_input):
        raise ConflictError(
            f"{KEY_HEADER} was already used for another request, run {run_id}; use a new key, or "
            "send the first body unchanged"
        )
    earlier = _wait(earlier, services, seconds=wait)
    return _answer(earlier, services, status=_status(earlier))


@router.get("/runs")
def list_runs(  # noqa: PLR0913, PLR0917 - the query's parameters
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: CursorQuery = None,
    status: StatusQuery = None,
    kind: KindQuery = None,
    person: PersonQuery = None,
    since: FromQuery = None,
    until: ToQuery = None,
) -> schemas.Runs:
    """Return the runs of the last 90 days, newest first.

    The list includes runs started by the schedule and from the console. With a filter, a page may
    be short or empty while there is a `cursor`: the next page continues exactly there.
    """
    services = services_of(router)
    check_parameters(router.current_event, *LIST_FILTERS, "kind", "person")
    criteria = read_criteria(status=status, kind=kind, person=person, since=since, until=until)
    page, next_cursor = search(services.executions, criteria, limit=limit, after=cursor)
    return schemas.Runs(runs=list_entries(page, services), cursor=next_cursor)


@router.get("/runs/<id>")
def show_run(id: RunId) -> schemas.Run:  # noqa: A002 - the route's own word
    """Return the current state of a run.

    Each step has its start, end, attempts and error. The images and the cost are those so far.
    """
    services = services_of(router)
    return views.show_run(_find(id, services), services)


@router.post("/runs/<id>/redrive")
def redrive_run(id: RunId) -> Response[schemas.Run]:  # noqa: A002
    """Continue a failed run. It pays only for what is missing.

    A line of a batch is started again as a run of its own, with the same run id.
    """
    services = services_of(router)
    name = resume(id, services)
    execution = services.executions.wait_until_visible(name, until=lambda run: run.is_open)
    return _answer(execution, services)


@router.post("/runs/<id>/paint")
def paint_run(id: RunId) -> Response[schemas.Run]:  # noqa: A002
    """Paint the prompt that a run with `only_prompt` has written, or the `prompt` in the body.

    The prompt is not paid again. Without a body, the prompt is painted as it was written.
    """
    services = services_of(router)
    check_parameters(router.current_event)
    event = router.current_event
    body = drop_nulls(read_body(event)) if event.body else {}
    check_fields(body, ("prompt",))
    edited = TABLE["edited_prompt"].kind.check("prompt", body["prompt"]) if body else None
    run = _find(id, services)
    if not isinstance(run.input, dict) or not run.makes_images:
        raise ConflictError(f"run {run.name} makes no images")
    if run.status == ExecutionStatus.RUNNING:
        raise ConflictError(f"run {run.name} is running; wait until its prompt is written")
    if run.input.get("person") not in (None, caller_id(router.current_event)):
        # Its images are charged to the person who started it.
        raise ConflictError(
            f"run {run.name} was started by somebody else; use its prompt in a run of your own"
        )
    prompt = services.ledger.prompt(run.run_id)
    if prompt is None:
        raise ConflictError(f"run {run.name} has no prompt yet; resume it first")
    images = services.ledger.run(run.run_id).images
    finished = sum(image.status.is_finished for image in images)
    if edited is None and finished >= prompt.choices["count"]:
        raise ConflictError(f"run {run.name} is painted already; no prompt of it is waiting")
    if edited not in (None, prompt.text) and images:
        raise ConflictError(
            f"run {run.name} is painted from another prompt already; start a new run"
        )
    again = {name: value for name, value in run.input.items() if name not in PROMPT_FIRST}
    again |= {"request_id": run.run_id} | ({"edited_prompt": edited} if edited else {})
    # The list of runs filters by the name, so the name contains the caller.
    name = naming.api_run(caller_id(router.current_event), str(uuid4()))
    services.executions.start(again, name=name)
    return _answer(services.executions.wait_until_visible(name), services)


@router.post("/runs/<id>/stop")
def stop_run(id: RunId) -> Response[schemas.Run]:  # noqa: A002
    """Stop a running run. Images it has bought stay in staging for 30 days for a redrive.

    The lines of a batch stop only together with their batch.
    """
    services = services_of(router)
    run = _find(id, services)
    if run.status != ExecutionStatus.RUNNING:
        raise ConflictError(f"run {run.name} is {run.status}; there is nothing to stop")
    if run.is_line:
        raise ConflictError(
            f"run {run.name} is a line of a batch and cannot be stopped alone; stop its batch with "
            "POST /batches/{name}/stop"
        )
    services.executions.stop(run)
    return _answer(_find(run.name, services), services)


def resume(name: str, services: ApiServices) -> str:
    """Resume a failed run, and return the name of the execution that continues it."""
    run = _find(name, services)
    if isinstance(run.input, dict) and run.input.get("purge") is True:
        raise ConflictError(
            f"run {run.name} deletes images permanently; resume it in the Step Functions console"
        )
    return services.runs.resume(run)


def start_upkeep(run_input: dict[str, Any], services: ApiServices) -> Response[schemas.Run]:
    """Start a run that deletes, restores or shares. A repeated run finds nothing left to do."""
    # The list of runs filters by the name, so the name contains the action and the caller.
    caller = caller_id(router.current_event)
    name = naming.upkeep_run(run_input["action"], caller, uuid4().hex)
    services.executions.start(run_input, name=name)
    return _answer(services.executions.wait_until_visible(name), services)


def check(body: dict[str, Any], services: ApiServices) -> Request:
    """Return the request as the prompt step will parse it.

    Raises a Refusal with status 400 if anything is wrong with the request; nothing has been paid.
    """
    try:
        for name, where in ELSEWHERE.items():
            if body.get(name) is not None:
                shown = TABLE[name].kind.shown(body[name])
                raise InputError(name, shown, where, but="it is not accepted here")
        check_fields({name: body[name] for name in body if name not in ELSEWHERE}, BODY_FIELDS)
        expanded, _ = services.presets.expand(body)
        return request.parse(expanded, services.requests, today=services.now().date())
    except EaselError as error:
        raise refusal(error, status=400) from error


def _key(key: str | None) -> str:
    if key is None or not RUN_ID.fullmatch(key) or len(key) > MAX_KEY:
        allowed = (
            f"1 to {MAX_KEY} characters from A-Z a-z 0-9 _ . -; a new key for each new run; "
            "sending a key again returns the same run, which is paid for once"
        )
        raise InputError(KEY_HEADER, MISSING if key is None else key, allowed)
    return key


def _paid_part(run_input: dict[str, Any]) -> dict[str, Any]:
    """Return a request without its channels and trigger, which change no image."""
    others = ("notify", "trigger")
    return {name: value for name, value in run_input.items() if name not in others}


def _wait(run: Execution, services: ApiServices, *, seconds: int) -> Execution:
    """Return the run after its end, or as it is after this time.

    Nothing depends on the waiting: if the caller or this function gives up, the run continues.
    """
    for pause in _pauses(min(seconds, LONGEST_WAIT)):
        if run.status != ExecutionStatus.RUNNING:
            break
        services.sleep(pause)
        run = services.executions.get(run.arn) or run
    return run


def _status(run: Execution) -> int:
    return 202 if run.status == ExecutionStatus.RUNNING else 200


def _pauses(seconds: int) -> Iterator[int]:
    """Yield pauses of 1, 2, 3, 3, … seconds, of this sum.

    Step Functions allows some ten reads a second in an account.
    """
    pause = 1
    while seconds > 0:
        yield min(pause, seconds)
        seconds -= pause
        pause = min(pause + 1, LONGEST_PAUSE)


def _find(name: str, services: ApiServices) -> Execution:
    """Return the execution with this name, or the latest execution of the run with this id."""
    is_name = RUN_ID.fullmatch(name) is not None
    run = services.runs.find(name) if is_name else None
    if run is None and is_name and services.ledger.prompt(name):
        raise NotFoundError(
            f"run {name} has no execution; GET /batches/… shows the lines of a batch in economy, "
            "and other executions are kept for 90 days"
        )
    if run is None:
        hint = "give the id from the answer to POST /runs, or an execution's name"
        raise NotFoundError(f"there is no run {name!a}; {hint}")
    return run


def _answer(run: Execution, services: ApiServices, *, status: int = 202) -> Response[schemas.Run]:
    view = views.show_run(run, services)
    if not may_read(router.current_event):
        view = views.without_content(view)
    return Response(
        status_code=status,
        content_type="application/json",
        body=view,
        headers={"Location": view.url},
    )
