"""Answers requests from the gateway, which has already checked the caller's token and scope."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import prepare
from easel.aws.observability import log_failure, log_result, note, step
from easel.contract.errors import MISSING, EaselError, InputError
from easel.request.request import TABLE
from functions.api import (
    batch_failures,
    batch_list,
    batches,
    budgets,
    choosing,
    estimates,
    folders,
    images,
    page,
    people,
    presets,
    problems,
    redrives,
    runs,
    schedules,
    spending,
    uploads,
)
from functions.api.caller import read_claims
from functions.api.problems import Refusal
from functions.api.roles import check_role
from functions.api.services import API_SERVICES, ApiServices

MODULES = (
    *(runs, redrives, batches, batch_list, batch_failures),
    *(choosing, images, uploads, folders, schedules),
    *(people, spending, budgets, presets, estimates, page),
)


def app() -> APIGatewayHttpResolver:
    """Return the resolver with all routes and error handlers."""
    resolver = APIGatewayHttpResolver(enable_validation=True)
    for module in MODULES:
        resolver.include_router(module.router)
    resolver.use([_check_role])
    resolver.exception_handler(EaselError)(_answer_easel_error)
    resolver.exception_handler(Refusal)(problems.answer)
    resolver.exception_handler(RequestValidationError)(_answer_invalid)
    resolver.exception_handler(NoRouteError)(_answer_no_route)
    resolver.exception_handler(Exception)(_answer_unexpected)
    return resolver


def answer(
    event: dict[str, Any],
    context: LambdaContext,
    *,
    resolver: APIGatewayHttpResolver,
    services: ApiServices,
) -> dict[str, Any]:
    """Return the response to one event of the gateway."""
    resolver.append_context(services=services)
    response = resolver.resolve(event, context)
    # The gateway's access log has every call. Calls that change something are logged here as well.
    if event["requestContext"]["http"]["method"] != "GET":
        note(route=event["routeKey"], status=response["statusCode"])
        if response["statusCode"] < 500:  # a server error has its own log line
            log_result(event["routeKey"])
    # The page's files set their own Cache-Control. API responses contain prompts and links, so they
    # are never cached.
    defaults = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    response["headers"] = defaults | response["headers"]
    return response


@step("api")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Take an event of the gateway and return a response."""
    return answer(event, context, resolver=RESOLVER, services=API_SERVICES)


def _check_role(resolver: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    event = resolver.current_event
    check_role(read_claims(event), event.route_key)
    return next_middleware(resolver)


def _answer_easel_error(error: EaselError) -> Response[str]:
    refusal = problems.refusal(error)
    if refusal.status >= 500:
        log_failure(error)
    return problems.answer(refusal)


def _answer_invalid(error: RequestValidationError) -> Response[str]:
    first = error.errors()[0]
    missing = first["type"] == "missing"
    rule = str(first["msg"]).removeprefix("Input should be ")
    name = str(first["loc"][-1])
    value = MISSING if missing else first.get("input")
    # A parameter with a field's name, such as the topic of the gallery, is as private as the field.
    if name in TABLE and not missing:
        value = TABLE[name].kind.shown(value)
    wrong = InputError(name, value, "a value" if missing else rule)
    return problems.answer(problems.refusal(wrong))


def _answer_no_route(_: NoRouteError) -> Response[str]:
    return problems.answer(
        Refusal(404, "NotFoundError", "there is no such path; GET /docs lists all paths")
    )


def _answer_unexpected(error: Exception) -> Response[str]:
    # The error's message is not returned: it may contain a prompt or a link.
    log_failure(error)
    detail = "an unexpected error; the function's log has the details"
    return problems.answer(Refusal(500, problems.UNEXPECTED, detail))


RESOLVER = app()


prepare(
    lambda: API_SERVICES.runs,
    lambda: API_SERVICES.batch_executions,
    lambda: API_SERVICES.gallery,
    lambda: API_SERVICES.search,
    lambda: API_SERVICES.image_links,
    lambda: API_SERVICES.upload_links,
)
