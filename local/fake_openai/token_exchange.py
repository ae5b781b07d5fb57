"""The exchange of an AWS-signed JWT for a token of a service account (workload identity).

Signatures are not checked.
"""

import base64
import json
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
AUDIENCE = "https://api.openai.com/v1"
SECONDS = 3600


async def exchange(request: Request) -> Response:
    """Return a token for a JWT whose audience is OpenAI. Errors have OAuth's shape."""
    body = await request.json()
    if body.get("grant_type") != GRANT or body.get("subject_token_type") != JWT:
        return _refusal("invalid_request")
    if not body.get("identity_provider_id") or not body.get("service_account_id"):
        return _refusal("invalid_grant")
    audience = _claims(str(body.get("subject_token"))).get("aud", [])
    if AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        return _refusal("invalid_subject_token")
    token = f"local-{uuid4().hex}"
    return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": SECONDS})


def _refusal(code: str) -> Response:
    body = {"error": code, "error_description": "refused by the fake OpenAI"}
    return JSONResponse(body, status_code=400)


def _claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, or an empty dictionary if the token is not a JWT."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
