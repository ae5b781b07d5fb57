"""Gaps: a distribution's requests to an API, and its address on this machine.

- MiniStack refuses an API Gateway as the origin of a distribution.
- A distribution answers at its own host name, which nothing on this machine resolves. Its address
  here is the emulator's, with a path. TLS ends at a distribution, so requests count as HTTPS.

Caching is not emulated: each request reaches the origin.
"""

import asyncio
import http.client
from typing import Any
from urllib.parse import parse_qs, unquote

from ministack.services import cloudfront

from local.ministack.edits import replace
from local.same_origin import App, Receive, Scope, Send

DISTRIBUTIONS = "/_easel/distributions/"
OWN_HEADERS = (b"host", b"x-forwarded-proto")


def apply() -> None:
    """Serve APIs as origins."""
    replace(cloudfront, "_fetch_from_origin", _from_api_too)


def served(app: App) -> App:
    """Return the app, which also serves each distribution below its own path."""

    async def serving(scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if not path.startswith(DISTRIBUTIONS):
            await app(scope, receive, send)
            return
        id_, _, rest = path.removeprefix(DISTRIBUTIONS).partition("/")
        distribution = cloudfront._distributions.get(id_)
        host = distribution["DomainName"] if distribution else "unknown.cloudfront.net"
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in OWN_HEADERS]
        headers += zip(OWN_HEADERS, (host.encode(), b"https"), strict=True)
        raw = scope.get("raw_path", b"").removeprefix(f"{DISTRIBUTIONS}{id_}".encode())
        changes = {"path": f"/{rest}", "raw_path": raw or b"/", "headers": headers}
        await app({**scope, **changes}, receive, send)

    return serving


def _from_api_too(original: Any) -> Any:
    async def fetch(origin: dict[str, Any], *request: Any) -> Any:
        api, is_api, _ = origin["domain_name"].partition(".execute-api.")
        if not is_api:
            return await original(origin, *request)
        method, uri, query, headers, body = request[:5]
        sent = {**headers, "host": origin["domain_name"]}
        path = f"/_aws/execute-api/{api}/$default{uri}"
        # The module reads the environment when it is imported.
        from ministack import app

        call = app._handle_execute_api_request(
            "localhost",
            unquote(path),
            method,
            sent,
            body or b"",
            parse_qs(query, keep_blank_values=True),
            raw_path=path,
            raw_query_string=query,
        )
        try:
            status, answered, data = await asyncio.wait_for(call, origin["read_timeout"])
        except TimeoutError as error:
            raise cloudfront.OriginTimeout(str(error)) from error
        pairs = [
            (name, value)
            for name, values in answered.items()
            for value in (values if isinstance(values, list) else [values])
        ]
        reason = http.client.responses.get(status, "")
        return status, reason, cloudfront._multidict_from_pairs(pairs), data

    return fetch
