"""The check before the local servers: requests of other websites do not reach them."""

import asyncio
from typing import Any

import pytest

from local.same_origin import Receive, Scope, Send, same_origin_only

PORT = 4566
OWN = f"127.0.0.1:{PORT}"


class Server:
    """An app behind the check that answers everything, and counts what reaches it."""

    def __init__(self) -> None:
        self.calls, self.app = 0, same_origin_only(self._answer)

    async def _answer(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.calls += 1
        headers = [(b"Access-Control-Allow-Origin", b"*"), (b"x-kept", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def request(self, *headers: tuple[str, str], kind: str = "http") -> dict[str, Any]:
        """Return the first message of the response."""
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        lines = [(name.lower().encode(), value.encode()) for name, value in headers]
        asyncio.run(self.app({"type": kind, "headers": lines}, receive, send))
        return dict(sent[0])


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", OWN)],
        [("Host", f"localhost:{PORT}")],
        [("Host", f"bucket.localhost:{PORT}")],
        [("Host", OWN), ("Origin", f"http://{OWN}")],
        [("Host", OWN), ("Sec-Fetch-Site", "same-origin")],
        [("Host", OWN), ("Sec-Fetch-Site", "none")],
    ],
)
def test_own_page_and_programs_are_served(headers: list[tuple[str, str]]) -> None:
    server = Server()

    answer = server.request(*headers)

    assert (answer["status"], server.calls) == (200, 1)
    assert answer["headers"] == [(b"x-kept", b"1")]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Host", "evil.example")],
        [("Host", f"evil.example:{PORT}")],
        [("Host", "127.0.0.1.evil.example")],
        [("Host", "localhost.evil.example")],
        [("Host", "[::1")],
        [("Host", OWN), ("Host", "evil.example")],
        [("Host", OWN), ("Origin", "https://evil.example")],
        [("Host", OWN), ("Origin", "http://127.0.0.1:8000")],
        [("Host", OWN), ("Origin", f"http://localhost:{PORT}")],
        [("Host", OWN), ("Origin", "null")],
        [("Host", OWN), ("Sec-Fetch-Site", "cross-site")],
        [("Host", OWN), ("Sec-Fetch-Site", "same-site")],
        [("Host", OWN), ("Origin", f"http://{OWN}"), ("Sec-Fetch-Site", "cross-site")],
    ],
)
def test_other_websites_are_refused(headers: list[tuple[str, str]]) -> None:
    server = Server()

    answer = server.request(*headers)

    assert (answer["status"], server.calls) == (403, 0)
    assert not [name for name, _ in answer["headers"] if name.startswith(b"access-control")]


def test_websockets_are_closed() -> None:
    server = Server()

    answer = server.request(("Host", OWN), kind="websocket")

    assert (answer["type"], server.calls) == ("websocket.close", 0)
