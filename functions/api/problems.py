"""Errors as the API returns them: application/problem+json (RFC 9457), with advice."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from aws_lambda_powertools.event_handler import Response

from easel.contract.errors import (
    AuthError,
    BadImageError,
    BadPromptError,
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
    ReferenceGoneError,
    StorageBusyError,
    StorageDeniedError,
    TransientError,
)

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 2
UNEXPECTED = "UnexpectedError"
UNKNOWN_CALLER = "UnknownCallerError"
NOT_ALLOWED = "NotAllowedError"


class Advice(NamedTuple):
    """An error in words for the people who use Easel: a title, and what to do next."""

    title: str
    what_to_do: str


ADVICE: dict[type[EaselError], Advice] = {
    TransientError: Advice(
        "OpenAI is temporarily unavailable", "This is usually temporary. Resume in a minute."
    ),
    RateLimitedError: Advice(
        "OpenAI's rate limit reached", "Too many images at the same time. Resume in a few minutes."
    ),
    StorageBusyError: Advice("AWS is busy", "This is usually temporary. Try again in a minute."),
    ClaimHeldError: Advice(
        "Already being made", "Another run is making this image. Wait for it, then resume this one."
    ),
    InputError: Advice("Invalid request", "Correct the request and send it again."),
    ContentRefusedError: Advice(
        "Refused by OpenAI", "OpenAI's moderation refused this content. Change the description."
    ),
    AuthError: Advice(
        "OpenAI rejected the key", "Ask the person who runs this Easel to set a valid OpenAI key."
    ),
    QuotaExhaustedError: Advice(
        "OpenAI account out of credit",
        "Ask the person who runs this Easel to add credit at OpenAI, then resume.",
    ),
    BudgetExceededError: Advice(
        "Budget reached",
        "Ask the person who runs this Easel to raise the budget in the details, or wait for next "
        "month; then resume.",
    ),
    BadPromptError: Advice(
        "No usable prompt",
        "The chat model's answer was cut off or contained no prompt. Shorten the idea, or write "
        "the prompt yourself.",
    ),
    BadImageError: Advice(
        "Unusable image",
        "OpenAI returned a file that is not an image. The other images are stored. Start a new "
        "run to replace this one.",
    ),
    OutcomeUnknownError: Advice(
        "No image, possibly paid",
        "OpenAI may have charged for an image that never arrived. The other images are stored. "
        "Start a new run to replace it.",
    ),
    StorageDeniedError: Advice(
        "AWS denied access",
        "Ask the person who runs this Easel to check the permissions in the details.",
    ),
    ConflictError: Advice(
        "Conflicts with something that exists",
        "Look at the existing run or image, or start a new run.",
    ),
    NotFoundError: Advice("Not found", "Check the name. It may be misspelled or deleted."),
    BatchFailedError: Advice(
        "Too many lines failed",
        "Fix the lines that the report lists, then start the batch again. It pays only for what "
        "is missing.",
    ),
    ConfigError: Advice(
        "Easel is not set up correctly",
        "Ask the person who runs this Easel to check the setting in the details.",
    ),
    ModelRetiredError: Advice(
        "Model no longer available", "Choose another model. The details name its successor."
    ),
    ReferenceGoneError: Advice(
        "A reference image is gone",
        "Start a new run with another reference image. You do not pay for the missing pictures.",
    ),
}
UNEXPECTED_ADVICE = Advice(
    "Unexpected error",
    "Try again. If it keeps failing, tell the person who runs this Easel: the log has the details.",
)
UNKNOWN_CALLER_ADVICE = Advice("Not signed in", "Sign in again, or get a token with `make token`.")
NOT_ALLOWED_ADVICE = Advice(
    "Not allowed", "Ask an administrator of this Easel for a role that allows it."
)
# These errors have no class: they are in the report of a batch, or in a stopped execution.
OTHERS = {
    "Stopped": Advice("Stopped", "Resume it. You pay only for what is missing."),
    "NotMade": Advice(
        "OpenAI did not make it in time",
        "It cost nothing. Resume the batch to order it again, or start it without economy.",
    ),
    "Unknown": Advice("Not finished", "Resume the batch. It pays only for what is missing."),
}
BY_NAME = (
    {error.__name__: advice for error, advice in ADVICE.items()}
    | OTHERS
    | {
        UNEXPECTED: UNEXPECTED_ADVICE,
        UNKNOWN_CALLER: UNKNOWN_CALLER_ADVICE,
        NOT_ALLOWED: NOT_ALLOWED_ADVICE,
    }
)
# This is for errors of Step Functions itself, such as States.Timeout.
OTHER_ADVICE = Advice("The run failed", "Resume it. You pay only for what is missing.")
STATUS: dict[type[EaselError], int] = {
    InputError: 400,
    ModelRetiredError: 400,
    NotFoundError: 404,
    ConflictError: 409,
    StorageBusyError: 503,
}


class Refusal(Exception):  # noqa: N818 - it is the answer itself
    """A response that is an error."""

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        field: str | None = None,
        allowed: str | None = None,
        nearest: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.status, self.error, self.field, self.allowed = status, error, field, allowed
        self.nearest = nearest


def refusal(error: EaselError, *, status: int | None = None) -> Refusal:
    """Return the refusal for one of Easel's errors."""
    code, name = status or STATUS.get(type(error), 500), type(error).__name__
    if not isinstance(error, InputError):
        return Refusal(code, name, str(error))
    where = {"field": error.field, "allowed": error.allowed}
    return Refusal(code, name, str(error), nearest=error.nearest, **where)


def answer(problem: Refusal) -> Response[str]:
    """Return the HTTP response for a refusal."""
    advice = advice_for(problem.error)
    body: dict[str, Any] = {
        "type": f"urn:easel:{problem.error}",
        "title": advice.title,
        "status": problem.status,
        "detail": str(problem),
        "error": problem.error,
        "what_to_do": advice.what_to_do,
    }
    where = (("field", problem.field), ("allowed", problem.allowed))
    body |= {name: value for name, value in where if value is not None}
    body |= {"nearest": problem.nearest} if problem.nearest else {}
    headers: dict[str, str | list[str]] = {}
    if problem.status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return Response(
        status_code=problem.status,
        content_type=CONTENT_TYPE,
        body=json.dumps(body),
        headers=headers,
    )


def advice_for(error: str) -> Advice:
    """Return the advice for an error, by the error's name."""
    return BY_NAME.get(error, OTHER_ADVICE)
