"""AWS in memory, and stand-ins for what costs money: a chat model and a painter that keep count."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backends import get_backend
from PIL import Image

from easel.ledger.budget import Budget
from easel.ledger.claims import CLAIMED
from easel.aws.bucket import ObjectStore
from easel.openai_client.calls import ChatAnswer, ImageAnswer
from easel.ledger.records import ChatRecord, Records
from easel.aws.table import Table
from easel.aws.lambda_runtime import Deadline
from easel.contract.errors import EaselError
from easel.contract.settings import Settings

REGION = "ap-southeast-1"
NOW = datetime(2026, 11, 24, 3, 15, 2, tzinfo=UTC)
BUCKET, TABLE = "pictures", "records"
CAP = 1_000_000


def make_settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "bucket": BUCKET,
        "bucket_owner": "123456789012",
        "table": TABLE,
        "secret": "the-secret",
        "workload_identity": None,
        "folder_name": "my_s3_folder",
        "topics": ("Education", "Science", "Sport", "Economy", "Health"),
        "chat_model": "gpt-6-luna",
        "image_model": "gpt-image-2.6-flare",
        "monthly_budget_micro_usd": CAP,
        "unpriced_models_allowed": False,
        "recoverable_days": 30,
        "images_per_minute": None,
        "max_parallel_images": 5,
        "tolerated_failure_percentage": 10.0,
        "max_batch_lines": 1_000,
        "region": REGION,
        "openai_base_url": None,
        "mirror": None,
    }
    return Settings(**values | changes)


def png(width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    return encoded("PNG", width, height, colour)


def encoded(kind: str, width: int = 64, height: int = 48, colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, kind)
    return out.getvalue()


@dataclass
class FakeChat:
    """Answers what it is told to, and keeps what it was asked."""

    text: str = '{"prompt": "A red kite over a school yard", "title": "Kite", "alt_text": "A kite", "tags": ["kite"]}'
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 300, "completion_tokens": 200})
    error: EaselError | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def chat(self, **question: Any) -> ChatAnswer:
        self.asked.append(question)
        if self.error:
            raise self.error
        return ChatAnswer(text=self.text, usage=self.usage, request_id="req_chat")


@dataclass
class FakePainter:
    """Gives the same picture each time, and keeps what it was asked."""

    base64: str = ""
    usage: dict[str, Any] | None = field(default_factory=lambda: {"input_tokens": 20, "output_tokens": 430})
    error: EaselError | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def image(self, **question: Any) -> ImageAnswer:
        self.asked.append(question)
        if self.error:
            raise self.error
        return ImageAnswer(base64=self.base64, usage=self.usage, request_id="req_image")


@dataclass
class FakeDeadline(Deadline):
    """An invocation with this many seconds left; sleeping uses them up."""

    left: float = 300
    now: float = NOW.timestamp()

    def seconds(self) -> float:
        return self.left

    def epoch(self) -> int:
        return int(self.now + self.left)

    def sleep(self, seconds: float) -> None:
        self.left -= seconds


@dataclass(frozen=True)
class Clients:
    s3: Any
    dynamodb: Any
    secretsmanager: Any


@pytest.fixture(scope="session")
def memory() -> Iterator[tuple[Any, Clients]]:
    """One AWS in memory for all tests, since making its clients takes half a second."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        with mock_aws() as mock:
            yield mock, Clients(s3=boto3.client("s3"), dynamodb=boto3.client("dynamodb"), secretsmanager=boto3.client("secretsmanager"))


@pytest.fixture
def aws(memory: tuple[Any, Clients]) -> Clients:
    """An empty AWS."""
    for name in ("s3", "dynamodb", "secretsmanager"):
        get_backend(name)["123456789012"]["aws" if name == "s3" else REGION].reset()
    return memory[1]


@pytest.fixture
def table(aws: Clients) -> Table:
    aws.dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return Table(aws.dynamodb, name=TABLE, sleep=lambda _: None)


@pytest.fixture
def budget(table: Table) -> Budget:
    return Budget(table, setting=CAP)


@pytest.fixture
def book(table: Table, budget: Budget) -> Records:
    return Records(table, budget)


def reserve(book: Records, micro_usd: int, *, month: str) -> None:
    """Hold so much of a month's budget for another run."""
    month_and_money: dict[str, Any] = {"month": month, "reserved_micro_usd": micro_usd}
    claim = ChatRecord(run_id="another", status=CLAIMED, purchase=1, possibly_paid=0, lease_until=1, **month_and_money)
    book.claims.take(claim, after=None)


@pytest.fixture
def s3(aws: Clients) -> Any:
    aws.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return aws.s3


class ConditionalCopies:
    """S3 whose CopyObject honours If-None-Match, as AWS does and moto does not."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def copy_object(self, **call: Any) -> Any:
        if call.pop("IfNoneMatch", None) == "*" and call["Key"] in keys_in(self._client):
            answer: Any = {"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
            raise ClientError(answer, "CopyObject")
        return self._client.copy_object(**call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class Refusing:
    """S3 that keeps some keys in spite of a delete, or dies of it, or takes its time."""

    def __init__(
        self, client: Any, codes: dict[str, str], *, dies_at: int | None = None, takes: tuple[FakeDeadline, float] | None = None
    ) -> None:
        self._client, self._codes, self._dies_at, self._takes, self._calls = client, codes, dies_at, takes, 0

    def delete_objects(self, **call: Any) -> Any:
        self._calls += 1
        if self._calls == self._dies_at:
            raise RuntimeError("the process died")
        if self._takes:
            self._takes[0].sleep(self._takes[1])
        those = call.pop("Delete")["Objects"]
        errors = [one | {"Code": self._codes[one["Key"]], "Message": "no"} for one in those if one["Key"] in self._codes]
        others = [one for one in those if one["Key"] not in self._codes]
        answer = self._client.delete_objects(**call, Delete={"Objects": others, "Quiet": True}) if others else {}
        return answer | {"Errors": errors}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def store(s3: Any) -> ObjectStore:
    return ObjectStore(ConditionalCopies(s3), bucket=BUCKET, owner="123456789012")


def keys_in(s3: Any) -> list[str]:
    return sorted(found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def versions_in(s3: Any) -> list[tuple[str, str]]:
    """Every version and every delete marker, as key and kind."""
    found = s3.list_object_versions(Bucket=BUCKET)
    kinds = {"version": found.get("Versions", []), "marker": found.get("DeleteMarkers", [])}
    return sorted((one["Key"], kind) for kind, those in kinds.items() for one in those)
