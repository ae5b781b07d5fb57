"""CloudFormation as a custom resource meets it: an event, and a URL that waits for the answer."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class CloudFormation:
    """The answers that have arrived at `url`."""

    url: str
    answers: list[dict[str, Any]] = field(default_factory=list)

    def event(self, properties: dict[str, Any], kind: str = "Create") -> dict[str, Any]:
        ids = {"StackId": "s", "RequestId": "r", "LogicalResourceId": "l"}
        event = {"RequestType": kind, "ResponseURL": self.url, "ResourceProperties": properties}
        return event | ids


@contextmanager
def waiting_cloudformation() -> Iterator[CloudFormation]:
    answers: list[dict[str, Any]] = []

    class Waiting(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Waiting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield CloudFormation(f"http://127.0.0.1:{server.server_port}/answer", answers)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
