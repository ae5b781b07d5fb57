"""Every error of the openai package, named by type and code, never by its message; and whether it may have cost money."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai

from functions import signals
from functions.errors import (
    AuthError,
    ConfigError,
    ContentRefusedError,
    EaselError,
    InputError,
    QuotaExhaustedError,
    RateLimitedError,
    TransientError,
)
from functions.telemetry import count, note

REFUSALS = frozenset({"moderation_blocked", "content_policy_violation"})
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# Says of itself that it failed or was never begun. 502, 504, 408 and 409 can hide a call that went through.
CERTAINLY_UNPAID = frozenset({500, 503, 529})
# These break before the request has left.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MAPPED = "at OpenAI see that the service account is mapped to this function's role"


def translate(error: openai.OpenAIError | httpx2.HTTPError, doing: str) -> EaselError:
    """The error of the tree that an error of openai, or of its transport while a body is read, stands for.

    The call's line gets OpenAI's id of the request; refusals for the pace are counted.
    """
    if isinstance(error, httpx2.HTTPError):
        return TransientError(f"{doing}: the answer broke off ({type(error).__name__})", possibly_paid=True)
    if isinstance(error, openai.APIStatusError):
        note(openai_request_id=error.request_id)
        return _by_status(error, doing)
    if isinstance(error, openai.APIConnectionError):
        note(openai_request_id=None)  # that of an earlier try would lead astray
        url, cause = error.request.url, error.__cause__ or error
        said = f"{doing}: no answer from {url.scheme}://{url.netloc.decode()} ({type(cause).__name__})"
        if isinstance(cause, httpx2.UnsupportedProtocol):
            return ConfigError(f"{said}; openai_base_url has to begin with http:// or https://")
        return TransientError(said, possibly_paid=not isinstance(cause, NOT_SENT))
    if isinstance(error, openai.APIError):
        return TransientError(f"{doing}: the answer makes no sense ({type(error).__name__})", possibly_paid=True)
    return ConfigError(f"{doing}: the openai package refused the call ({type(error).__name__})")


def translate_exchange(error: openai.OpenAIError | httpx2.HTTPError | RuntimeError) -> EaselError:
    """The error of the tree for one of the token exchange: a call that comes after it never left, so nothing was paid."""
    said = "exchanging this function's identity for a token at OpenAI"
    if isinstance(error, openai.OAuthError):
        return AuthError(
            f"{said}: it answered {error.status_code} {_word(error.error) or ''}".rstrip()
            + f"; {MAPPED}, and that openai_workload_identity names provider and account, then redrive"
        )
    # Of another answer than a token or a refusal the package tells no status: most are a server that is busy or down.
    return TransientError(f"{said}: no token came ({type(error).__name__})")


def retry_after(error: Exception) -> float | None:
    """The seconds that OpenAI asks to wait, None where it does not say: a number or a date (RFC 9110, 10.2.3)."""
    said = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    if said is None:
        return None
    if said.strip().isdecimal():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def may_mean_no_schema(error: openai.APIStatusError) -> bool:
    """Whether a refused chat call may pass without `response_format`: compatible servers that lack it seldom name the field."""
    param = _word(error.param) or ""
    return _word(error.code) not in REFUSALS and (not param or param.startswith("response_format"))


def _by_status(error: openai.APIStatusError, doing: str) -> EaselError:
    code, status = _word(error.code), error.status_code
    said = f"{doing}: OpenAI answered {status} {code or ''}".rstrip() + f" (request {error.request_id})"
    answer: EaselError
    if code in REFUSALS:
        answer = ContentRefusedError(f"{said}; change the prompt", category=_category(error))
    elif code in NO_CREDIT:
        answer = QuotaExhaustedError(
            f"{said}: the account has no credit left; add some, then run again with the same request_id or redrive"
        )
    elif status == 401:
        answer = AuthError(f"{said}: the key is not valid; set a new one with `make secret` (without a key: {MAPPED}), then redrive")
    elif status in (403, 404):
        answer = ConfigError(f"{said}: the account may not use this model, or there is none of that name")
    elif status == 429:
        wait = retry_after(error)
        count(signals.RATE_LIMITED)
        answer = RateLimitedError(said if wait is None else f"{said}; it asks to wait {wait:g} s")
    elif status in (408, 409) or status >= 500:
        answer = TransientError(said, possibly_paid=status not in CERTAINLY_UNPAID)
    else:
        answer = InputError(
            _word(error.param) or "the request", code or status, "what this model takes, see its page in OpenAI's documentation"
        )
    return answer


def _word(said: object) -> str | None:
    """A field of an error, where it is a text: servers differ."""
    return said if isinstance(said, str) else None


def _category(error: openai.APIStatusError) -> str:
    """OpenAI's own word for why: the first moderation category where it names one, else the code."""
    body: Any = error.body if isinstance(error.body, dict) else {}
    details = body.get("moderation_details") or body.get("details")
    categories = details.get("categories") if isinstance(details, dict) else None
    return str(categories[0]) if isinstance(categories, list) and categories else str(_word(error.code))
