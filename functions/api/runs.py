"""Runs: start one, look at it, go on with it, stop it."""

from typing import Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions import keys, request
from functions.adapters.executions import RUNNING, SUCCEEDED, Execution
from functions.api import answers, incoming, run_view
from functions.api.outside import Outside, given
from functions.api.problems import refusal
from functions.errors import MISSING, ConflictError, EaselError, InputError, NotFoundError
from functions.request import Request

router = APIGatewayHttpRouter()
KEY_HEADER = "Idempotency-Key"
MAX_TOKEN = 3096  # of Step Functions' own cursor
MAX_KEY = 80 - len("12345678-")  # an execution's name has at most 80 characters, and begins with the caller's eight
ELSEWHERE = {
    "action": "not here: DELETE and POST …/restore have routes of their own",
    "request_id": f"not here: the header {KEY_HEADER} names the run",
    "safety_identifier": "not here: it is that of who signed in",
    "image_key": "not here: DELETE /images/{id}",
    "confirm": "not here: it belongs to DELETE /folders",
    "purge": "not here: a purge is started in the Step Functions console",
}
RunId = Annotated[str, Path(description="a run's id, or the name of one of its executions")]


@router.post("/runs")
def start_run() -> Response[answers.Run]:
    """Start a run; the same key with the same body is the same run, whenever it is sent again."""
    outside = given(router)
    asked = {name: value for name, value in incoming.body(router.current_event).items() if value is not None}
    check(asked, outside)
    run_id = f"{incoming.caller(router.current_event)}-{_key(router.current_event.headers.get(KEY_HEADER.lower()))}"
    user = incoming.safety_identifier(router.current_event, user_pool=outside.api.user_pool)
    wanted = asked | {"request_id": run_id, "safety_identifier": user}
    if outside.executions.start(wanted, name=run_id) is None:
        # It may have been started by the same request a moment ago.
        first = outside.executions.begun(run_id)
        earlier = outside.executions.latest(run_id, book=outside.book, than=first) or first
        # A run from before users were told has none of them.
        if not isinstance(earlier.input, dict) or {"safety_identifier": user} | earlier.input != wanted:
            raise ConflictError(f"{KEY_HEADER} stands for another request, run {run_id}: use a new key, or the first body unchanged")
        return _told(earlier, outside, status=202 if earlier.status == RUNNING else 200)
    return _told(outside.executions.begun(run_id), outside)


@router.get("/runs")
def list_runs(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, cursor: Annotated[str | None, Query(min_length=1, max_length=MAX_TOKEN)] = None
) -> answers.Runs:
    """The runs of the last 90 days, newest first, those from the schedule and the console, too."""
    outside = given(router)
    incoming.check_parameters(router.current_event, "limit", "cursor")
    found, more = outside.executions.page(limit=limit, after=cursor)
    prompts = outside.gallery.prompts(one.name for one in found)
    return answers.Runs(runs=[run_view.listed(one, prompts.get(one.name), outside) for one in found], cursor=more)


@router.get("/runs/<id>")
def show_run(id: RunId) -> answers.Run:  # noqa: A002 - the route's own word
    """A run as it stands: its steps with start, end, attempts and error, its pictures so far, its cost."""
    outside = given(router)
    return run_view.shown(_found(id, outside), outside)


@router.post("/runs/<id>/redrive")
def redrive_run(id: RunId) -> Response[answers.Run]:  # noqa: A002
    """Go on with a run that failed, paying only for what is missing."""
    outside = given(router)
    run = _found(id, outside)
    if isinstance(run.input, dict) and run.input.get("purge") is True:
        raise ConflictError(f"run {run.name} removes for good: that is gone on with in the Step Functions console alone")
    resumed = outside.executions.resume(run)
    return _told(outside.executions.begun(resumed, until=lambda now: now.status in (RUNNING, SUCCEEDED)), outside)


@router.post("/runs/<id>/stop")
def stop_run(id: RunId) -> Response[answers.Run]:  # noqa: A002
    """Stop a run; what it has bought waits 30 days in staging, and a redrive goes on with it."""
    outside = given(router)
    run = _found(id, outside)
    if run.status == RUNNING:
        outside.executions.stop(run)
        run = _found(run.name, outside)
    return _told(run, outside)


def begin(wanted: dict[str, Any], outside: Outside) -> Response[answers.Run]:
    """Start a run that deletes or restores; a second one finds nothing more to do."""
    # The name tells in the list what it does.
    name = outside.executions.start(wanted, name=f"{wanted['action']}-{uuid4()}")
    return _told(outside.executions.begun(str(name)), outside)


def check(asked: dict[str, Any], outside: Outside) -> Request:
    """The request as the prompt step will see it. Raises a Refusal with 400: whatever is wrong with it, nothing was paid."""
    try:
        for name, where in ELSEWHERE.items():
            if asked.get(name) is not None:
                raise InputError(name, asked[name], where)
        return request.parse(asked, request.defaults(outside.settings), today=outside.now().date())
    except EaselError as error:
        raise refusal(error, status=400) from error


def _key(given: str | None) -> str:
    if given is None or not keys.RUN_ID.fullmatch(given) or len(given) > MAX_KEY:
        raise InputError(
            KEY_HEADER,
            MISSING if given is None else given,
            f"1 to {MAX_KEY} of A-Z a-z 0-9 _ . -, new for each run that you want; sent again, it is the same run, which is paid once",
        )
    return given


def _found(name: str, outside: Outside) -> Execution:
    """The execution of this name; for the name that is the run's id, the latest one."""
    known = keys.RUN_ID.fullmatch(name)
    run = outside.executions.named(name) if known else None
    if known and (run is None or run.name == run.run_id):
        run = outside.executions.latest(name, book=outside.book, than=run)
    if run is None and known and outside.book.prompt(name):
        raise NotFoundError(
            f"run {name} has no execution: a line of a batch in economy is told by GET /batches/…, others are kept for 90 days"
        )
    if run is None:
        raise NotFoundError(f"there is no run {name!a}: give the id that POST /runs answered, or an execution's name")
    return run


def _told(run: Execution, outside: Outside, *, status: int = 202) -> Response[answers.Run]:
    view = run_view.shown(run, outside)
    return Response(status_code=status, content_type="application/json", body=view, headers={"Location": view.url})
