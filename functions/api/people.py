"""People: who is signed in, and who has used the API."""

from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import InputError, NotFoundError, summarize
from easel.ledger.attribution import person_scope
from easel.ledger.budget import month_of
from easel.ledger.people import Person
from functions.api import money_schemas as schemas
from functions.api.caller import caller_id, check_parameters, read_claims
from functions.api.money_views import show_scope
from functions.api.roles import is_program, role_of
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
PROGRAM = "a program"
MAX_PERSON = 254  # the length of a mail address


@router.get("/me")
def show_me() -> schemas.Me:
    """Return who is signed in, what they may do, and their own budget if they have one."""
    services, event = services_of(router), router.current_event
    check_parameters(event)
    claims, person_id = read_claims(event), caller_id(event)
    person = services.people.find(person_id) or _meet(claims, person_id, services)
    month = month_of(services.now())
    (budget,) = services.limits.peek(month, [person_scope(person_id)])
    return schemas.Me(
        person=person_id,
        name=person.name if person else None,
        role=role_of(claims),
        budget=None if budget.cap is None else show_scope(budget, person.name if person else None),
    )


@router.get("/people")
def list_people() -> schemas.People:
    """Return everybody who has signed in or has a budget, by name."""
    services = services_of(router)
    check_parameters(router.current_event)
    people = [schemas.Person(id=person.id, name=person.name) for person in services.people.all()]
    return schemas.People(people=people)


def find_person(value: object, services: ApiServices) -> Person:
    """Return the person with this id or mail address, as the user pool knows it.

    Raises NotFoundError for an unknown person.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_PERSON or not value.isprintable():
        raise InputError("person", summarize(value), "an id from GET /people, or a mail address")
    person = services.people.look_up(value, services.directory.subject_of)
    if person is None:
        hint = "GET /people lists everybody who has signed in; `easel user` adds one"
        raise NotFoundError(f"no person has the id or mail address {value!a}; {hint}")
    return person


def _meet(claims: dict[str, Any], person: str, services: ApiServices) -> Person | None:
    """Record the name of somebody who is here for the first time."""
    name = PROGRAM if is_program(claims) else services.directory.name_of(claims["sub"])
    if name is None:
        return None
    met = Person(id=person, name=name)
    services.people.note(met)
    return met
