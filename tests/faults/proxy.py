"""A reverse proxy on loopback that forwards and lists every call, and fails calls for a test."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from botocore.credentials import Credentials

from tests.faults.caller import Caller, Callers
from tests.faults.connection import Server
from tests.faults.operation import ParsedRequest
from tests.faults.rule import Rule

_ENDING_SECONDS = 5


@dataclass(kw_only=True)
class Call:
    """One call, received at the time `at` (of the monotonic clock).

    `fault` is the kind of the rule that took the call, or None. `function` is empty if the caller
    is not a function. `status` is what the server has answered, if it got the call.
    """

    at: float
    method: str
    service: str
    operation: str
    target: str
    function: str
    pid: int | None
    fault: str | None
    status: int | None = None


@dataclass(kw_only=True)
class _Counted:
    rule: Rule
    skip: int
    left: int


class Proxy:
    """One proxy before one server.

    `on_kill` is called after a rule has killed the caller and before the caller's connection is
    closed. `key` is the server's access key, for requests that the proxy has to sign again.
    """

    def __init__(self, upstream: str, *, on_kill: Callable[[Call], object] | None = None) -> None:
        where = urlsplit(upstream)
        self.upstream = (where.hostname or "127.0.0.1", where.port or 80)
        self.on_kill = on_kill
        self.key: Credentials | None = None
        self.callers = Callers()
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._rules: list[_Counted] = []
        self._calls: list[Call] = []
        self._server = Server(self)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._listening = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True, name=f"proxy-{self.port}"
        )
        self._listening.start()

    @property
    def calls(self) -> list[Call]:
        """Return the calls in the order of arrival."""
        with self._lock:
            return list(self._calls)

    def script(self, *rules: Rule) -> None:
        """Add rules.

        The first rule that matches a call, has let its `skip` calls pass and is not used up takes
        the call. Matching rules before it count the call.
        """
        with self._lock:
            self._rules += [_Counted(rule=rule, skip=rule.skip, left=rule.times) for rule in rules]

    def waiting(self) -> list[Rule]:
        """Return the rules that are not used up."""
        with self._lock:
            return [counted.rule for counted in self._rules if counted.left]

    def clear(self) -> None:
        """Delete the rules."""
        with self._lock:
            self._rules.clear()

    def forget(self) -> None:
        """Delete the rules and the list of calls."""
        self.clear()
        with self._lock:
            self._calls.clear()

    def close(self) -> None:
        """End all threads and close all sockets."""
        self.ending.set()
        self._server.shutdown()
        self._listening.join(_ENDING_SECONDS)
        self._server.server_close()
        self._server.hang_up()

    @property
    def interrupts(self) -> bool:
        """Return whether a rule may apply in the middle of the next request."""
        return any(rule.interrupts for rule in self.waiting())

    def take(
        self,
        method: str,
        request: ParsedRequest,
        caller: Caller | None,
        *,
        is_half: bool = False,
    ) -> tuple[Call, Rule | None]:
        """List a call, and return it with the rule that takes it, if any.

        Half of a request is listed only if a rule ends it there.
        """
        function, pid = (caller.function, caller.pid) if caller else ("", None)
        with self._lock:
            rule = self._taking(request, function, pid, is_half=is_half)
            call = Call(
                at=time.monotonic(),
                method=method,
                service=request.service,
                operation=request.operation,
                target=request.target,
                function=function,
                pid=pid,
                fault=rule.kind if rule else None,
            )
            if rule or not is_half:
                self._calls.append(call)
        return call, rule

    def _taking(
        self, request: ParsedRequest, function: str, pid: int | None, *, is_half: bool
    ) -> Rule | None:
        for counted in self._rules:
            rule = counted.rule
            if (
                not counted.left
                or rule.interrupts != is_half
                or rule.operation != request.operation
                or rule.step not in function
                or rule.contains not in request.text
            ):
                continue
            if rule.kill and pid in (None, os.getpid()):
                continue
            if counted.skip:
                counted.skip -= 1
                continue
            counted.left -= 1
            return rule
        return None
