"""One batch: where it is on its way, what its requests came to, and how the API shows it.

validating ─► in_progress ─► finalizing ─► completed or expired        cancelling ─► cancelled        validating ─► failed
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.fake_openai.answers import new_id
from local.fake_openai.batch_input import Line

STATUSES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
ENDED = ("completed", "failed", "expired", "cancelled")
WINDOW_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one request came to: an HTTP answer, or an error without one. A body of None is that of its pictures, painted later."""

    line: Line
    status: int | None = None
    body: Any = None
    error: Mapping[str, str] | None = None
    charged: bool = False
    id: str = field(default_factory=lambda: new_id("batch_req_"))
    request_id: str = field(default_factory=lambda: new_id("req_"))

    def to_json(self, body: Any) -> dict[str, Any]:
        """As a line of a result, with this body."""
        response = None if self.status is None else {"status_code": self.status, "request_id": self.request_id, "body": body}
        return {"id": self.id, "custom_id": self.line.custom_id, "response": response, "error": self.error}


@dataclass(kw_only=True)
class Batch:
    """`asked` is how it was created, `began` on the clock of progress; with `expires_after` it ends after that many pictures."""

    asked: Mapping[str, Any]
    lines: Sequence[Line]
    errors: Sequence[Mapping[str, Any]]
    began: float
    expires_after: int | None = None
    status: str = "validating"
    outcomes: list[Outcome] = field(default_factory=list)
    tokens: Mapping[str, Any] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    id: str = field(default_factory=lambda: new_id("batch_"))
    created: int = field(default_factory=lambda: int(time.time()))
    times: dict[str, int] = field(default_factory=dict)

    def enter(self, *statuses: str) -> None:
        """Go through these statuses; those that it has been in keep their time."""
        for status in statuses:
            self.times.setdefault(status, int(time.time()))
            self.status = status

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        good = sum(outcome.status == 200 for outcome in self.outcomes)
        total = 0 if self.errors else len(self.lines)
        return {
            "id": self.id,
            "object": "batch",
            **self.asked,
            "model": self.lines[0].body.get("model") if self.lines else None,
            "errors": {"object": "list", "data": list(self.errors)} if self.status == "failed" else None,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created,
            "expires_at": self.created + WINDOW_SECONDS,
            **{f"{status}_at": self.times.get(status) for status in STATUSES},
            "request_counts": {"total": total, "completed": good, "failed": len(self.outcomes) - good},
            "usage": self.tokens,
        }


def unordered(lines: Sequence[Line]) -> list[Line]:
    """The lines in any order but their own: the API promises none, and who counts on one shall notice."""
    mixed = list(lines)
    random.shuffle(mixed)
    return mixed[::-1] if mixed == list(lines) else mixed
