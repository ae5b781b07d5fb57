"""The two connections between which a proxy sits.

One leads to the client, and the other to the server behind the proxy.
"""

import hashlib
import http.client
import socket
import socketserver
import threading
import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.faults import bodies
from tests.faults.caller import Caller, kill
from tests.faults.operation import is_openai, read
from tests.faults.rule import Rule

if TYPE_CHECKING:
    from tests.faults.proxy import Call, Proxy

# These headers belong to one connection and not to the call.
_BETWEEN_TWO = ("connection", "keep-alive", "expect", "proxy-connection")
_IDLE_SECONDS = 1  # after this long idle, the server may be about to close the connection
_ENDING_SECONDS = 5

Headers = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    status: int
    reason: str
    headers: Headers
    body: bytes
    chunked: bool = False
    cut: bool = False


class Server(ThreadingHTTPServer):
    """A server that accepts clients, each in its own thread."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.open: set[_Connection] = set()
        self._serving: set[threading.Thread] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer would look up this host's name

    def process_request(self, request: Any, client_address: Any) -> None:
        name = f"proxy-{self.proxy.port}-{client_address[1]}"
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            daemon=True,
            name=name,
        )
        self._serving = {other for other in self._serving if other.is_alive()} | {thread}
        thread.start()

    def hang_up(self) -> None:
        """End all connections, even if their threads have just started."""
        deadline = time.monotonic() + _ENDING_SECONDS
        while (
            alive := [other for other in self._serving if other.is_alive()]
        ) and time.monotonic() < deadline:
            for handler in list(self.open):
                handler.hang_up()
            alive[0].join(0.05)


class _Connection(BaseHTTPRequestHandler):
    """One client's connection, and a connection to the server behind the proxy."""

    server: Server
    protocol_version = "HTTP/1.1"  # makes the base class answer `Expect: 100-continue`
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(*self.server.proxy.upstream)
        self._used = 0.0
        self._caller: Caller | None = None
        self.server.open.add(self)

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        self._upstream.close()
        super().finish()
        self.server.open.discard(self)

    def hang_up(self) -> None:
        for connection in (self.connection, self._upstream.sock):
            with suppress(OSError, AttributeError):  # already closed, or never opened
                connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Write no log."""

    def _serve(self) -> None:
        proxy = self.server.proxy
        if self._caller is None:
            self._caller = proxy.callers.find(port=self.client_address[1], at=proxy.port)
        half = self._half() if proxy.interrupts and is_openai(self._path) else b""
        if half and self._interrupt(half):
            self.close_connection = True
            return
        body = half + self._body(arrived=len(half))
        request = read(self.command, self._path, self.headers, body)
        call, rule = proxy.take(self.command, request, self._caller)
        answer = self._faulty(call, rule, body) if rule else self._forward(call, body)
        if answer:
            self._send(answer)
        else:
            self.close_connection = True

    # The base class calls these names.
    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815

    def _interrupt(self, half: bytes) -> bool:
        """Return whether a rule ends this call, of whose body a half has arrived."""
        request = read(self.command, self._path, self.headers, half)
        call, rule = self.server.proxy.take(self.command, request, self._caller, is_half=True)
        if rule and rule.kill:
            self._kill(call)
        return rule is not None

    def _kill(self, call: "Call") -> None:
        kill(call.pid or 0)
        if self.server.proxy.on_kill:
            self.server.proxy.on_kill(call)

    def _faulty(self, call: "Call", rule: Rule, body: bytes) -> _Answer | None:
        """Return the answer that the rule makes of a call, or None to hang up."""
        answer: _Answer | None = None
        match rule.kind:
            case "status" | "cancelled":
                status, headers, content = rule.error(call.service)
                answer = _Answer(
                    status=status,
                    reason=http.client.responses.get(status, ""),
                    headers=[*headers.items()],
                    body=content,
                )
            case "lose_answer":
                self._forward(call, body)
            case "hold":
                while (
                    rule.hold and not rule.hold.wait(0.02) and not self.server.proxy.ending.is_set()
                ):
                    pass
                answer = self._forward(call, body)
            case "hang":
                answer = self._forward(call, body)
                self.server.proxy.ending.wait(rule.hang)
            case "corrupt":
                answer = self._forward(call, bodies.corrupted(body, layers=self._layers()))
            case "object_errors":
                answer = self._with_object_errors(call, body, rule.object_errors)
            case "kill":
                if rule.kill == "after":
                    self._forward(call, body)
                self._kill(call)
        return answer

    def _forward(self, call: "Call", body: bytes, headers: Headers | None = None) -> _Answer | None:
        """Return the server's real answer, or None if it hung up."""
        upstream = self._upstream
        if time.monotonic() - self._used > _IDLE_SECONDS:
            upstream.close()
        try:
            upstream.putrequest(self.command, self._path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers or self.headers.items():
                if name.lower() not in _BETWEEN_TWO:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            try:
                content, cut = response.read(), False
            except http.client.IncompleteRead as error:
                content, cut = error.partial, True
        except (OSError, http.client.HTTPException):
            upstream.close()
            return None
        self._used, call.status = time.monotonic(), response.status
        head = [
            (name, value)
            for name, value in response.getheaders()
            if name.lower() not in _BETWEEN_TWO
        ]
        return _Answer(
            status=response.status,
            reason=response.reason,
            headers=head,
            body=content,
            chunked=bool(response.chunked),
            cut=cut,
        )

    def _send(self, answer: _Answer) -> None:
        headers, body = list(answer.headers), answer.body
        if self.command == "HEAD" or answer.status in (204, 304):
            body = b""
        elif answer.chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (
                b"" if answer.cut else b"0\r\n\r\n"
            )
        elif not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(body))))
        lines = [
            f"HTTP/1.1 {answer.status} {answer.reason}",
            *(f"{name}: {value}" for name, value in headers),
            "",
            "",
        ]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + body)
        self.close_connection = self.close_connection or answer.cut

    def _with_object_errors(
        self, call: "Call", body: bytes, errors: Sequence[tuple[str, str]]
    ) -> _Answer | None:
        left, refused = bodies.without(body, errors)
        answer: _Answer | None = _Answer(
            status=200,
            reason="OK",
            headers=[("Content-Type", "application/xml")],
            body=b"<DeleteResult/>",
        )
        if left:
            answer = self._forward(call, left, self._signed_again(left))
        if not answer or answer.status != http.HTTPStatus.OK:
            return answer
        headers = [
            (name, value)
            for name, value in answer.headers
            if name.lower() not in ("content-length", "transfer-encoding")
        ]
        return _Answer(
            status=200,
            reason=answer.reason,
            headers=headers,
            body=bodies.with_errors(answer.body, refused),
        )

    def _signed_again(self, body: bytes) -> Headers:
        """Return the headers for another body, with the signature of the emulator's root user."""
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{self._path}", data=body)
        request.headers["Content-MD5"] = b64encode(
            hashlib.md5(body, usedforsecurity=False).digest()
        ).decode()
        region = self.headers["Authorization"].split("/")[2]
        key = self.server.proxy.key
        assert key
        S3SigV4Auth(key, "s3", region).add_auth(request)
        length = ("Content-Length", str(len(body)))
        return [("Host", self.headers["Host"]), length, *request.headers.items()]

    @property
    def _path(self) -> str:
        return self.requestline.split()[1]  # self.path has its leading slashes merged into one

    def _half(self) -> bytes:
        """Return the first half of the body, or nothing if its size is unknown."""
        return self.rfile.read(self._size // 2)

    def _body(self, *, arrived: int) -> bytes:
        """Return the rest of the body unchanged, including the size lines of its chunks if any.

        Raise ConnectionError if the client died while sending it.
        """
        if self._is_chunked():
            return b"".join(bodies.chunks(self.rfile))
        size = self._size - arrived
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionAbortedError("half a body")
        return body

    @property
    def _size(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def _is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def _layers(self) -> int:
        return self._is_chunked() + (
            "aws-chunked" in self.headers.get("Content-Encoding", "").lower()
        )
