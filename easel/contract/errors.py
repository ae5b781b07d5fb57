"""The errors of Easel. The class name is the interface: Step Functions retries and catches by it.

EaselError
├─ RetryableError
│  ├─ TransientError        the other side failed temporarily: try again
│  ├─ RateLimitedError      OpenAI asks to slow down
│  ├─ StorageBusyError      S3, DynamoDB or Secrets Manager is throttling or failing
│  └─ ClaimHeldError        another execution is buying this image or prompt: wait for it
└─ FinalError
   ├─ InputError            the request is wrong: names the field, the value and what is allowed
   ├─ ContentRefusedError   OpenAI refuses the content
   ├─ AuthError             OpenAI refuses the key
   ├─ QuotaExhaustedError   the OpenAI account has no credit left, or its limits admit no call
   ├─ BudgetExceededError   the estimate does not fit under the monthly cap
   ├─ BadPromptError        the chat model's answer contains no prompt, or was cut off
   ├─ BadImageError         the bytes that arrived are not an image that can be stored
   ├─ OutcomeUnknownError   possibly paid, but no image: someone has to decide
   ├─ StorageDeniedError    the role or the bucket's policy refuses
   ├─ ConflictError         another request has this run id, or the action does not fit its state
   ├─ NotFoundError         there is no such run, batch, image or folder
   ├─ BatchFailedError      more lines of a batch failed than it tolerates
   ├─ ConfigError           the deployment is set up wrong
   ├─ ReferenceGoneError    an image that others are made from no longer exists
   └─ ModelRetiredError     the model is shut down: names its successor
"""

import json
import re
from collections.abc import Sequence

from easel.contract.text import is_clean, printable

MISSING = object()  # the value of a required field that was not given
WORD = re.compile(r"[!-~]{0,100}")  # a value that errors repeat
MAX_SHOWN, MAX_ODD = 200, 5


class EaselError(Exception):
    """What failed, on which input, and what to do next.

    `possibly_paid` is true if OpenAI may have charged for a call whose answer never came.
    """

    def __init__(self, message: str, *, possibly_paid: bool = False) -> None:
        super().__init__(message)
        self.possibly_paid = possibly_paid

    def add(self, more: str | None) -> None:
        """Append to the message."""
        if more:
            self.args = (f"{self}; {more}",)


class RetryableError(EaselError):
    """A transient error: Step Functions retries the step."""


class TransientError(RetryableError):
    """The other side failed temporarily."""


class RateLimitedError(RetryableError):
    """OpenAI asks to slow down."""


class StorageBusyError(RetryableError):
    """S3, DynamoDB or Secrets Manager is throttling or failing temporarily."""


class ClaimHeldError(RetryableError):
    """Another execution is buying this image or prompt."""


class FinalError(EaselError):
    """A permanent error: it is never retried, because someone has to change something first."""


class Summary(str):
    """A description instead of a value. An error shows it without quotes."""

    __slots__ = ()


class InputError(FinalError):
    """The request is wrong. `but` is the reason, if the allowed values do not explain it.

    `nearest` are the allowed values that are most similar, for the page. The message never contains
    a prompt: pass `summarize(value)` for a private field.
    """

    def __init__(
        self,
        field: str,
        value: object,
        allowed: str,
        *,
        but: str = "",
        nearest: Sequence[str] = (),
    ) -> None:
        field = printable(field)[:MAX_SHOWN]
        shown = "missing" if value is MISSING else _show(value)
        reason = f", but {but}" if but else ""
        super().__init__(f"{field} is {shown}{reason}; allowed: {allowed}")
        self.field, self.allowed, self.reason, self.nearest = field, allowed, but, nearest


class ContentRefusedError(FinalError):
    """OpenAI refuses the content. `category` is OpenAI's own word for the reason."""

    def __init__(self, message: str, *, category: str, possibly_paid: bool = False) -> None:
        super().__init__(message, possibly_paid=possibly_paid)
        self.category = category


class AuthError(FinalError):
    """OpenAI refuses the key."""


class QuotaExhaustedError(FinalError):
    """The OpenAI account has no credit left, or its limits have admitted no call for long."""


class BudgetExceededError(FinalError):
    """The estimate does not fit under the monthly cap."""


class BadPromptError(FinalError):
    """The chat model answered, but without a prompt that can be painted."""


class BadImageError(FinalError):
    """The bytes that arrived are not an image that can be stored. They stay in staging."""


class OutcomeUnknownError(FinalError):
    """Two purchases got no answer, or S3 refused a paid image until the deadline."""


class StorageDeniedError(FinalError):
    """The role or the bucket's policy refuses."""


class ConflictError(FinalError):
    """This run id belongs to another request, or the action does not fit the run's state."""


class NotFoundError(FinalError):
    """There is no such run, batch, image or folder."""


class BatchFailedError(FinalError):
    """More lines of a batch failed than it tolerates. Its report lists them with reasons."""


class ConfigError(FinalError):
    """The deployment is set up wrong."""


class ReferenceGoneError(FinalError):
    """An image that others are made from was deleted permanently, or has changed."""


class ModelRetiredError(FinalError):
    """The model is shut down."""


# These end one image and not its run. The run's other images continue, and the cleanup step reports
# them all.
ONE_IMAGE = (ContentRefusedError, BadImageError, OutcomeUnknownError, ReferenceGoneError)
ENDS_ONE_IMAGE = tuple(error.__name__ for error in ONE_IMAGE)
# A run that failed with one of these would fail in the same way again. A run that lost an image is
# one of them: its records are final, so only a new run buys the image again.
FAILS_AGAIN = (
    InputError,
    ConflictError,
    ModelRetiredError,
    ReferenceGoneError,
    BadPromptError,
    BadImageError,
    OutcomeUnknownError,
)
NEVER_RESUMED = tuple(error.__name__ for error in FAILS_AGAIN)


def cause_message(cause: str | None) -> str:
    """Return a function's error message from an execution's cause, or else the whole cause."""
    try:
        return str(json.loads(cause or "")["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause or ""


def leaves(base: type[EaselError]) -> list[type[EaselError]]:
    """Return the leaf classes below `base`, in the order of their definition."""
    classes = [leaf for child in base.__subclasses__() for leaf in leaves(child)]
    return classes or [base]


def summarize(value: object) -> Summary:
    """Describe a value by its type and length, for errors that must not repeat it."""
    match value:
        case Summary():
            summary: str = value
        case str():
            odd = sorted({f"U+{ord(c):04X}" for c in set(value) if not is_clean(c)})
            extra = f" with {', '.join(odd[:MAX_ODD])}" if odd else ""
            summary = f"a text of {_count(len(value), 'character')}{extra}"
        case dict():
            summary = f"an object with {_count(len(value), 'field')}"
        case list() | tuple():
            summary = f"a list of {_count(len(value), 'value')}"
        case bool() | None:
            summary = json.dumps(value)
        case int() | float():
            summary = "a number"
        case _:
            summary = f"a {type(value).__name__}"
    return Summary(summary)


def label(name: object) -> str:
    """Return a name that a caller made up, such as an unknown field's, or describe it.

    Only a name that looks like one of ours is repeated. Anything else may be the caller's words.
    """
    text = str(name)
    is_like_ours = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", text) is not None
    return text if is_like_ours else f"a field whose name has {_count(len(text), 'character')}"


def _show(value: object) -> str:
    """Return a value for an error, in one line. Errors are logged and shown on terminals.

    Numbers, and a word such as a key or a choice, are repeated. Anything longer may be the caller's
    own words, which are summarized.
    """
    is_word = isinstance(value, str) and WORD.fullmatch(value) is not None
    is_short = isinstance(value, int | float) or is_word
    if is_short and not isinstance(value, Summary):
        return json.dumps(value)
    return printable(summarize(value)[:MAX_SHOWN])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
