"""Translates openai's errors, and reports possible charges."""

from collections.abc import Mapping
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
from easel.openai_client.waits import retry_after

# With these statuses the service reports that it failed or never started. A 502, 504, 408 or 409
# can hide a call that succeeded.
CERTAINLY_UNPAID = frozenset({500, 503, 529})
# These errors occur before the request is sent.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
MAPPED = "check at OpenAI that the service account is mapped to this function's role"
MAX_MESSAGE = 200
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
    words = words_of(body)
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
        # A message about such a field hardly ever repeats the prompt. If it does, it is left out.
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
