"""Translates openai's errors, and reports possible charges.

OpenAI, Azure OpenAI and gateways put the reason into different fields, so all of them are read. A
message is read only if no field has a known word, because messages change.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
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

# With these statuses the service reports that it failed or never started. A 502, 504, 408 or 409
# can hide a call that succeeded.
CERTAINLY_UNPAID = frozenset({500, 503, 529})
# These errors occur before the request is sent.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MAPPED = "check at OpenAI that the service account is mapped to this function's role"
MAX_DEPTH = 5
MAX_MESSAGE = 200
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
OPENAI = "openai.com"


class Reason(StrEnum):
    """Why a call was refused, as far as a provider says it."""

    REFUSED = "refused"
    NO_CREDIT = "no credit"
    UNVERIFIED = "unverified"
    REGION = "region"
    UNKNOWN = "unknown"


# The words of the fields code, type and status, of any provider.
WORDS = {
    Reason.REFUSED: {
        "moderation_blocked",
        "content_policy_violation",
        "content_filter",
        "responsibleaipolicyviolation",
        "contentpolicyviolationerror",
        "safety_violation",
    },
    Reason.NO_CREDIT: {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "insufficient_credits",
        "insufficient_user_quota",
        "budget_exceeded",
        "credit_balance_too_low",
    },
    Reason.UNVERIFIED: {"organization_not_verified", "organization_must_be_verified"},
    Reason.REGION: {"unsupported_country_region_territory", "unsupported_location"},
}
# The sentences of messages, for gateways that replace the fields. Each is a part that does not
# change.
SENTENCES = {
    Reason.REFUSED: (
        "content_policy_violation",
        "content policy",
        "content management policy",
        "safety system",
        "moderation_blocked",
        "responsibleaipolicyviolation",
    ),
    Reason.NO_CREDIT: (
        "insufficient_quota",
        "exceeded your current quota",
        "billing hard limit",
        "billing_not_active",
        "account is not active",
        "budget has been exceeded",
    ),
    Reason.UNVERIFIED: ("must be verified",),
    Reason.REGION: ("unsupported_country", "country, region, or territory not supported"),
}
# With one of these words the fields say enough, and the message is not read.
SPECIFIC = {
    "context_length_exceeded",
    "invalid_api_key",
    "invalid_value",
    "missing_required_parameter",
    "model_not_found",
    "rate_limit_exceeded",
    "server_error",
    "string_above_max_length",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
}
VERIFY = (
    "OpenAI gives this model only to verified organizations: verify yours under Settings → "
    "Organization → General at platform.openai.com; access takes up to 15 minutes, then resume the "
    "run"
)
REGION = (
    "OpenAI does not serve the country or region of this deployment; deploy in a supported region, "
    "or set openai_base_url to an endpoint that serves it"
)
CREDIT = "the account has no credit left or is not active; add credit, then resume the run"
NO_ACCESS = (
    "the model does not exist, or the account has no access to it; check the model's name, and the "
    "project's models at OpenAI"
)
BLOCKED = (
    "the answer is a web page, so a firewall or a proxy in front of the server refused the call; "
    "check openai_base_url, and that this address may call it"
)
INVALID_KEY = (
    "the key is not valid; set a new one with `make secret` (locally in OPENAI_API_KEY); "
    "docs/openai-without-a-key.md explains a deployment without a key"
)


def translate(
    error: openai.OpenAIError | httpx2.HTTPError,
    doing: str,
    parameters: Mapping[str, Any] | None = None,
) -> EaselError:
    """Return Easel's error for an error of openai, or of its transport while a body is read.

    `parameters` are the call's, to name the value that was refused. Also adds OpenAI's request id
    to the call's log line, and counts rate limit errors.
    """
    name = type(error).__name__
    if isinstance(error, httpx2.HTTPError):
        return TransientError(f"{doing}: the answer was cut off ({name})", possibly_paid=True)
    if isinstance(error, openai.APIStatusError):
        note(openai_request_id=error.request_id)
        return _by_status(error, doing, parameters or {})
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


def translate_answer(answer: Mapping[str, Any], doing: str) -> EaselError | None:
    """Return Easel's error for an answer of status 200 that contains an error, or None.

    Some gateways send the provider's error in this way. Whether it was charged is unknown, unless
    the error's own words say that the call was refused.
    """
    body = answer.get("error")
    if not body or answer.get("data") or answer.get("choices"):
        return None
    failed = f"{doing}: the server answered 200 with an error ({_shown_code(body) or 'no code'})"
    words = set(_words(body))
    refused = _by_reason(reason_of(body), failed, body)
    if refused:
        return refused
    if words & {"rate_limit_exceeded", "rate_limit_error", "429"}:
        return RateLimitedError(failed)
    if words & {"invalid_request_error", "invalid_value", "unknown_parameter", "400"}:
        field = _text(body.get("param")) if isinstance(body, dict) else None
        reason = Summary("refused by the server")
        return InputError(field or "the request", reason, "what this model accepts")
    return TransientError(failed, possibly_paid=True)


def reason_of(body: object) -> Reason:
    """Return the reason in an error's body: by its fields, and as a last resort by its message."""
    words = set(_words(body))
    for reason, known in WORDS.items():
        if words & known:
            return reason
    text = "" if words & SPECIFIC else _message(body).lower()
    for reason, sentences in SENTENCES.items():
        if any(sentence in text for sentence in sentences):
            return reason
    return Reason.UNKNOWN


def retry_after(error: Exception) -> float | None:
    """Return the seconds that the server asks to wait, or None.

    It reads the header of RFC 9110 (10.2.3), the same in milliseconds, and OpenAI's headers with
    the time until a limit is reset.
    """
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return _until_reset(headers) if error.status_code == 429 else None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the limits that are used up are reset, or None if none is known."""
    resets = {
        name: _duration(headers.get(f"x-ratelimit-reset-{name}")) for name in ("requests", "tokens")
    }
    known = {name: seconds for name, seconds in resets.items() if seconds is not None}
    used_up = [
        known[name] for name in known if headers.get(f"x-ratelimit-remaining-{name}", "") == "0"
    ]
    return max(used_up or known.values(), default=None)


def _duration(text: str | None) -> float | None:
    """Read a duration such as 6m0s or 120ms, as OpenAI writes it."""
    match = DURATION.fullmatch(text.strip()) if text else None
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _number(text: str | None) -> float | None:
    """Return a number of zero or more, or None."""
    is_number = text is not None and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip())
    return float(text) if text and is_number else None


def _by_connection(error: openai.APIConnectionError, doing: str) -> EaselError:
    note(openai_request_id=None)  # the id of an earlier attempt would mislead
    url, cause = error.request.url, error.__cause__ or error
    where = f"{url.scheme}://{url.netloc.decode()}"
    failed = f"{doing}: no answer from {where} ({type(cause).__name__})"
    if isinstance(cause, httpx2.UnsupportedProtocol):
        return ConfigError(f"{failed}; openai_base_url must begin with http:// or https://")
    return TransientError(failed, possibly_paid=not isinstance(cause, NOT_SENT))


def _by_status(
    error: openai.APIStatusError, doing: str, parameters: Mapping[str, Any]
) -> EaselError:
    code, status = _shown_code(error.body), error.status_code
    failed = f"{doing}: {_server(error)} answered {status} {code or ''}".rstrip()
    failed += f" (request {error.request_id})"
    result = _by_reason(reason_of(error.body), failed, error.body)
    if result:
        return result
    if status == 401:
        result = AuthError(f"{failed}: {INVALID_KEY}")
    elif status == 402:
        result = QuotaExhaustedError(f"{failed}: {CREDIT}")
    elif status in (403, 404):
        result = ConfigError(f"{failed}: {BLOCKED if _is_web_page(error) else NO_ACCESS}")
    elif status == 429:
        wait = retry_after(error)
        count(metric_names.RATE_LIMITED)
        result = RateLimitedError(failed if wait is None else f"{failed}; retry after {wait:g} s")
    elif status in (408, 409) or status >= 500:
        result = TransientError(failed, possibly_paid=status not in CERTAINLY_UNPAID)
    else:
        result = _invalid(error, parameters)
    return result


def _by_reason(reason: Reason, failed: str, body: object) -> EaselError | None:
    """Return the error for a known reason, which no status can change."""
    if reason is Reason.REFUSED:
        return ContentRefusedError(f"{failed}; change the prompt", category=category(body))
    if reason is Reason.NO_CREDIT:
        return QuotaExhaustedError(f"{failed}: {CREDIT}")
    if reason is Reason.UNVERIFIED:
        return ConfigError(f"{failed}: {VERIFY}")
    if reason is Reason.REGION:
        return ConfigError(f"{failed}: {REGION}")
    return None


def _invalid(error: openai.APIStatusError, parameters: Mapping[str, Any]) -> InputError:
    """Return the error for a parameter that the server does not accept, with the value sent."""
    field = _text(error.param) or ""
    code = f"{error.status_code} {_shown_code(error.body) or ''}".rstrip()
    reason = f"{_server(error)} refused it ({code})"
    if field in parameters and field not in ("prompt", "messages"):
        # A message about such a field does not repeat the prompt, but a server may be odd.
        message = _message(error.body)
        private = str(parameters.get("prompt", ""))[:40]
        if message and not (private and private in message):
            reason += f": {' '.join(message.split())[:MAX_MESSAGE]}"
        allowed = f"what {parameters.get('model')} accepts"
        return InputError(field, parameters[field], allowed, but=reason)
    allowed = "what this model accepts; see its page in the provider's documentation"
    return InputError(field or "the request", Summary(f"refused ({code})"), allowed)


def _server(error: openai.APIStatusError) -> str:
    """Return the server's name for a message."""
    host = error.request.url.host
    is_openai = host == OPENAI or host.endswith(f".{OPENAI}")
    return "OpenAI" if is_openai else f"the server {error.request.url.netloc.decode()}"


def _is_web_page(error: openai.APIStatusError) -> bool:
    kind = error.response.headers.get("content-type", "")
    return kind.startswith("text/html") or _message(error.body).lstrip().startswith("<")


def _words(value: object, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Yield the words of the fields code, type and status at any depth of an error's body."""
    if depth == 0:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in ("code", "type", "status") and isinstance(inner, str | int):
                yield str(inner).lower()
            else:
                yield from _words(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner, depth - 1)


def _message(body: object) -> str:
    """Return the message of an error's body, or the whole body if it is text."""
    if isinstance(body, Mapping):
        return _text(body.get("message")) or _text(body.get("detail")) or ""
    return _text(body) or ""


def _shown_code(body: object) -> str | None:
    """Return the code of an error for a message. It is a short word of the server."""
    code = body.get("code") or body.get("type") if isinstance(body, Mapping) else None
    return code if isinstance(code, str) and re.fullmatch(r"[\w.-]{1,60}", code) else None


def _text(value: object) -> str | None:
    """Return an error's field if it is text. Servers differ in its type."""
    return value if isinstance(value, str) else None


def category(body: object) -> str:
    """Return the provider's word for the reason: the first category, or else the code."""
    fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    details = fields.get("moderation_details") or fields.get("details")
    categories = details.get("categories") if isinstance(details, dict) else None
    if isinstance(categories, list) and categories:
        return str(categories[0])
    # Azure reports each category with a severity, and whether it was filtered.
    inner = fields.get("innererror")
    results = inner.get("content_filter_result") if isinstance(inner, dict) else None
    filtered = [
        name
        for name, result in (results.items() if isinstance(results, dict) else ())
        if isinstance(result, dict) and result.get("filtered")
    ]
    known = [word for word in _words(body) if word in WORDS[Reason.REFUSED]]
    return str((filtered or known or [_shown_code(body) or "content_filter"])[0])
