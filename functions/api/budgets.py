"""The budgets of the month, of people and of folders."""

from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import MISSING, InputError, summarize
from easel.contract.money import micro_dollars
from easel.ledger.attribution import person_scope
from easel.ledger.budget import month_of
from easel.ledger.limits import MAX_USD, check_folder_scope
from easel.request.fields import check_fields
from functions.api import money_schemas as schemas
from functions.api.caller import check_parameters, read_body
from functions.api.money_views import show_month, show_scope
from functions.api.people import find_person
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
FIELDS = ("usd", "folder", "person")


@router.get("/budgets")
def list_budgets() -> schemas.Budgets:
    """Return the month's budget, and the budgets of people and folders that have one."""
    services = services_of(router)
    check_parameters(router.current_event)
    return _show(services)


@router.put("/budgets")
def put_budget() -> schemas.Budgets:
    """Change the budget of the month, of a `person` or of a `folder`, from this month on.

    `usd` is a number of dollars. 0 stops all spending, and null removes the limit of a person or a
    folder.
    """
    services, body = services_of(router), read_body(router.current_event)
    check_parameters(router.current_event)
    check_fields(body, FIELDS)
    month, cap = month_of(services.now()), _read_cap(body)
    scope = _read_scope(body, services)
    if scope:
        services.limits.set(month, scope, cap)
    elif cap is None:
        raise InputError("usd", None, "a number for the month's budget, which always has a limit")
    else:
        services.ledger.budget.set_cap(month, cap)
    return _show(services)


def _show(services: ApiServices) -> schemas.Budgets:
    month = month_of(services.now())
    names = {person_scope(person.id): person.name for person in services.people.all()}
    return schemas.Budgets(
        month=show_month(services.ledger.budget.read(month)),
        scopes=[
            show_scope(state, names.get(state.scope)) for state in services.limits.month(month)
        ],
    )


def _read_cap(body: dict[str, Any]) -> int | None:
    """Return the limit in micro-dollars, or None to remove it."""
    usd = body.get("usd", MISSING)
    if usd is None:
        return None
    is_number = isinstance(usd, int | float) and not isinstance(usd, bool)
    # An amount that rounds to 0 would stop all spending by mistake.
    if not is_number or not 0 <= usd < MAX_USD or (usd > 0) != (micro_dollars(usd) > 0):
        allowed = f"a number of dollars from 0 to {MAX_USD:,}, or null for no limit"
        raise InputError("usd", usd, allowed)
    return micro_dollars(usd)


def _read_scope(body: dict[str, Any], services: ApiServices) -> str | None:
    """Return the name of the budget that a request changes, or None for the month's."""
    folder, person = body.get("folder"), body.get("person")
    if folder is not None and person is not None:
        raise InputError("person", summarize(person), "person or folder, not both")
    if person is not None:
        return person_scope(find_person(person, services).id)
    if folder is None:
        return None
    return check_folder_scope(folder, "folder")
