"""What a request would cost at most, and what is left of the month's budget."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions import models
from functions.adapters.budget import month_of
from functions.api import answers, incoming
from functions.api.outside import Outside, given, usd
from functions.api.problems import refusal
from functions.api.runs import ELSEWHERE, check
from functions.errors import EaselError
from functions.prompt import pricing
from functions.request import FIELDS

router = APIGatewayHttpRouter()
NUMBERS = ("count", "output_compression")
PARAMETERS = tuple(name for name in FIELDS if name not in ELSEWHERE)


@router.get("/estimate")
def estimate_query() -> answers.Estimate:
    """The estimate of a request whose fields are in the query; `topics` with commas between."""
    asked: dict[str, Any] = dict(incoming.check_parameters(router.current_event, *PARAMETERS))
    for name in NUMBERS:
        if asked.get(name, "").isdecimal() and asked[name].isascii() and len(asked[name]) < 10:
            asked[name] = int(asked[name])
    if "topics" in asked:
        asked["topics"] = asked["topics"].split(",")
    if "dry_run" in asked:
        asked["dry_run"] = {"true": True, "false": False}.get(asked["dry_run"], asked["dry_run"])
    return _estimate(asked, given(router))


@router.post("/estimate")
def estimate_body() -> answers.Estimate:
    """The estimate of a request in the body: prompts can be longer than an address."""
    return _estimate(incoming.body(router.current_event), given(router))


def _estimate(asked: dict[str, Any], outside: Outside) -> answers.Estimate:
    wanted = check(asked, outside)
    now = outside.now()
    try:
        question = pricing.question(wanted, pricing.dearest_topic(wanted), outside.settings, today=now.date())
    except EaselError as error:
        raise refusal(error, status=400) from error
    estimate = pricing.estimate(wanted, question)
    state = outside.budget.read(month_of(now))
    left = max(0, state.cap - state.committed)
    shown = {name: value for name, value in asdict(wanted).items() if name not in ELSEWHERE}
    return answers.Estimate(
        estimate_usd=usd(estimate),
        fits=state.fits(estimate),
        budget=answers.Budget(
            month=state.month,
            cap_usd=state.cap / 1_000_000,
            spent_usd=state.spent / 1_000_000,
            reserved_usd=(state.committed - state.spent) / 1_000_000,
            left_usd=left / 1_000_000,
        ),
        request=shown,
        models=[answers.Model(name=name, qualities=list(effort)) for name, effort in models.image_models(today=now.date()).items()],
    )
