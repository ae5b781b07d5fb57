"""The API in this process, on an AWS in memory: events as the gateway makes them in, its answers out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from moto import mock_aws

from easel.aws import observability
from easel.ledger.batches import Batches
from easel.ledger.budget import Budget
from easel.ledger.claims import CLAIMED
from easel.runs.executions import Executions
from easel.ledger.gallery import Gallery
from functions.api.links import Links
from easel.runs.executions import MapRuns
from easel.ledger.records import STAGED, ImageRecord, PromptRecord, Records
from easel.aws.table import Table
from functions.api.links import Uploads
from functions.api import handler
from functions.api.services import Outside
from easel.contract.settings import ApiSettings
from tests.unit.conftest import BUCKET, CAP, NOW, REGION, make_settings

TABLE = "shelves"  # the memory is that of tests/functions, too
ACCOUNT = "123456789012"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:easel"
BATCH_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:batches"
UPLOADER = f"arn:aws:iam::{ACCOUNT}:role/uploader"
READER = f"arn:aws:iam::{ACCOUNT}:role/reader"
INDEXES = {"by_time": "shelf", "by_folder": "shelf_folder", "by_topic": "shelf_topic", "by_folder_topic": "shelf_folder_topic"}
CHOICES = {
    "folder_name": "my_s3_folder", "file_name": "image_{run8}_{n}", "style": None, "count": 1, "model": "gpt-image-2.6-flare",
    "size": "1024x1024", "quality": "medium", "output_format": "png", "output_compression": None, "background": "auto",
    "moderation": "auto",
}  # fmt: skip


def api_settings() -> ApiSettings:
    return ApiSettings(
        state_machine=MACHINE,
        batch_state_machine=BATCH_MACHINE,
        page_url="https://pictures.example/",
        reader_role=READER,
        uploader_role=UPLOADER,
        user_pool=f"{REGION}_pool",
        page_client="page",
        sign_in_url="https://sign-in.example",
    )


@dataclass
class Answer:
    """What the gateway would send."""

    status: int
    headers: Mapping[str, str]
    text: str
    raw: dict[str, Any] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Api:
    """The API and what it stands on."""

    outside: Outside
    table: Table
    dynamodb: Any
    states: Any

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        sub: str = "anna",
        outside: Outside | None = None,
    ) -> Answer:
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        sent = ({"content-type": "application/json"} if text is not None else {}) | {k.lower(): v for k, v in (headers or {}).items()}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": f"{method} {path}",
            "rawPath": path,
            "rawQueryString": urlencode(query or {}),
            "headers": sent,
            "requestContext": {
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"},
                "stage": "$default",
                "requestId": "r",
                "authorizer": {"jwt": {"claims": {"sub": sub}, "scopes": ["easel/read", "easel/write"]}},
            },
            "isBase64Encoded": False,
        }
        event |= {"body": text} if text is not None else {}
        event |= {"queryStringParameters": dict(query)} if query else {}

        @observability.step("api")
        def answered(event: Any, context: Any) -> dict[str, Any]:
            return handler.answer(event, context, resolver=handler.RESOLVER, outside=outside or self.outside)

        context = {"function_name": "api", "memory_limit_in_mb": 1024, "invoked_function_arn": "arn", "aws_request_id": "r"}
        got = answered(event, SimpleNamespace(**context))  # type: ignore[arg-type]
        return Answer(
            status=got["statusCode"], headers={k.lower(): v for k, v in got["headers"].items()}, text=got.get("body") or "", raw=got
        )

    def run(self, body: Any, *, key: str = "key-1", sub: str = "anna") -> Answer:
        return self("POST", "/runs", body, headers={"Idempotency-Key": key}, sub=sub)

    def executions(self, machine: str = MACHINE) -> list[dict[str, Any]]:
        return list(self.states.list_executions(stateMachineArn=machine)["executions"])


@pytest.fixture(scope="session")
def memory() -> Iterator[tuple[Any, Any, Any]]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        with mock_aws():
            yield boto3.client("dynamodb"), boto3.client("stepfunctions"), boto3.client("sts")


@pytest.fixture
def api(memory: tuple[Any, Any, Any]) -> Iterator[Api]:
    dynamodb, states, sts = memory
    keys = {"pk", "sk", "at_id", *INDEXES.values()}
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=_key("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        GlobalSecondaryIndexes=[
            {"IndexName": name, "KeySchema": _key(key, "at_id"), "Projection": {"ProjectionType": "ALL"}} for name, key in INDEXES.items()
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for name in ("easel", "batches"):
        states.create_state_machine(name=name, definition="{}", roleArn=READER)
    table = Table(dynamodb, name=TABLE, sleep=lambda _: None)
    budget = Budget(table, setting=CAP)
    outside = Outside(
        settings=make_settings(),
        api=api_settings(),
        executions=Executions(states, machine=MACHINE),
        batch_executions=Executions(states, machine=BATCH_MACHINE),
        map_runs=MapRuns(states),
        batches=Batches(table),
        uploads=Uploads(sts, role=UPLOADER, bucket=BUCKET, region=REGION),
        book=Records(table, budget),
        budget=budget,
        gallery=Gallery(table),
        links=Links(sts, role=READER, bucket=BUCKET, region=REGION),
        now=lambda: NOW,
    )
    yield Api(outside=outside, table=table, dynamodb=dynamodb, states=states)
    for machine in (MACHINE, BATCH_MACHINE):
        for execution in states.list_executions(stateMachineArn=machine)["executions"]:
            states.stop_execution(executionArn=execution["executionArn"])
        states.delete_state_machine(stateMachineArn=machine)
    dynamodb.delete_table(TableName=TABLE)


def _key(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def keep_prompt(api: Api, run_id: str, *, topic: str = "Sport", folder: str = "my_s3_folder", **more: Any) -> PromptRecord:
    """A run's prompt record, as the prompt step leaves it."""
    values: dict[str, Any] = {
        "digest": "d",
        "started": "2026-11-24T03:15:02Z",
        "text": "A red kite over a school yard",
        "title": "Kite",
        "alt_text": "A kite",
        "tags": ["kite"],
        "topic": topic,
        "choices": CHOICES | {"folder_name": folder},
        "estimate_micro_usd": 15_000,
        "chat_model": "gpt-6-luna",
        "chat_cost_micro_usd": 50,
        "execution": run_id,
    }
    record = PromptRecord(run_id=run_id, **values | more)
    assert api.outside.book.keep_prompt(record, paid=None)
    return record


def store_picture(api: Api, prompt: PromptRecord, n: int = 1, *, at: datetime = NOW, size: int = 1000) -> str:
    """One stored picture of a run, as the image and upload steps leave it; gives its key."""
    book, run_id = api.outside.book, prompt.run_id
    terms: dict[str, Any] = {"month": "2026-11", "reserved_micro_usd": 14_000, "lease_until": 1, "purchase": 1, "possibly_paid": 0}
    claim = ImageRecord(run_id=run_id, n=n, status=CLAIMED, **terms)
    book.claims.take(claim, after=None)
    what: dict[str, Any] = {"staged_key": f"staging/{run_id}/{n}/1.image", "bytes": size, "sha256": "ab" * 32, "cost_micro_usd": 13_290}
    staged = ImageRecord(run_id=run_id, n=n, status=STAGED, usage={"output_tokens": 430}, **terms | what)
    assert book.stage(claim, staged)
    key = f"{prompt.choices['folder_name']}/image_{run_id}_{n}.png"
    stamp = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    assert book.finish(staged, key=key, size=(1024, 768), prompt=prompt, stored_at=stamp)
    return key
