"""Resumes many runs in one call, and reports the outcome of each."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import MISSING, EaselError, InputError, StorageBusyError, Summary
from easel.request.fields import Text, Texts, check_fields, drop_nulls
from functions.api import schemas
from functions.api.caller import read_body
from functions.api.problems import advice_for
from functions.api.runs import resume
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
MOST = 100
IDS = Texts(Text(80), MOST)
FIELDS = ("ids",)
# The function has 29 seconds, and a single resume may wait for AWS.
TIME = timedelta(seconds=15)


@router.post("/runs/redrive")
def redrive_runs() -> schemas.Redrives:
    """Resume up to 100 failed runs, and report for each whether it was resumed.

    One that cannot be resumed does not stop the others. The same call again is harmless: a run that
    is running already is reported as not resumed.
    """
    services = services_of(router)
    ids = _read_ids(read_body(router.current_event))
    end = services.now() + TIME
    runs = [_try(run_id, services, in_time=services.now() < end) for run_id in ids]
    return schemas.Redrives(runs=runs, resumed=sum(run.resumed for run in runs))


def _read_ids(body: dict[str, Any]) -> tuple[str, ...]:
    check_fields(body, FIELDS)
    ids = drop_nulls(body).get("ids", MISSING)
    if isinstance(ids, list) and len(ids) > MOST:
        shown = Summary(f"a list of {len(ids):,} runs")
        raise InputError("ids", shown, f"at most {MOST} runs in one call; send the others next")
    return tuple(dict.fromkeys(IDS.check("ids", ids)))


def _try(run_id: str, services: ApiServices, *, in_time: bool) -> schemas.Redrive:
    try:
        if not in_time:
            message = "there was no time left to resume this run; send it again"
            raise StorageBusyError(message)
        name = resume(run_id, services)
    except EaselError as error:
        kind = type(error).__name__
        advice = advice_for(kind)
        failure = schemas.RunFailure(
            error=kind, title=advice.title, message=str(error), what_to_do=advice.what_to_do
        )
        return schemas.Redrive(id=run_id, resumed=False, execution=None, error=failure)
    return schemas.Redrive(id=run_id, resumed=True, execution=name, error=None)
