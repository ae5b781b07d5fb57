"""A server on loopback that answers like OpenAI, or like a faulty network."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from easel.openai_client.chat import ChatAnswer, ChatCall, ChatModel
from easel.openai_client.client import Account
from easel.openai_client.images import ImageAnswer, ImageModel
from tests.support.loopback import Quiet, serving


@dataclass(frozen=True)
class Reply:
    """One response.

    `cut` hangs up in the middle of the body, and `stall` stops sending there. `hang` never answers,
    and `late` answers after this many seconds.

    `trickle` sends a byte every 50 ms, `endless` never ends the body, and `without_length`
    does not announce its length. `retry_after` is the header of that name, and `headers` are more.
    """

    body: Any = None
    status: int = 200
    cut: bool = False
    stall: bool = False
    hang: bool = False
    late: float = 0
    trickle: bool = False
    endless: bool = False
    without_length: bool = False
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A server that gives its replies in order, repeats the last one, and keeps its requests."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    sent: int = 0
    over: threading.Event = field(default_factory=threading.Event)


@dataclass
class Key:
    """A key that was rotated. `refresh` finds the new one."""

    now: str = "old"

    def value(self) -> str:
        return self.now

    def refresh(self) -> str:
        self.now = "new"
        return self.now


@contextmanager
def openai_server() -> Iterator[Server]:
    class Handler(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the standard library's name
            served.times.append(time.monotonic())
            served.keys.append(self.headers["Authorization"].removeprefix("Bearer "))
            served.encodings.append(self.headers["Accept-Encoding"])
            served.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            reply = served.replies.pop(0) if len(served.replies) > 1 else served.replies[0]
            if reply.hang:
                served.over.wait(30)
                return
            served.over.wait(reply.late)
            body = (
                reply.body.encode()
                if isinstance(reply.body, str)
                else json.dumps(reply.body).encode()
            )
            self.send_response(reply.status)
            is_page = isinstance(reply.body, str) and reply.body.startswith("<")
            self.send_header("Content-Type", "text/html" if is_page else "application/json")
            if not (reply.endless or reply.without_length):
                self.send_header("Content-Length", str(len(body)))
            if reply.retry_after is not None:
                self.send_header("Retry-After", reply.retry_after)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("x-request-id", "req_7")
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client hangs up if there is too much
                self.send_body(reply, body)

        def send_body(self, reply: Reply, body: bytes) -> None:
            if reply.trickle:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    served.over.wait(0.05)
                return
            self.wfile.write(body[: len(body) // 2] if reply.cut or reply.stall else body)
            if reply.stall:
                served.over.wait(30)
            while reply.endless and not served.over.is_set():
                served.sent += self.wfile.write(b" " * 1_000_000)

    with serving(Handler) as url:
        served = Server(url=f"{url}/v1")
        yield served
        served.over.set()


def account(server: Server, **changes: Any) -> Account:
    """Return an account at the server."""
    return Account(Key(), base_url=server.url, **changes)


def chat(server: Server, *replies: Reply, timeout: float = 5, **changes: Any) -> ChatAnswer:
    """Make a chat call to the server, which sends these replies."""
    server.replies = list(replies) or server.replies
    call: dict[str, Any] = {
        "model": "gpt-6-luna",
        "system": "s",
        "user": "u",
        "schema": {"type": "object"},
        "max_tokens": 2_500,
    }
    model = ChatModel(account(server))
    return model.write(ChatCall(**call | changes), timeout=timeout)


def image(
    server: Server, *replies: Reply, timeout: float = 5, slowed: list[float | None] | None = None
) -> ImageAnswer:
    """Make an image call to the server, which gives these replies."""
    server.replies = list(replies) or server.replies
    model = ImageModel(account(server))
    slow_down = ([] if slowed is None else slowed).append
    parameters = {"model": "gpt-image-2.6-flare", "prompt": "A kite"}
    return model.paint(parameters, timeout=timeout, slow_down=slow_down)
