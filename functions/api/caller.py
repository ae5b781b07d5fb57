"""What a caller sends: who he is, and the body, checked as far as every route needs it."""

import hashlib
import json
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from functions.api.problems import Refusal
from functions.errors import MISSING, InputError

MAX_BODY_BYTES = 256 * 1024  # Step Functions takes as much
JSON = "application/json"
EXAMPLE = 'a JSON object, for example {} or {"topic": "Sport"}'


def caller(event: APIGatewayProxyEventV2) -> str:
    """Eight hexadecimal characters that stand for the one whose token this is, a person or a machine."""
    return hashlib.sha256(str(_claims(event)["sub"]).encode()).hexdigest()[:8]


def safety_identifier(event: APIGatewayProxyEventV2, *, user_pool: str) -> str:
    """What OpenAI is told of the one whose token this is: nobody without the pool's own subjects can tell who it is.

    Of a program, the token's subject is its client's id.
    """
    return hashlib.sha256(f"{user_pool}\n{_claims(event)['sub']}".encode()).hexdigest()


def body(event: APIGatewayProxyEventV2) -> dict[str, Any]:
    """The JSON object that was sent. Raises InputError, or a Refusal with 413 or 415."""
    sent = event.headers.get("content-type", "")
    if sent.partition(";")[0].strip().lower() != JSON:
        raise _refused(415, InputError("content-type", sent or MISSING, JSON))
    try:
        text = event.decoded_body or ""
    except UnicodeDecodeError:
        raise InputError("the body", "no UTF-8", EXAMPLE) from None
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_BODY_BYTES:
        raise _refused(413, InputError("the body", f"of {size:,} bytes", f"at most {MAX_BODY_BYTES:,} bytes"))
    try:
        read = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise InputError("the body", "nested too deep", EXAMPLE) from None
    except ValueError as error:
        raise Refusal(
            400, InputError.__name__, f"the body is no JSON ({error}); allowed: {EXAMPLE}", field="the body", allowed=EXAMPLE
        ) from None
    if not isinstance(read, dict):
        raise InputError("the body", read, EXAMPLE)
    return read


def check_parameters(event: APIGatewayProxyEventV2, *known: str) -> dict[str, str]:
    """The query's parameters. Raises InputError for one that the route does not know."""
    given = event.query_string_parameters or {}
    for name, value in given.items():
        if name not in known:
            raise InputError(name, value, f"no such parameter, only {', '.join(known)}" if known else "no parameters here")
    return dict(given)


def _claims(event: APIGatewayProxyEventV2) -> dict[str, Any]:
    authorizer = event.request_context.authorizer
    return dict(authorizer.jwt_claim or {}) if authorizer else {}


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _refused(status: int, error: InputError) -> Refusal:
    return Refusal(status, InputError.__name__, str(error), field=error.field, allowed=error.allowed)
