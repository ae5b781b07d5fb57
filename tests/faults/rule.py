"""Faults that a test scripts, and the answers that AWS would give."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

KINDS = (
    "status",
    "cancelled",
    "refuse",
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

    status, code      answer this error, not forwarded; `body` replaces the service's own format
    cancelled         answer TransactionCanceledException with these reasons, not forwarded refuse
    hang up, not forwarded lose_answer       forward, then hang up hold              forward once
    this event is set hang              forward, then answer after so many seconds corrupt
    flip a bit of the body, then forward object_errors     (part of the key, code): these keys of a
    DeleteObjects stay and are answered as errors kill              SIGKILL the calling process
    "before" or "after" forwarding; never this process

    `contains` is looked for in keys and in the JSON of DynamoDB, Secrets Manager and OpenAI; `step`
    in the function's name. A rule lets `skip` fitting calls pass, then takes `times`.
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
    lose_answer: bool = False
    hold: threading.Event | None = None
    hang: float | None = None
    corrupt: bool = False
    object_errors: Sequence[tuple[str, str]] = ()
    kill: Literal["before", "after"] | None = None

    def __post_init__(self) -> None:
        if len([kind for kind in KINDS if getattr(self, kind)]) != 1:
            raise ValueError(f"a rule needs exactly one of {', '.join(KINDS)}: {self}")

    @property
    def kind(self) -> str:
        """The one kind that is set."""
        return next(kind for kind in KINDS if getattr(self, kind))

    def error(self, service: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer that replaces the true one, as this service
        gives its errors.
        """
        status, code = (
            self.status or 400,
            ("TransactionCanceledException" if self.cancelled else self.code),
        )
        said = "a test wants it so"
        if service == "s3":
            kind = "application/xml"
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{escape(code)}</Code><Message>{said}</Message></Error>"
            )
        elif service == "openai":
            kind, body = (
                _JSON[service],
                json.dumps({"error": {"message": said, "type": code, "code": code, "param": None}}),
            )
        else:
            kind = _JSON[service]
            reasons = (
                {"CancellationReasons": [{"Code": reason} for reason in self.cancelled]}
                if self.cancelled
                else {}
            )
            body = json.dumps(
                {"__type": _NAMESPACE.get(service, "") + code, "message": said} | reasons
            )
        return (
            status,
            {"Content-Type": kind, **self.headers},
            (body if self.body is None else self.body).encode(),
        )
