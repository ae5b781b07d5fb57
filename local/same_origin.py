"""Refuse what a browser sends to a local server on behalf of another website.

A page of any website can send requests to 127.0.0.1 from the developer's browser, and a domain that
resolves to 127.0.0.1 makes them look local. Both are recognized by headers that a page cannot
change: `Host` names a foreign domain, or `Origin` and `Sec-Fetch-Site` name a foreign page. The
page of Easel is on the emulator's own origin, as are its sign-in and its images, so nothing here
needs CORS. Programs send neither `Origin` nor `Sec-Fetch-Site`.
"""

from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

LOOPBACK = ("127.0.0.1", "localhost")
# `none` is an address that a person typed or opened from another program.
OWN_SITES = ("same-origin", "none")
CORS = b"access-control-"


def same_origin_only(app: App) -> App:
    """Return the app behind a check of each request. Its responses lose all CORS headers."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        problem = foreign(scope["headers"])
        if problem or scope["type"] == "websocket":  # nothing here uses WebSockets
            await _refuse(scope, send, problem or "WebSockets are not served")
            return
        await app(scope, receive, _without_cors(send))

    return checked


def foreign(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return why a request is from another website, or None if it is not."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    hosts = values.get("host", [])
    if len(hosts) != 1 or not _is_loopback(hosts[0]):
        return "the Host header is not 127.0.0.1 or localhost"
    own = f"http://{hosts[0]}"
    if any(origin != own for origin in values.get("origin", [])):
        return "the Origin header names another website"
    if any(site not in OWN_SITES for site in values.get("sec-fetch-site", [])):
        return "the Sec-Fetch-Site header names another website"
    return None


def _is_loopback(host: str) -> bool:
    """Return whether the host is this machine. Browsers resolve *.localhost without DNS."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in LOOPBACK or name.endswith(".localhost")


async def _refuse(scope: Scope, send: Send, problem: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    text = f"refused: {problem}; open the page at the address that `make up` prints\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _without_cors(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                pair for pair in message.get("headers", ()) if not pair[0].lower().startswith(CORS)
            ]
            message = {**message, "headers": kept}
        await send(message)

    return sending
