"""Errors as the API returns them: application/problem+json (RFC 9457), with what to do next."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import Response

from easel.contract.errors import (
    AuthError,
    BadImageError,
    BatchFailedError,
    BudgetExceededError,
    ClaimHeldError,
    ConfigError,
    ConflictError,
    ContentRefusedError,
    EaselError,
    InputError,
    ModelRetiredError,
    NotFoundError,
    OutcomeUnknownError,
    QuotaExhaustedError,
    RateLimitedError,
    StorageBusyError,
    StorageDeniedError,
    TransientError,
)

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 2
UNEXPECTED = "UnexpectedError"

ADVICE: dict[type[EaselError], str] = {
    TransientError: "It passes by itself: go on with the run in a minute.",
    RateLimitedError: (
        "OpenAI's limit of pictures a minute is reached: go on with the run in a few minutes."
    ),
    StorageBusyError: "It passes by itself: try again in a minute.",
    ClaimHeldError: (
        "Another run is buying this very picture: wait for it, then go on with this one."
    ),
    InputError: "Change what is named, and send it again.",
    ContentRefusedError: "OpenAI refuses this content: describe another picture.",
    AuthError: (
        "OpenAI refuses the key: whoever runs this deployment has to set a valid one, with make "
        "secret."
    ),
    QuotaExhaustedError: (
        "The OpenAI account has no credit left: add some, then go on with the run."
    ),
    BudgetExceededError: (
        "The month's budget is used up: raise it, or wait for the next month; then go on with the "
        "run."
    ),
    BadImageError: (
        "What OpenAI sent is no picture; the others are stored. Start a new run for another one."
    ),
    OutcomeUnknownError: (
        "It may have been paid, and no picture came. Look into OpenAI's usage page, then start a "
        "new run."
    ),
    StorageDeniedError: (
        "The bucket, its policy or a role refuses: whoever runs this deployment has to look at "
        "them."
    ),
    ConflictError: "It does not fit what is there already: look at the run, or use another key.",
    NotFoundError: "Check the name: it may be mistyped, or gone.",
    BatchFailedError: (
        "Look at its report, mend what is named, and start the batch again: it pays only for what "
        "is missing."
    ),
    ConfigError: "The deployment is set up wrong: whoever runs it has to deploy it again.",
    ModelRetiredError: "Use the model that is named in its place.",
}
WHAT_TO_DO = {error.__name__: advice for error, advice in ADVICE.items()} | {
    UNEXPECTED: (
        "It is no fault of yours, and it is in the log: try again, and tell whoever runs this "
        "deployment."
    )
}
# For errors that are not Easel's but Step Functions' own, such as States.Timeout.
OTHERWISE = "Go on with the run: it pays only for what is missing."
STATUS: dict[type[EaselError], int] = {
    InputError: 400,
    ModelRetiredError: 400,
    NotFoundError: 404,
    ConflictError: 409,
    StorageBusyError: 503,
}


class Refusal(Exception):  # noqa: N818 - it is the answer itself
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        field: str | None = None,
        allowed: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.field, self.allowed = status, title, field, allowed


def refusal(error: EaselError, *, status: int | None = None) -> Refusal:
    """Return the answer to one of Easel's errors."""
    where = {}
    if isinstance(error, InputError):
        where = {"field": error.field, "allowed": error.allowed}
    code = status or STATUS.get(type(error), 500)
    return Refusal(code, type(error).__name__, str(error), **where)


def answer(refused: Refusal) -> Response[str]:
    """Return a refusal as it goes over the wire."""
    problem: dict[str, Any] = {
        "type": f"urn:easel:{refused.title}",
        "title": refused.title,
        "status": refused.status,
        "detail": str(refused),
        "what_to_do": what_to_do(refused.title),
    }
    where = (("field", refused.field), ("allowed", refused.allowed))
    problem |= {name: value for name, value in where if value is not None}
    headers: dict[str, str | list[str]] = {}
    if refused.status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return Response(
        status_code=refused.status,
        content_type=CONTENT_TYPE,
        body=json.dumps(problem),
        headers=headers,
    )


def what_to_do(error: str) -> str:
    """Return the advice for an error by its name."""
    return WHAT_TO_DO.get(error, OTHERWISE)
