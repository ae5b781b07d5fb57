"""The errors of Easel. The class name is the interface: Step Functions retries and catches by it.

EaselError
├─ RetryableError
│  ├─ TransientError        the other side failed in passing: try again
│  ├─ RateLimitedError      OpenAI asks to slow down
│  ├─ StorageBusyError      S3, DynamoDB or Secrets Manager is throttling or failing
│  └─ ClaimHeldError        another execution is buying this picture or prompt: wait for it
└─ FinalError
   ├─ InputError            the request is wrong: names the field, the value and what is allowed
   ├─ ContentRefusedError   OpenAI refuses the content
   ├─ AuthError             OpenAI refuses the key
   ├─ QuotaExhaustedError   the OpenAI account has no credit left
   ├─ BudgetExceededError   the estimate does not fit under the monthly cap
   ├─ BadImageError         what arrived is no picture that can be stored
   ├─ OutcomeUnknownError   paid, and nobody knows for what: a person decides
   ├─ StorageDeniedError    the role or the bucket's policy refuses
   ├─ ConflictError         this run id belongs to another request; or what is asked for does not fit its state
   ├─ NotFoundError         there is no such run, batch, picture or folder
   ├─ BatchFailedError      more lines of a batch failed than it tolerates
   ├─ ConfigError           the deployment is set up wrong
   └─ ModelRetiredError     the model is shut down: names its successor
"""

import json

MISSING = object()  # the value of a field that is needed and not there


class EaselError(Exception):
    """What failed, on which input, and what to do next.

    `possibly_paid` is true where OpenAI may have charged for a call whose answer never came.
    """

    def __init__(self, message: str, *, possibly_paid: bool = False) -> None:
        super().__init__(message)
        self.possibly_paid = possibly_paid

    def add(self, said: str | None) -> None:
        """Say more in the message."""
        if said:
            self.args = (f"{self}; {said}",)


class RetryableError(EaselError):
    """Passes by itself: Step Functions tries the step again."""


class TransientError(RetryableError):
    """The other side failed in passing."""


class RateLimitedError(RetryableError):
    """OpenAI asks to slow down."""


class StorageBusyError(RetryableError):
    """S3, DynamoDB or Secrets Manager is throttling or failing in passing."""


class ClaimHeldError(RetryableError):
    """Another execution is buying this picture or prompt."""


class FinalError(EaselError):
    """Stays until a person changes something: never retried."""


class InputError(FinalError):
    """The request is wrong."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} is {'missing' if value is MISSING else _shown(value)}; allowed: {allowed}")
        self.field, self.allowed = field, allowed


class ContentRefusedError(FinalError):
    """OpenAI refuses the content; `category` is OpenAI's own word for why."""

    def __init__(self, message: str, *, category: str, possibly_paid: bool = False) -> None:
        super().__init__(message, possibly_paid=possibly_paid)
        self.category = category


class AuthError(FinalError):
    """OpenAI refuses the key."""


class QuotaExhaustedError(FinalError):
    """The OpenAI account has no credit left."""


class BudgetExceededError(FinalError):
    """The estimate does not fit under the monthly cap."""


class BadImageError(FinalError):
    """What arrived is no picture that can be stored; it stays in staging."""


class OutcomeUnknownError(FinalError):
    """Bought twice and no answer came either time; or S3 refused a paid picture to the end."""


class StorageDeniedError(FinalError):
    """The role or the bucket's policy refuses."""


class ConflictError(FinalError):
    """This run id belongs to another request; or what is asked for does not fit the state that a run is in."""


class NotFoundError(FinalError):
    """There is no such run, batch, picture or folder."""


class BatchFailedError(FinalError):
    """More lines of a batch failed than it tolerates; its report says which and why."""


class ConfigError(FinalError):
    """The deployment is set up wrong."""


class ModelRetiredError(FinalError):
    """The model is shut down."""


# They end one picture and not its run: the others go on, and the cleanup step says at the end what became of it.
ONE_PICTURE = (ContentRefusedError, BadImageError, OutcomeUnknownError)


def _shown(value: object) -> str:
    """A value as JSON has it, on one line, at most 200 characters; what can't be printed, as control and bidi characters, escaped."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except RecursionError:
        return "nested too deep to be shown"
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:200])
    return printable if len(text) <= 200 else f"{printable}… ({len(text)} characters)"


def leaves(base: type[EaselError]) -> list[type[EaselError]]:
    """The classes below `base` that are raised, in the order of their definition."""
    found = [leaf for child in base.__subclasses__() for leaf in leaves(child)]
    return found or [base]
