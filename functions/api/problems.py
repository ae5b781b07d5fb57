"""Errors as the API tells them: application/problem+json (RFC 9457) with the error's class name and what to do about it."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import Response

from functions.errors import (
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

WHAT_TO_DO: dict[str, str] = {
    TransientError.__name__: "It passes by itself: go on with the run in a minute.",
    RateLimitedError.__name__: "OpenAI's limit of pictures a minute is reached: go on with the run in a few minutes.",
    StorageBusyError.__name__: "It passes by itself: try again in a minute.",
    ClaimHeldError.__name__: "Another run is buying this very picture: wait for it, then go on with this one.",
    InputError.__name__: "Change what is named, and send it again.",
    ContentRefusedError.__name__: "OpenAI refuses this content: describe another picture.",
    AuthError.__name__: "OpenAI refuses the key: whoever runs this deployment has to set a valid one, with make secret.",
    QuotaExhaustedError.__name__: "The OpenAI account has no credit left: add some, then go on with the run.",
    BudgetExceededError.__name__: "The month's budget is used up: raise it, or wait for the next month; then go on with the run.",
    BadImageError.__name__: "What OpenAI sent is no picture; the others are stored. Start a new run for another one.",
    OutcomeUnknownError.__name__: "It may have been paid, and no picture came. Look into OpenAI's usage page, then start a new run.",
    StorageDeniedError.__name__: "The bucket, its policy or a role refuses: whoever runs this deployment has to look at them.",
    ConflictError.__name__: "It does not fit what is there already: look at the run, or use another key.",
    NotFoundError.__name__: "Check the name: it may be mistyped, or gone.",
    BatchFailedError.__name__: "Look at its report, mend what is named, and start the batch again: it pays only for what is missing.",
    ConfigError.__name__: "The deployment is set up wrong: whoever runs it has to deploy it again.",
    ModelRetiredError.__name__: "Use the model that is named in its place.",
    UNEXPECTED: "It is no fault of yours, and it is in the log: try again, and tell whoever runs this deployment.",
}
# What did not come from the tree: Step Functions' own names, as States.Timeout.
OTHERWISE = "Go on with the run: it pays only for what is missing."
STATUS = {InputError: 400, ModelRetiredError: 400, NotFoundError: 404, ConflictError: 409, StorageBusyError: 503}


class Refusal(Exception):  # noqa: N818 - it is the answer itself
    """An answer that is an error."""

    def __init__(self, status: int, title: str, detail: str, *, field: str | None = None, allowed: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.field, self.allowed = status, title, field, allowed


def refusal(error: EaselError, *, status: int | None = None) -> Refusal:
    """The answer to an error of the tree."""
    field, allowed = (error.field, error.allowed) if isinstance(error, InputError) else (None, None)
    return Refusal(status or STATUS.get(type(error), 500), type(error).__name__, str(error), field=field, allowed=allowed)


def answer(refused: Refusal) -> Response[str]:
    """A refusal as it goes over the wire."""
    problem: dict[str, Any] = {
        "type": f"urn:easel:{refused.title}",
        "title": refused.title,
        "status": refused.status,
        "detail": str(refused),
        "what_to_do": what_to_do(refused.title),
    }
    problem |= {name: value for name, value in (("field", refused.field), ("allowed", refused.allowed)) if value is not None}
    wait: dict[str, str | list[str]] = {"Retry-After": str(RETRY_SECONDS)} if refused.status == 503 else {}
    return Response(status_code=refused.status, content_type=CONTENT_TYPE, body=json.dumps(problem), headers=wait)


def what_to_do(error: str) -> str:
    """The advice for an error by its name."""
    return WHAT_TO_DO.get(error, OTHERWISE)
