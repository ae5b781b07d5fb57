"""The API in this process, on an AWS in memory: it takes the gateway's events and answers them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from easel.aws import observability
from easel.aws.table import Table
from easel.contract.settings import ApiSettings
from easel.contract.status import Status
from easel.ledger.records import PromptRecord, StoredFiles, StoredSize
from functions.api import handler, routes
from tests.support.records import claimed, prompt_record
from tests.support.services import NOW, OWNER, REGION, FakeServices

MACHINE = f"arn:aws:states:{REGION}:{OWNER}:stateMachine:easel"
BATCH_MACHINE = f"arn:aws:states:{REGION}:{OWNER}:stateMachine:batches"
UPLOADER = f"arn:aws:iam::{OWNER}:role/uploader"
READER = f"arn:aws:iam::{OWNER}:role/reader"


def api_settings() -> ApiSettings:
    return ApiSettings(
        state_machine=MACHINE,
        batch_state_machine=BATCH_MACHINE,
        page_url="https://pictures.example/",
        reader_role=READER,
        uploader_role=UPLOADER,
        upload_days=30,
        user_pool=f"{REGION}_pool",
        page_client="page",
        deployed_sign_in_url="https://sign-in.example",
        local_sign_in_url=None,
    )


@dataclass
class Answer:
    """The response that the gateway would send."""

    status: int
    headers: Mapping[str, str]
    text: str
    raw: dict[str, Any] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Api:
    """The API and its collaborators."""

    services: FakeServices
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
        sub: str | None = "anna",
        scope: str = "easel/read easel/write",
        claims: Mapping[str, Any] | None = None,
        services: FakeServices | None = None,
    ) -> Answer:
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        sent = ({"content-type": "application/json"} if text is not None else {}) | {
            k.lower(): v for k, v in (headers or {}).items()
        }
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route_key(method, path),
            "rawPath": path,
            "rawQueryString": urlencode(query or {}),
            "headers": sent,
            "requestContext": {
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test",
                },
                "stage": "$default",
                "requestId": "r",
                "authorizer": {
                    "jwt": {
                        "claims": {"scope": scope}
                        | dict(claims or {})
                        | ({"sub": sub} if sub is not None else {}),
                        "scopes": scope.split(),
                    }
                },
            },
            "isBase64Encoded": False,
        }
        event |= {"body": text} if text is not None else {}
        event |= {"queryStringParameters": dict(query)} if query else {}

        @observability.step("api")
        def answered(event: Any, context: Any) -> dict[str, Any]:
            return handler.answer(
                event, context, resolver=handler.RESOLVER, services=services or self.services
            )

        context = {
            "function_name": "api",
            "memory_limit_in_mb": 1024,
            "invoked_function_arn": "arn",
            "aws_request_id": "r",
        }
        got = answered(event, SimpleNamespace(**context))  # type: ignore[arg-type]
        return Answer(
            status=got["statusCode"],
            headers={k.lower(): v for k, v in got["headers"].items()},
            text=got.get("body") or "",
            raw=got,
        )

    def run(self, body: Any, *, key: str = "key-1", **token: Any) -> Answer:
        return self("POST", "/runs", body, headers={"Idempotency-Key": key}, **token)

    def executions(self, machine: str = MACHINE) -> list[dict[str, Any]]:
        return list(self.states.list_executions(stateMachineArn=machine)["executions"])


def route_key(method: str, path: str) -> str:
    """Return the gateway's route of a path, as its event names it."""
    for known, template, _ in routes.DATA:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
        if known == method and re.fullmatch(pattern, path):
            return f"{method} {template}"
    return f"{method} {path}"


def keep_prompt(
    api: Api, run_id: str, *, topic: str = "Sport", folder: str = "my_s3_folder", **more: Any
) -> PromptRecord:
    """Leave a run's prompt record, as the prompt step does."""
    values: dict[str, Any] = {
        "started": "2026-11-24T03:15:02Z",
        "text": "A red kite over a school yard",
        "tags": ["kite"],
        "topic": topic,
        "choices": {"folder_name": folder, "file_name": "image_{run8}_{n}"},
        "estimate_micro_usd": 15_000,
        "chat_model": "gpt-6-luna",
        "chat_cost_micro_usd": 50,
        "execution": run_id,
    }
    record = prompt_record(run_id=run_id, **values | more)
    assert api.services.ledger.keep_prompt(record, paid=None)
    return record


def store_image(
    api: Api,
    prompt: PromptRecord,
    n: int = 1,
    *,
    at: datetime = NOW,
    size: int = 1000,
    sizes: Iterable[StoredSize] = (),
) -> str:
    """Leave one stored image of a run, as the image and upload steps do, and return its key."""
    ledger, run_id = api.services.ledger, prompt.run_id
    claim = claimed(ledger, run_id=run_id, n=n, lease_until=1, reserved_micro_usd=14_000)
    staged = replace(
        claim,
        status=Status.STAGED,
        usage={"output_tokens": 430},
        staged_key=f"staging/{run_id}/{n}/1.image",
        bytes=size,
        sha256="ab" * 32,
        cost_micro_usd=13_290,
    )
    assert ledger.mark_staged(claim, staged)
    key = f"{prompt.choices['folder_name']}/image_{run_id}_{n}.png"
    stamp = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    files = StoredFiles(key=key, width=1024, height=768, previews=(640,), sizes=tuple(sizes))
    assert ledger.mark_stored(staged, files=files, prompt=prompt, stored_at=stamp)
    return key


@contextmanager
def noted(api: Api) -> Iterator[list[str]]:
    """Yield the list of DynamoDB calls made within the block."""
    calls: list[str] = []

    def note(model: Any, **_: Any) -> None:
        calls.append(model.name)

    api.dynamodb.meta.events.register("before-call.dynamodb", note)
    try:
        yield calls
    finally:
        api.dynamodb.meta.events.unregister("before-call.dynamodb", note)
