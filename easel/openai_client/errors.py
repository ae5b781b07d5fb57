"""Translates openai's errors, and reports possible charges."""

import re
from collections.abc import Mapping
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
from easel.openai_client.reasons import (
    Reason,
    category,
    message_of,
    reason_of,
    shown_code,
    words_of,
)

# With these statuses the service reports that it failed or never started. A 502, 504, 408 or 409
# can hide a call that succeeded.
CERTAINLY_UNPAID = frozenset({500, 503, 529})
# These errors occur before the request is sent.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MAPPED = "check at OpenAI that the service account is mapped to this function's role"
MAX_MESSAGE = 200
DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
# OpenAI and Azure name the wait in the message, if no header has it.
WAIT = re.compile(
    r"(?:try again|retry) (?:in|after) "
    r"((?:\d{1,6}(?:\.\d{1,9})?(?:ms|[dhms])?){1,4})(?!\d| ?(?:min|hour|day))",
    re.IGNORECASE,
)
OPENAI = "openai.com"
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
NOT_AN_API = (
    "this address, or a proxy before it, does not take the call; check openai_base_url, which "
    "usually ends with /v1"
)
PERMISSION = (
    "the key lacks a permission for this call; allow it in the key's settings at OpenAI, or set "
    "another key with `make secret` (locally in OPENAI_API_KEY)"
)
CLOSED = "the provider has closed the account; ask its support, or set the key of another account"
ADDRESS = "the project at OpenAI admits only certain IP addresses; add the functions' address there"
INVALID_KEY = (
    "the key is not valid; set a new one with `make secret` (locally in OPENAI_API_KEY); "
    "docs/openai-without-a-key.md explains a deployment without a key"
)
# The error of each reason, and what to do about it.
ADVICE: Mapping[Reason, tuple[type[EaselError], str]] = {
    Reason.NO_CREDIT: (QuotaExhaustedError, CREDIT),
    Reason.UNVERIFIED: (ConfigError, VERIFY),
    Reason.REGION: (ConfigError, REGION),
    Reason.KEY: (AuthError, INVALID_KEY),
    Reason.PERMISSION: (AuthError, PERMISSION),
    Reason.CLOSED: (AuthError, CLOSED),
    Reason.ADDRESS: (AuthError, ADDRESS),
}
# The statuses that have one meaning, if the body gives no reason.
FINAL: Mapping[int, tuple[type[EaselError], str]] = {
    401: (AuthError, INVALID_KEY),
    402: (QuotaExhaustedError, CREDIT),
    403: (ConfigError, NO_ACCESS),
    404: (ConfigError, NO_ACCESS),
    405: (ConfigError, NOT_AN_API),
    407: (ConfigError, NOT_AN_API),
}


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

    Call this for an answer without an image or a text. Some gateways send the provider's error in
    this way. Whether it was charged is unknown, unless the error's own words say that the call was
    refused.
    """
    body = _error_in(answer)
    failed = f"{doing}: the server answered 200 with an error ({shown_code(body) or 'no code'})"
    words = set(words_of(body))
    known = _by_reason(reason_of(body), failed, body)
    if known or body is answer:
        return known
    if words & {"ratelimitexceeded", "ratelimiterror", "429"}:
        return RateLimitedError(failed)
    for status, (kind, advice) in FINAL.items():
        if str(status) in words:
            return kind(f"{failed}: {advice}")
    if words & {"invalidrequesterror", "invalidvalue", "unknownparameter", "400", "422"}:
        field = _text(body.get("param")) if isinstance(body, dict) else None
        reason = Summary("refused by the server")
        return InputError(field or "the request", reason, "what this model accepts")
    return TransientError(failed, possibly_paid=True)


def _error_in(answer: Mapping[str, Any]) -> object:
    """Return the error in an answer, or in its first image or text, or else the answer itself."""
    parts = [answer.get("data"), answer.get("choices")]
    first = [part[0] for part in parts if isinstance(part, list) and part]
    errors = [each.get("error") for each in (answer, *first) if isinstance(each, Mapping)]
    return next((error for error in errors if error), answer)


def retry_after(error: Exception) -> float | None:
    """Return the seconds that the server asks to wait, or None.

    RFC 9110 (10.2.3) defines the usual header. Others have milliseconds, or the time until a limit
    is reset. A rate limit's message may name the time, too.
    """
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return _until_reset(headers, error.body) if error.status_code == 429 else None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _until_reset(headers: Mapping[str, str], body: object) -> float | None:
    """Return the seconds until the limits that are used up are reset, or None if none is known."""
    resets = {
        name: _duration(headers.get(f"x-ratelimit-reset-{name}")) for name in ("requests", "tokens")
    }
    known = {name: seconds for name, seconds in resets.items() if seconds is not None}
    used_up = [
        known[name] for name in known if headers.get(f"x-ratelimit-remaining-{name}", "") == "0"
    ]
    wait = WAIT.search(message_of(body))
    others = (_duration(headers.get("ratelimit-reset")), _duration(wait[1]) if wait else None)
    other = next((seconds for seconds in others if seconds is not None), None)
    return max(used_up or known.values(), default=other)


def _duration(text: str | None) -> float | None:
    """Read a duration such as 6m0s or 120ms, as OpenAI writes it, or a number of seconds."""
    match = DURATION.fullmatch(text.strip()) if text else None
    if match is None or not any(match.groups()):
        return _number(text)
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


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
    code, status = shown_code(error.body), error.status_code
    code = None if code == str(status) else code
    failed = f"{doing}: {_server(error)} answered {status} {code or ''}".rstrip()
    failed += f" (request {error.request_id})"
    known = _by_reason(reason_of(error.body), failed, error.body)
    if known:
        return known
    if status == 429:
        wait = retry_after(error)
        count(metric_names.RATE_LIMITED)
        return RateLimitedError(failed if wait is None else f"{failed}; retry after {wait:g} s")
    if status in (408, 409) or status >= 500:
        return TransientError(failed, possibly_paid=status not in CERTAINLY_UNPAID)
    if status in (403, 404) and _is_web_page(error):
        return ConfigError(f"{failed}: {BLOCKED}")
    if status in FINAL:
        kind, advice = FINAL[status]
        return kind(f"{failed}: {advice}")
    return _invalid(error, parameters)


def _by_reason(reason: Reason, failed: str, body: object) -> EaselError | None:
    """Return the error for a known reason, which no status can change."""
    if reason is Reason.REFUSED:
        return ContentRefusedError(f"{failed}; change the prompt", category=category(body))
    kind, advice = ADVICE.get(reason, (None, ""))
    return kind(f"{failed}: {advice}") if kind else None


def _invalid(error: openai.APIStatusError, parameters: Mapping[str, Any]) -> InputError:
    """Return the error for a parameter that the server does not accept, with the value sent."""
    field = _text(error.param) or ""
    code = f"{error.status_code} {shown_code(error.body) or ''}".rstrip()
    reason = f"{_server(error)} refused it ({code})"
    if field in parameters and field not in ("prompt", "messages"):
        # A message about such a field does not repeat the prompt, but a server may be odd.
        message = message_of(error.body)
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
    text = message_of(error.body).lstrip()
    return kind.startswith("text/html") or text.startswith(("<", "error code: 1"))  # Cloudflare's


def _text(value: object) -> str | None:
    """Return an error's field if it is text. Servers differ in its type."""
    return value if isinstance(value, str) else None
