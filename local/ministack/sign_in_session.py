"""Gap: the emulator's sign-in page forgets who signed in.

On AWS, a browser that has signed in gets a code without a question for an hour, and `prompt=none`
returns `login_required` instead of showing the page:
https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
"""

import secrets
import time
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from ministack.services import cognito

from local.ministack import edits

_COOKIE = "easel-sign-in"
_SECONDS = 3600
_sessions: dict[str, tuple[str, str, float]] = {}  # the pool, the user, and when it ends, by cookie

Response = tuple[int, dict[str, Any], bytes]


def apply() -> None:
    """Remember who signed in. Raise PatchError if the sign-in page has changed."""
    edits.replace(cognito, "_issue_auth_code_redirect", _starting_session)
    edits.replace(cognito, "handle_oauth2_authorize", _asking_session)
    edits.replace(cognito, "handle_logout", _ending_session)


def _starting_session(issue: Any) -> Any:
    def issue_auth_code_redirect(
        client: str, pool: str, redirect: str, scope: str, user: str, *rest: Any
    ) -> Response:
        status, headers, body = issue(client, pool, redirect, scope, user, *rest)
        token = secrets.token_urlsafe()
        _sessions[token] = (pool, user, time.time() + _SECONDS)
        return status, headers | {"Set-Cookie": _cookie(token, _SECONDS)}, body

    return issue_auth_code_redirect


def _asking_session(authorize: Any) -> Any:
    def handle_oauth2_authorize(
        method: str, path: str, headers: dict[str, str], query: dict[str, Any]
    ) -> Response:
        status, sent, body = authorize(method, path, headers, query)
        if status != 200:  # not the page that asks for a password
            return status, sent, body
        values = {name: cognito._qp(query, name) for name in query}
        pool_id, _, _ = cognito._find_pool_by_client_id(values["client_id"])
        pool, user, end = _sessions.get(_token(headers), ("", "", 0.0))
        if pool == pool_id and time.time() < end:
            names = ("nonce", "code_challenge", "code_challenge_method", "state")
            rest = [values.get(name, "") for name in names]
            redirect, scope = values["redirect_uri"], values.get("scope", "")
            answer: Response = cognito._issue_auth_code_redirect(
                values["client_id"], pool, redirect, scope, user, *rest
            )
            return answer
        if values.get("prompt") == "none":
            error = urlencode({"error": "login_required", "state": values.get("state", "")})
            return 302, {"Location": f"{values['redirect_uri']}?{error}"}, b""
        return status, sent, body

    return handle_oauth2_authorize


def _ending_session(logout: Any) -> Any:
    def handle_logout(
        method: str, path: str, headers: dict[str, str], query: dict[str, Any]
    ) -> Response:
        status, sent, body = logout(method, path, headers, query)
        _sessions.pop(_token(headers), None)
        return status, sent | {"Set-Cookie": _cookie("", 0)}, body

    return handle_logout


def _token(headers: dict[str, str]) -> str:
    cookies = SimpleCookie(headers.get("cookie", ""))
    return cookies[_COOKIE].value if _COOKIE in cookies else ""


def _cookie(value: str, seconds: int) -> str:
    return f"{_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
