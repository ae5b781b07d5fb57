"""A local stack as tests see it: deployed from the template and driven through boto3 only."""

import json
import os
import socket
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

DEADLINE_SECONDS = 300
POLL_SECONDS = 0.1  # more often would take the time of the processes that the test waits for


class LocalStack:
    """The outputs of a stack, its AWS clients, and the ledger and faults of the fake OpenAI."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.outputs = outputs
        self.bucket, self.machine = outputs["bucket"], outputs["state_machine_arn"]
        self.s3, self.states, self.dynamodb = (
            self.client(name) for name in ("s3", "stepfunctions", "dynamodb")
        )

    def client(self, service: str) -> Any:
        create: Callable[..., Any] = boto3.client
        return create(
            service,
            endpoint_url=self.outputs["endpoint"],
            region_name=self.outputs["region"],
            **keys(self.outputs),
            config=Config(max_pool_connections=64),
        )

    def start(self, request: Any, *, name: str | None = None) -> str:
        call = {
            "stateMachineArn": self.machine,
            "name": name or uuid4().hex,
            "input": json.dumps(request),
        }
        return str(self.states.start_execution(**call)["executionArn"])

    def describe(self, arn: str) -> dict[str, Any] | None:
        """Describe an execution, or return None if it has just started and is not known yet."""
        try:
            return dict(self.states.describe_execution(executionArn=arn))
        except self.states.exceptions.ExecutionDoesNotExist:
            return None

    def wait_for_end(self, arn: str) -> dict[str, Any]:
        """Wait for the end of an execution, and return it with its report, if it has one."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (execution := self.describe(arn)) is None or execution["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{arn} is still running"
            time.sleep(POLL_SECONDS)
        has_report = execution["status"] == "SUCCEEDED"
        return execution | {"report": json.loads(execution["output"]) if has_report else None}

    def wait_for_start(self, arn: str) -> dict[str, Any]:
        """Wait until a new execution is known, and describe it."""
        self.until(lambda: self.describe(arn) is not None)
        return dict(self.states.describe_execution(executionArn=arn))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it does not happen"
            time.sleep(POLL_SECONDS)

    def run(self, request: Any, *, name: str | None = None) -> dict[str, Any]:
        return self.wait_for_end(self.start(request, name=name))

    def history(self, arn: str) -> list[dict[str, Any]]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def entered(self, arn: str) -> list[str]:
        """Return the states that were entered, which Step Functions bills."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(arn)
            if "stateEnteredEventDetails" in event
        ]

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def versioned_keys(self, prefix: str) -> list[str]:
        """Return the keys under a prefix that have a version or a delete marker."""
        pages = self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        return [
            entry["Key"]
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for entry in page.get(kind, [])
        ]

    def wait_until_listed(self, folder: str, keys: Iterable[str]) -> None:
        """Wait until the gallery's index lists exactly these stored images in a folder."""

        def listed() -> list[str]:
            pages = self.dynamodb.get_paginator("query").paginate(
                TableName=self.outputs["table"],
                IndexName="by_folder",
                KeyConditionExpression="shelf_folder = :folder",
                ExpressionAttributeValues={":folder": {"S": f"stored#{folder}"}},
            )
            return sorted(item["key"]["S"] for page in pages for item in page["Items"])

        expected = sorted(keys)
        self.until(lambda: listed() == expected)

    def log_lines(self) -> list[str]:
        """Return the lines that all functions have logged so far."""
        logs = self.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        return [
            event["message"]
            for group in groups
            for event in logs.filter_log_events(logGroupName=group)["events"]
        ]

    def charges(self) -> dict[str, Any]:
        return dict(self._openai("GET", "/_charged"))

    def script(self, *rules: dict[str, Any]) -> list[dict[str, Any]]:
        """Add rules to the fake OpenAI, and return all rules that are not used up."""
        return list(self._openai("POST", "/_faults", list(rules)))

    def end_faults(self) -> None:
        """Clear the faults of the fake OpenAI. Responses that it delays arrive now."""
        self._openai("DELETE", "/_faults")

    def forget(self) -> None:
        """Clear the ledger and the faults of the fake OpenAI."""
        self._openai("DELETE", "/_charged")
        self._openai("DELETE", "/_faults")

    def _openai(self, method: str, path: str, body: Any = None) -> Any:
        url = self.outputs["openai_base_url"].removesuffix("/v1") + path
        request = urllib.request.Request(
            url, method=method, data=None if body is None else json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


def keys(outputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the access key of a local stack, as boto3 takes it."""
    return {f"aws_{name}": outputs[name] for name in ("access_key_id", "secret_access_key")}


def own_environment() -> dict[str, str]:
    """Return this process's environment without variables of a real OpenAI or a real AWS."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "AWS_"))
    }


def bench_environment() -> dict[str, str]:
    """Return own_environment for a benchmark, which compares Easel with programs not on AWS.

    The emulator does not imitate how late AWS answers.
    """
    return own_environment() | {"EASEL_LOCAL_STRICT": "conflicts=0 index_lag=0 late_executions=0"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
