"""A receiver of webhooks on loopback, which answers what a test says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import Quiet, serving


@dataclass
class Receiver:
    """A running receiver. It answers with the `statuses` in turn, and then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(statuses=list(statuses))

    class Handler(Quiet):
        def do_POST(self) -> None:  # noqa: N802 - the base class's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            receiver.headers.append(dict(self.headers.items()))
            receiver.bodies.append(json.loads(body))

    with serving(Handler) as url:
        receiver.url = f"{url}/hook"
        yield receiver
