"""Translates openai's errors by type and code, never by message, and reports possible charges."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import openai

from easel.aws.observability import count, note
from easel.contract import metric_names
from easel.contract.errors import (
    AuthError,
    ConfigError,
    ContentRefusedError,
    EaselError,
    InputError,
    QuotaExhaustedError,
    RateLimitedError,
    Summary,
    TransientError,
)

REFUSALS = frozenset({"moderation_blocked", "content_policy_violation"})
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# With these statuses the service reports that it failed or never started. A 502, 504, 408 or 409
# can hide a call that succeeded.
CERTAINLY_UNPAID = frozenset({500, 503, 529})
# These errors occur before the request is sent.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MAPPED = "check at OpenAI that the service account is mapped to this function's role"


def translate(error: openai.OpenAIError | httpx2.HTTPError, doing: str) -> EaselError:
    """Return Easel's error for an error of openai, or of its transport while a body is read.

    Also adds OpenAI's request id to the call's log line, and counts rate limit errors.
    """
    name = type(error).__name__
    if isinstance(error, httpx2.HTTPError):
        return TransientError(f"{doing}: the answer was cut off ({name})", possibly_paid=True)
    if isinstance(error, openai.APIStatusError):
        note(openai_request_id=error.request_id)
        return _by_status(error, doing)
    if isinstance(error, openai.APIConnectionError):
        return _by_connection(error, doing)
    if isinstance(error, openai.APIError):
        return TransientError(f"{doing}: the answer could not be read ({name})", possibly_paid=True)
    return ConfigError(f"{doing}: the openai package refused the call ({name})")


def translate_exchange(error: openai.OpenAIError | httpx2.HTTPError | RuntimeError) -> EaselError:
    """Return Easel's error for a failed token exchange. No paid call was sent."""
    doing = "exchanging this function's identity for a token at OpenAI"
    if isinstance(error, openai.OAuthError):
        response = f"it answered {error.status_code} {_text(error.error) or ''}".rstrip()
        return AuthError(
            f"{doing}: {response}; {MAPPED}, and check the provider and account in "
            "openai_workload_identity"
        )
    # The package reports no status for any other answer. Most come from a server that is busy or
    # down.
    return TransientError(f"{doing}: no token in the answer ({type(error).__name__})")


def retry_after(error: Exception) -> float | None:
    """Return the seconds that OpenAI asks to wait, or None (RFC 9110, 10.2.3)."""
    if not isinstance(error, openai.APIStatusError):
        return None
    value = error.response.headers.get("retry-after")
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def may_mean_no_schema(error: openai.APIStatusError) -> bool:
    """Return whether a refused chat call may succeed without `response_format`.

    Compatible servers that lack the field seldom name it in their error.
    """
    param = _text(error.param) or ""
    unnamed = not param or param.startswith("response_format")
    return _text(error.code) not in REFUSALS and unnamed


def _by_connection(error: openai.APIConnectionError, doing: str) -> EaselError:
    note(openai_request_id=None)  # the id of an earlier attempt would mislead
    url, cause = error.request.url, error.__cause__ or error
    where = f"{url.scheme}://{url.netloc.decode()}"
    failed = f"{doing}: no answer from {where} ({type(cause).__name__})"
    if isinstance(cause, httpx2.UnsupportedProtocol):
        return ConfigError(f"{failed}; openai_base_url must begin with http:// or https://")
    return TransientError(failed, possibly_paid=not isinstance(cause, NOT_SENT))


def _by_status(error: openai.APIStatusError, doing: str) -> EaselError:
    code, status = _text(error.code), error.status_code
    failed = f"{doing}: OpenAI answered {status} {code or ''}".rstrip()
    failed += f" (request {error.request_id})"
    result: EaselError
    if code in REFUSALS:
        result = ContentRefusedError(f"{failed}; change the prompt", category=_category(error))
    elif code in NO_CREDIT:
        result = QuotaExhaustedError(
            f"{failed}: the account has no credit left; add credit, then resume the run"
        )
    elif status == 401:
        result = AuthError(
            f"{failed}: the key is not valid; set a new one with `make secret` (locally in "
            "OPENAI_API_KEY); docs/openai-without-a-key.md explains a deployment without a key"
        )
    elif status in (403, 404):
        result = ConfigError(
            f"{failed}: the model does not exist, or the account has no access to it; check the "
            "model's name, and the project's models at OpenAI"
        )
    elif status == 429:
        wait = retry_after(error)
        count(metric_names.RATE_LIMITED)
        result = RateLimitedError(failed if wait is None else f"{failed}; retry after {wait:g} s")
    elif status in (408, 409) or status >= 500:
        result = TransientError(failed, possibly_paid=status not in CERTAINLY_UNPAID)
    else:
        allowed = "what this model accepts; see its page in OpenAI's documentation"
        reason = Summary(f"refused by OpenAI ({code or status})")
        result = InputError(_text(error.param) or "the request", reason, allowed)
    return result


def _text(value: object) -> str | None:
    """Return an error's field if it is text. Servers differ in its type."""
    return value if isinstance(value, str) else None


def _category(error: openai.APIStatusError) -> str:
    """Return OpenAI's word for the reason: the first moderation category, or else the code."""
    body: Any = error.body if isinstance(error.body, dict) else {}
    details = body.get("moderation_details") or body.get("details")
    categories = details.get("categories") if isinstance(details, dict) else None
    if isinstance(categories, list) and categories:
        return str(categories[0])
    return str(_text(error.code))
