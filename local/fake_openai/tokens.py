"""The token exchange of workload identities: a signed word of AWS in, a token for a service account out. Signatures are not checked."""

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
    """A token for whoever shows a JWT that is meant for OpenAI; the refusals have OAuth's own shape."""
    asked = await request.json()
    if asked.get("grant_type") != GRANT or asked.get("subject_token_type") != JWT:
        return _refused("invalid_request")
    if not asked.get("identity_provider_id") or not asked.get("service_account_id"):
        return _refused("invalid_grant")
    audience = _claims(str(asked.get("subject_token"))).get("aud", [])
    if AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        return _refused("invalid_subject_token")
    return JSONResponse({"access_token": f"local-{uuid4().hex}", "token_type": "Bearer", "expires_in": SECONDS})


def _refused(code: str) -> Response:
    return JSONResponse({"error": code, "error_description": "refused by the stand-in"}, status_code=400)


def _claims(token: str) -> dict[str, Any]:
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}
