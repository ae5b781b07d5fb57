"""The faults that a test scripts, and the errors that AWS would return."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

Moment = Literal["before", "during", "after"]
KINDS = (
    "status",
    "cancelled",
    "refuse",
    "cut",
    "lose_answer",
    "hold",
    "hang",
    "corrupt",
    "object_errors",
    "kill",
)
_JSON = {
    "dynamodb": "application/x-amz-json-1.0",
    "secretsmanager": "application/x-amz-json-1.1",
    "openai": "application/json",
}
_NAMESPACE = {"dynamodb": "com.amazonaws.dynamodb.v20120810#"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One fault for one operation, of exactly one kind.

    status, code   do not forward; answer with this error (`body` replaces the service's format)
    cancelled      do not forward; answer TransactionCanceledException with these reasons
    refuse         do not forward; hang up
    cut            hang up when half of the body has arrived; only for calls to OpenAI
    lose_answer    forward, then hang up
    hold           forward once this event is set
    hang           forward, then answer after this many seconds
    corrupt        flip a bit of the body, then forward
    object_errors  (part of the key, code): a DeleteObjects keeps these keys and answers with errors
    kill           send SIGKILL to the caller "before" or "after" forwarding, never to this process;
                   "during" its call to OpenAI: when half of the body has arrived

    `contains` is searched for in keys and in the JSON of DynamoDB, Secrets Manager and OpenAI, and
    `step` in the function's name. A rule lets `skip` matching calls pass and then takes `times`
    calls.
    """

    operation: str
    contains: str = ""
    step: str = ""
    skip: int = 0
    times: int = 1
    status: int | None = None
    code: str = "InternalError"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cancelled: Sequence[str] = ()
    refuse: bool = False
    cut: bool = False
    lose_answer: bool = False
    hold: threading.Event | None = None
    hang: float | None = None
    corrupt: bool = False
    object_errors: Sequence[tuple[str, str]] = ()
    kill: Moment | None = None

    def __post_init__(self) -> None:
        if len([kind for kind in KINDS if getattr(self, kind)]) != 1:
            raise ValueError(f"a rule needs exactly one of {', '.join(KINDS)}: {self}")

    @property
    def kind(self) -> str:
        """Return the one kind that is set."""
        return next(kind for kind in KINDS if getattr(self, kind))

    @property
    def interrupts(self) -> bool:
        """Return whether it applies in the middle of a request."""
        return self.cut or self.kill == "during"

    def error(self, service: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the error, in this service's format."""
        status, code = (
            self.status or 400,
            ("TransactionCanceledException" if self.cancelled else self.code),
        )
        message = "a test wants it so"
        if service == "s3":
            kind = "application/xml"
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{escape(code)}</Code><Message>{message}</Message></Error>"
            )
        elif service == "openai":
            kind, body = (
                _JSON[service],
                json.dumps(
                    {"error": {"message": message, "type": code, "code": code, "param": None}}
                ),
            )
        else:
            kind = _JSON[service]
            reasons = (
                {"CancellationReasons": [{"Code": reason} for reason in self.cancelled]}
                if self.cancelled
                else {}
            )
            body = json.dumps(
                {"__type": _NAMESPACE.get(service, "") + code, "message": message} | reasons
            )
        return (
            status,
            {"Content-Type": kind, **self.headers},
            (body if self.body is None else self.body).encode(),
        )
