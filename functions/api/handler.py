"""Answers what comes through the gateway, which has checked the caller's token and scope before."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start, telemetry
from functions.api import batches, estimates, files, folders, images, problems, runs
from functions.api.outside import Outside, deployed
from functions.api.problems import Refusal
from functions.errors import MISSING, EaselError, InputError
from functions.telemetry import note, say, step


def app() -> APIGatewayHttpResolver:
    """All routes and what becomes of their errors."""
    made = APIGatewayHttpResolver(enable_validation=True)
    for module in (runs, batches, images, folders, estimates, files):
        made.include_router(module.router)
    made.exception_handler(EaselError)(_known)
    made.exception_handler(Refusal)(problems.answer)
    made.exception_handler(RequestValidationError)(_invalid)
    made.exception_handler(NoRouteError)(lambda _: problems.answer(Refusal(404, "NotFoundError", "there is no such route")))
    made.exception_handler(Exception)(_unexpected)
    return made


def answer(event: dict[str, Any], context: LambdaContext, *, resolver: APIGatewayHttpResolver, outside: Outside) -> dict[str, Any]:
    """One answer to one event of the gateway."""
    resolver.append_context(outside=outside)
    answered = resolver.resolve(event, context)
    # The gateway's access log has every call; what changes something stands here, too.
    if event["requestContext"]["http"]["method"] != "GET":
        note(route=event["routeKey"], status=answered["statusCode"])
        if answered["statusCode"] < 500:  # else the line tells why
            say(event["routeKey"])
    # Files say themselves how long they may be kept; what has prompts and links in it, never.
    answered["headers"] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} | answered["headers"]
    return answered


@step("api")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Entry point of the API: an event of the gateway in, an answer out."""
    return answer(event, context, resolver=RESOLVER, outside=deployed())


def _known(error: EaselError) -> Response[str]:
    refused = problems.refusal(error)
    if refused.status >= 500:
        telemetry.failed(error)
    return problems.answer(refused)


def _invalid(error: RequestValidationError) -> Response[str]:
    first = error.errors()[0]
    missing = first["type"] == "missing"
    allowed = "it has to be given" if missing else str(first["msg"]).removeprefix("Input should be ")
    return problems.answer(problems.refusal(InputError(str(first["loc"][-1]), MISSING if missing else first.get("input"), allowed)))


def _unexpected(error: Exception) -> Response[str]:
    # Its words may hold anything: a prompt, a link.
    telemetry.failed(error)
    return problems.answer(Refusal(500, problems.UNEXPECTED, "something went wrong that nobody foresaw"))


RESOLVER = app()


cold_start.ready(deployed)
