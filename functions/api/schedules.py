"""Schedules: list, create, change and delete."""

from dataclasses import replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import EaselError, InputError, NotFoundError
from easel.request.fields import check_fields, drop_nulls
from easel.schedules import schedule
from easel.schedules.last_run import find_last_run
from easel.schedules.scheduler import Stored
from functions.api import schedule_schemas as schemas
from functions.api.caller import check_parameters, read_body, started_by
from functions.api.problems import refusal
from functions.api.run_filters import MAX_TOKEN
from functions.api.runs import check
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
MOST_LISTED = 50  # Scheduler lists names only, so each schedule is read
PUT_FIELDS = tuple(field for field in schedule.TABLE if field != "name")
# The trigger of its runs is the schedule.
SET_BY_API = ("safety_identifier", "person")
Name = Annotated[str, Path(description="the schedule's name")]


@router.get("/schedules")
def list_schedules(
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    cursor: Annotated[str | None, Query(min_length=1, max_length=MAX_TOKEN)] = None,
) -> schemas.Schedules:
    """Return the schedules by name, each with its next and its last run."""
    services = services_of(router)
    check_parameters(router.current_event, "limit", "cursor")
    page, next_cursor = services.schedules.page(limit=limit, after=cursor)
    shown = [_show(stored, services) for stored in page]
    return schemas.Schedules(schedules=shown, cursor=next_cursor)


@router.put("/schedules/<name>")
def put_schedule(name: Name) -> schemas.Schedule:
    """Create a schedule, or replace the one of this name.

    The same call twice changes nothing. A rate without a start begins at once.
    """
    services, event = services_of(router), router.current_event
    check_parameters(event)
    body = drop_nulls(read_body(event))
    check_fields(body, PUT_FIELDS)
    wanted = _parse(body | {"name": name}, services)
    caller = {name: started_by(event, services.api)[name] for name in SET_BY_API}
    wanted = replace(wanted, request=wanted.request | caller)
    return _show(services.schedules.put(wanted, now=services.now()), services)


@router.delete("/schedules/<name>")
def delete_schedule(name: Name) -> schemas.DeletedSchedule:
    """Delete a schedule. Its runs and their images stay."""
    services = services_of(router)
    check_parameters(router.current_event)
    if not services.schedules.delete(schedule.check_name(name, "name")):
        raise NotFoundError(f"schedule {name!a} does not exist; list the names with GET /schedules")
    return schemas.DeletedSchedule(name=name)


def _parse(raw: dict[str, Any], services: ApiServices) -> schedule.Schedule:
    try:
        parsed = schedule.parse(raw, services.requests, today=services.now().date())
    except InputError:
        raise
    except EaselError as error:  # such as a retired model
        raise refusal(error, status=400) from error
    check(parsed.request, services)
    return parsed


def _show(stored: Stored, services: ApiServices) -> schemas.Schedule:
    found, now = stored.schedule, services.now()
    last = find_last_run(stored, services.ledger, now=now)
    run = None
    if last:
        run = schemas.ScheduledRun(
            id=last.run_id, time=last.time, url=services.run_url(last.run_id)
        )
    return schemas.Schedule(
        name=found.name,
        when=found.when,
        time_zone=found.time_zone,
        start=schedule.read_time(found.start),
        end=schedule.read_time(found.end),
        paused=found.paused,
        note=found.note,
        request={field: value for field, value in found.request.items() if field not in SET_BY_API},
        declared=stored.is_declared,
        next_run=stored.next_run(now),
        last_run=run,
    )
