"""One batch: its status, the outcomes of its requests, and how the API shows it.

validating ─► in_progress ─► finalizing ─► completed or expired
cancelling ─► cancelled
validating ─► failed
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.fake_openai.batch_input import Line
from local.fake_openai.painting import ImageRequest
from local.fake_openai.responses import new_id

STATUSES = (
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
)
ENDED = ("completed", "failed", "expired", "cancelled")
WINDOW_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one request: an HTTP response, or an error without a response.

    If the status is 200 and there is no body, the images are painted when the result is read.
    `request` is None if the line's body was refused.
    """

    line: Line
    request: ImageRequest | None = None
    status: int | None = None
    body: Any = None
    error: Mapping[str, str] | None = None
    charged: bool = False
    id: str = field(default_factory=lambda: new_id("batch_req_"))
    request_id: str = field(default_factory=lambda: new_id("req_"))

    def to_json(self, body: Any) -> dict[str, Any]:
        """Return the line of a result file with this body."""
        response = None
        if self.status is not None:
            response = {"status_code": self.status, "request_id": self.request_id, "body": body}
        return {
            "id": self.id,
            "custom_id": self.line.custom_id,
            "response": response,
            "error": self.error,
        }


@dataclass(kw_only=True)
class Batch:
    """A batch of the account.

    `request` has the fields that it was created with. `began` is its start time on the clock that
    drives it. With `expires_after`, the batch expires after that many images.
    """

    request: Mapping[str, Any]
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

    def enter(self, status: str) -> None:
        """Change to this status, and store the time if it is entered for the first time."""
        self.times.setdefault(status, int(time.time()))
        self.status = status

    def to_json(self) -> dict[str, Any]:
        """Return the batch as the API shows it."""
        completed = sum(outcome.status == 200 for outcome in self.outcomes)
        total = 0 if self.errors else len(self.lines)
        errors = {"object": "list", "data": list(self.errors)}
        return {
            "id": self.id,
            "object": "batch",
            **self.request,
            "model": self.lines[0].body.get("model") if self.lines else None,
            "errors": errors if self.status == "failed" else None,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created,
            "expires_at": self.created + WINDOW_SECONDS,
            **{f"{status}_at": self.times.get(status) for status in STATUSES},
            "request_counts": {
                "total": total,
                "completed": completed,
                "failed": len(self.outcomes) - completed,
            },
            "usage": self.tokens,
        }


def shuffle(lines: Sequence[Line]) -> list[Line]:
    """Return the lines in another order.

    The API promises no order, so code that relies on the input's order should fail here.
    """
    shuffled = list(lines)
    random.shuffle(shuffled)
    return shuffled[::-1] if shuffled == list(lines) else shuffled
