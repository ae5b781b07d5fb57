"""The caller's identity and the request's body and query, with the checks that all routes share."""

import hashlib
import json
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from easel.contract import naming
from easel.contract.errors import MISSING, InputError, Summary, label, summarize
from easel.contract.settings import ApiSettings
from functions.api.problems import UNKNOWN_CALLER, Refusal
from functions.api.routes import READ

MAX_BODY_BYTES = 256 * 1024  # the limit of a Step Functions input
JSON = "application/json"
EXAMPLE = 'a JSON object, for example {} or {"topic": "Sport"}'


def caller_id(event: APIGatewayProxyEventV2) -> str:
    """Return eight hexadecimal characters that identify the token's owner, person or program.

    Raises a Refusal with status 401 if the token names nobody.
    """
    return naming.hash_subject(_subject(event))


def safety_identifier(event: APIGatewayProxyEventV2, *, user_pool: str) -> str:
    """Return the identifier of the token's owner for OpenAI.

    Only someone who knows the user pool's subjects can tell whom it identifies. The subject of
    a program's token is its client id.
    """
    return hashlib.sha256(f"{user_pool}\n{_subject(event)}".encode()).hexdigest()


def started_by(event: APIGatewayProxyEventV2, settings: ApiSettings) -> dict[str, str]:
    """Return the fields of a request that name its caller."""
    is_page = read_claims(event).get("client_id") == settings.page_client
    return {
        "safety_identifier": safety_identifier(event, user_pool=settings.user_pool),
        "person": caller_id(event),
        "trigger": "page" if is_page else "api",
    }


def may_read(event: APIGatewayProxyEventV2) -> bool:
    """Return whether the token may read. A token that may only write starts runs it cannot see."""
    return READ in str(read_claims(event).get("scope", "")).split()


def read_body(event: APIGatewayProxyEventV2) -> dict[str, Any]:
    """Return the request's JSON object.

    Raises InputError, or a Refusal with status 413 or 415.
    """
    content_type = event.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise _refuse(415, InputError("content-type", content_type or MISSING, JSON))
    try:
        text = event.decoded_body or ""
    except UnicodeDecodeError:
        raise InputError("the body", Summary("not UTF-8"), EXAMPLE) from None
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_BODY_BYTES:
        allowed = f"at most {MAX_BODY_BYTES:,} bytes"
        raise _refuse(413, InputError("the body", Summary(f"{size:,} bytes long"), allowed))
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InputError("the body", Summary("nested too deep"), EXAMPLE) from None
    except ValueError as error:
        raise InputError("the body", Summary(f"not JSON ({error})"), EXAMPLE) from None
    if not isinstance(body, dict):
        raise InputError("the body", summarize(body), EXAMPLE)
    return body


def check_parameters(event: APIGatewayProxyEventV2, *known: str) -> dict[str, str]:
    """Return the query's parameters. Raises InputError for an unknown one."""
    parameters = event.query_string_parameters or {}
    for name, value in parameters.items():
        if name not in known:
            allowed = ", ".join(known) or "no parameters"
            reason = "there is no such parameter"
            raise InputError(label(name), summarize(value), allowed, but=reason)
    return dict(parameters)


def read_claims(event: APIGatewayProxyEventV2) -> dict[str, Any]:
    """Return the claims of the caller's token, which the gateway has checked."""
    authorizer = event.request_context.authorizer
    return dict(authorizer.jwt_claim or {}) if authorizer else {}


def _subject(event: APIGatewayProxyEventV2) -> str:
    subject = read_claims(event).get("sub")
    if not subject or not isinstance(subject, str):
        detail = "the token has no subject (sub); use an access token of this deployment's sign-in"
        raise Refusal(401, UNKNOWN_CALLER, detail)
    return subject


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def _refuse(status: int, error: InputError) -> Refusal:
    name = InputError.__name__
    return Refusal(status, name, str(error), field=error.field, allowed=error.allowed)
