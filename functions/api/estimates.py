"""The maximum cost of a request, and what is left of the month's budget."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import EaselError
from easel.contract.money import dollars
from easel.ledger.attribution import folder_scopes, person_scope
from easel.ledger.budget import month_of
from easel.request import models
from easel.request.estimate import dearest_topic, quote
from easel.request.fields import from_texts
from easel.request.request import TABLE
from functions.api import schemas
from functions.api.caller import caller_id, check_parameters, read_body
from functions.api.money_views import show_month
from functions.api.problems import refusal
from functions.api.runs import BODY_FIELDS, ELSEWHERE, check
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()


@router.get("/estimate")
def estimate_query() -> schemas.Estimate:
    """Return the estimate for a request in the query. Separate several `topics` with commas."""
    parameters = check_parameters(router.current_event, *BODY_FIELDS)
    return _estimate(from_texts(TABLE, parameters.items()), services_of(router))


@router.post("/estimate")
def estimate_body() -> schemas.Estimate:
    """Return the estimate for a request in the body, which has room for a long prompt."""
    return _estimate(read_body(router.current_event), services_of(router))


def _estimate(body: dict[str, Any], services: ApiServices) -> schemas.Estimate:
    request = check(body, services)
    now = services.now()
    try:
        topic = dearest_topic(request)
        inputs = services.references().foresee(request)
        quoted = quote(request, topic, services.requests, today=now.date(), inputs=inputs)
    except EaselError as error:
        raise refusal(error, status=400) from error
    only_prompt = quoted.total(images=0)
    total = only_prompt if request.only_prompt else quoted.total()
    month = services.ledger.budget.read(month_of(now))
    person = person_scope(caller_id(router.current_event))
    scopes = services.limits.peek(month.month, [person, *folder_scopes(request.folder_name)])
    known = models.image_models(today=now.date())
    return schemas.Estimate(
        estimate_usd=dollars(total),
        prompt_usd=dollars(only_prompt),
        fits=month.fits(total) and all(scope.fits(total) for scope in scopes),
        budget=show_month(month),
        request={name: value for name, value in asdict(request).items() if name not in ELSEWHERE},
        models=[_show_model(name, facts) for name, facts in known.items()],
    )


def _show_model(name: str, facts: models.ImageFacts) -> schemas.Model:
    return schemas.Model(
        name=name,
        qualities=list(facts.effort),
        backgrounds=list(facts.backgrounds),
        sizes=schemas.Sizes(
            least_pixels=facts.least_pixels,
            most_pixels=facts.most_pixels,
            longest_edge=facts.longest_edge,
            ratio=facts.ratio,
            step=facts.step,
        ),
        reference_images=facts.inputs,
    )
