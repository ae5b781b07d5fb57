"""A deployment's collaborators in memory, and fakes for what costs money."""

import base64
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from easel.aws.bucket import Bucket
from easel.aws.lambda_runtime import Deadline
from easel.aws.table import Table
from easel.contract.settings import (
    BatchSettings,
    DeliverySettings,
    RequestSettings,
    StorageSettings,
    TimeSettings,
)
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.ledger.rate_limit import RateLimit
from easel.ledger.records import ChatRecord
from easel.ledger.shares import Shares
from easel.openai_client.chat import ChatAnswer, ChatCall
from easel.openai_client.images import ImageAnswer, InputImage, decode_image
from functions.api.services import ApiServices
from tests.support.images import png

REGION = "ap-southeast-1"
NOW = datetime(2026, 11, 24, 3, 15, 2, tzinfo=UTC)
PUBLIC_BUCKET, PUBLIC_URL = "public", "https://d1.cloudfront.example/"
BUCKET, TABLE, OWNER = "pictures", "records", "123456789012"
CAP = 1_000_000
STORAGE: dict[str, Any] = {
    "bucket": BUCKET,
    "bucket_owner": OWNER,
    "table": TABLE,
    "region": REGION,
    "monthly_budget_micro_usd": CAP,
    "recoverable_days": 30,
}
REQUESTS: dict[str, Any] = {
    "folder_name": "my_s3_folder",
    "topics": ("Education", "Science", "Sport", "Economy", "Health"),
    "chat_model": "gpt-6-luna",
    "image_model": "gpt-image-2.6-flare",
    "chat_sees_references": True,
    "unpriced_models_allowed": False,
    "region": REGION,
    "delivery_url": None,
    "channels": (),
    "presets": {},
}
BATCHING: dict[str, Any] = {
    "max_parallel_images": 5,
    "tolerated_failure_percentage": 10.0,
    "max_batch_lines": 1_000,
    "channels": (),
}

TIMES: dict[str, Any] = {"chat_seconds": 60, "image_seconds": None}


def storage_settings(**changes: Any) -> StorageSettings:
    return StorageSettings(**STORAGE | changes)


def request_settings(**changes: Any) -> RequestSettings:
    return RequestSettings(**REQUESTS | changes)


def batch_settings(**changes: Any) -> BatchSettings:
    return BatchSettings(**BATCHING | changes)


class FakeServices(ApiServices):
    """The collaborators of a deployment whose clock does not move. `configure` changes settings."""

    def __init__(self, **changes: Any) -> None:
        super().__init__({})
        self.clock = NOW
        self.configure(**changes)

    def now(self) -> datetime:
        return self.clock

    def configure(self, *, mirror: str | None = None, **changes: Any) -> None:
        """Change settings. All others return to their defaults."""

        def own(defaults: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in changes.items() if name in defaults}

        unknown = set(changes) - {*STORAGE, *REQUESTS, *BATCHING, *TIMES}
        assert not unknown, unknown
        self.storage = storage_settings(**own(STORAGE))
        self.requests = request_settings(**own(REQUESTS))
        self.batching = batch_settings(**own(BATCHING))
        self.time_limits = TimeSettings(**TIMES | own(TIMES))
        self.mirror_url = mirror

    def use(self, table: Table, bucket: Bucket) -> "FakeServices":
        """Keep the records in this table, and the images in this bucket."""
        self.table, self.bucket, self.staging = table, bucket, bucket
        self.ledger = Ledger(table, Budget(table, setting=self.storage.monthly_budget_micro_usd))
        self.rate_limit = RateLimit(table, per_minute=None, at_once=5)
        return self

    def share_in(self, public: Bucket) -> "FakeServices":
        """Share images in this bucket of a distribution."""
        self.configure(delivery_url=PUBLIC_URL)
        self.delivery = DeliverySettings(url=PUBLIC_URL)
        self.shares = Shares(self.table, self.bucket, public)
        return self

    def replace_services(self, **others: Any) -> "FakeServices":
        """Return a copy with other collaborators."""
        copied = copy.copy(self)
        vars(copied).pop("runs", None)
        vars(copied).update(others)
        return copied


@dataclass
class FakeChat:
    """A chat model that gives prepared answers and keeps its requests."""

    text: str = (
        '{"prompt": "A red kite over a school yard", "title": "Kite", "alt_text": "A kite", '
        '"tags": ["kite"]}'
    )
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 300, "completion_tokens": 200}
    )
    cut: bool = False
    error: Exception | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)

    def write(self, request: ChatCall, *, timeout: float) -> ChatAnswer:
        self.requests.append(vars(request) | {"timeout": timeout})
        if self.error:
            raise self.error
        return ChatAnswer(text=self.text, usage=self.usage, request_id="req_chat", cut=self.cut)


@dataclass
class FakePainter:
    """An image model that paints the same image each time and keeps its requests."""

    base64: str = field(default_factory=lambda: base64.b64encode(png()).decode())
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"input_tokens": 20, "output_tokens": 430}
    )
    error: Exception | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)

    def paint(
        self,
        parameters: dict[str, Any],
        *,
        images: Sequence[InputImage] = (),
        mask: InputImage | None = None,
        timeout: float,
        slow_down: Callable[[float | None], None],
    ) -> ImageAnswer:
        inputs: dict[str, Any] = {}
        inputs |= {"images": [image.file.read() for image in images]} if images else {}
        inputs |= {"mask": mask.file.read()} if mask else {}
        call = parameters | inputs | {"timeout": timeout, "slow_down": slow_down}
        self.requests.append(call)
        if self.error:
            raise self.error
        return decode_image(self.base64, self.usage)


@dataclass
class FakeDeadline(Deadline):
    """An invocation with this many seconds left. Sleeping uses them up."""

    left: float = 300
    now: float = field(default_factory=time.time)

    def seconds(self) -> float:
        return self.left

    def epoch(self) -> int:
        return int(self.now + self.left)

    def sleep(self, seconds: float) -> None:
        self.left -= seconds


def reserve(ledger: Ledger, micro_usd: int, *, month: str) -> None:
    """Reserve part of a month's budget for another run."""
    claim = ChatRecord(
        run_id="another", purchase=1, lease_until=1, month=month, reserved_micro_usd=micro_usd
    )
    ledger.claims.take(claim, after=None)


def failing(error: Exception) -> Callable[..., Any]:
    """Return a function that raises an error."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail
