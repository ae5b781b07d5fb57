"""Two emulators for the whole session, plain MiniStack and the patched one, and how tests talk to them."""

import io
import json
import os
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.ministack import process
from tests.support.local_stack import free_port

REGION = "ap-southeast-1"
ROLE = "arn:aws:iam::000000000000:role/any"
DEADLINE_S = 20


class Emulator:
    """One running emulator, seen by a client."""

    def __init__(self, port: int) -> None:
        self.port = port

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]  # any service
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
        )

    @cached_property
    def functions(self) -> Any:
        return self.client("lambda")

    @cached_property
    def states(self) -> Any:
        return self.client("stepfunctions")

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    def create_function(self, source: str, *, timeout: int = 15) -> str:
        name = f"f-{uuid.uuid4().hex[:8]}"
        asset = io.BytesIO()
        with zipfile.ZipFile(asset, "w") as archive:
            archive.writestr("step.py", source)
        self.functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="step.handler",
            Role=ROLE,
            Code={"ZipFile": asset.getvalue()},
            Timeout=timeout,
        )
        return name

    def invoke(self, name: str, event: Any) -> Any:
        return json.loads(self.functions.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())

    def create_machine(self, start_at: str, states: dict[str, Any], **more: Any) -> str:
        definition = {"StartAt": start_at, "States": states, "QueryLanguage": "JSONata", **more}
        return str(
            self.states.create_state_machine(name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE)[
                "stateMachineArn"
            ]
        )

    def begin(self, machine: str, event: Any = None) -> str:
        return str(self.states.start_execution(stateMachineArn=machine, input=json.dumps(event or {}))["executionArn"])

    def status(self, execution: str) -> str:
        return str(self.states.describe_execution(executionArn=execution)["status"])

    def ended(self, execution: str) -> Any:
        until(lambda: self.status(execution) != "RUNNING")
        return self.states.describe_execution(executionArn=execution)

    def history(self, execution: str) -> list[dict[str, Any]]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, but not for ever."""
    assert happens_within(DEADLINE_S, condition), "waited too long"


def happens_within(seconds: float, condition: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + seconds
    while not (happened := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.01)
    return happened


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """MiniStack as published: a test of a patch first shows its gap here."""
    yield from _emulator(tmp_path_factory.mktemp("plain"), module="ministack")


@pytest.fixture(scope="session")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    yield from _emulator(tmp_path_factory.mktemp("patched"), module="local.emulator")


def _emulator(folder: Path, *, module: str) -> Iterator[Emulator]:
    port = free_port()
    base = {**os.environ, "SFN_WAIT_SCALE": "0.1", "EASEL_LOCAL_WORKERS": "3"}
    running = process.start(port=port, folder=folder, region=REGION, keep=False, base=base, module=module)
    yield Emulator(port)
    process.stop(running.pid)
