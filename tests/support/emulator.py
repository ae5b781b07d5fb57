"""A running emulator as tests see it, and the functions and states that they run on it."""

import io
import json
import os
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local import processes
from local.ministack import process
from local.ministack.process import EmulatorConfig
from tests.support.local_stack import free_port

REGION = "ap-southeast-1"
DEADLINE_S = 120
CLOSED = "plain MiniStack now does as AWS does: delete the patch"

# A function that does what its event says.
STEP = """
import json, os, pathlib, time
import sys

class InputError(Exception):
    pass

def handler(event, context):
    if "present" in event:
        pathlib.Path(event["present"], str(os.getpid())).touch()
    if "wait_for" in event:
        while not os.path.exists(event["wait_for"]):
            time.sleep(0.01)
    time.sleep(event.get("seconds", 0))
    if "mark" in event:
        pathlib.Path(event["mark"]).touch()
    if "log" in event:
        print(event["log"])
    if "raise" in event:
        raise InputError(event["raise"])
    if event.get("die") == "exit":
        sys.exit(1)
    if event.get("die") == "kill":
        os.kill(os.getpid(), 9)
    if "call_itself" in event:
        import boto3
        payload = json.dumps({"seconds": 0.1})
        boto3.client("lambda").invoke(FunctionName=context.function_name, Payload=payload)
    return {"process": os.getpid()}
"""


class Emulator:
    """One running emulator, used through a client."""

    def __init__(self, config: EmulatorConfig, pid: int) -> None:
        self.port, self.key, self.pid = config.port, config.key, pid

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]  # any service
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=self.key.id,
            aws_secret_access_key=self.key.secret,
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

    @cached_property
    def role(self) -> str:
        """Create a role that every service may assume and that may do everything."""
        iam, name = self.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
        services = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
        trust = {"Effect": "Allow", "Principal": services, "Action": "sts:AssumeRole"}
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]
        iam.put_role_policy(RoleName=name, PolicyName="any", PolicyDocument=policy(everything))
        return str(role["Arn"])

    def create_bucket(self, name: str, *, versions: bool = False) -> None:
        location = {"LocationConstraint": REGION}
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration=location)
        if versions:
            enabled = {"Status": "Enabled"}
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=enabled)

    def create_function(self, source: str, *, timeout: int = 15) -> str:
        name = f"f-{uuid.uuid4().hex[:8]}"
        asset = io.BytesIO()
        with zipfile.ZipFile(asset, "w") as archive:
            archive.writestr("step.py", source)
        self.functions.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Handler="step.handler",
            Role=self.role,
            Code={"ZipFile": asset.getvalue()},
            Timeout=timeout,
        )
        return name

    def invoke(self, name: str, event: Any) -> Any:
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    def create_machine(self, start_at: str, states: dict[str, Any], **more: Any) -> str:
        definition = {"StartAt": start_at, "States": states, "QueryLanguage": "JSONata", **more}
        machine = self.states.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=self.role
        )
        return str(machine["stateMachineArn"])

    def begin(self, machine: str, event: Any = None) -> str:
        text = json.dumps(event or {})
        execution = self.states.start_execution(stateMachineArn=machine, input=text)
        return str(execution["executionArn"])

    def status(self, execution: str) -> str:
        return str(self.states.describe_execution(executionArn=execution)["status"])

    def wait_for_end(self, execution: str) -> Any:
        """Wait for the end of an execution, and return its description."""
        until(lambda: self.status(execution) != "RUNNING")
        return self.states.describe_execution(executionArn=execution)

    def create_alarm(self, metric: dict[str, Any], *, threshold: int) -> str:
        """Create an alarm for the sum of a metric, given by namespace, name and dimensions."""
        name = f"alarm-{uuid.uuid4().hex[:8]}"
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            **metric,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=threshold,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        return name

    def fires(self, alarm: str) -> bool:
        """Return whether the alarm fires within a second."""
        cloudwatch = self.client("cloudwatch")

        def state() -> str:
            (description,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
            return str(description["StateValue"])

        return happens_within(1, lambda: state() == "ALARM")

    def history(self, execution: str) -> list[dict[str, Any]]:
        paginator = self.states.get_paginator("get_execution_history")
        pages = paginator.paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy with these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@contextmanager
def running_emulator(
    folder: Path, *, module: str, strict: str = "", **more: str
) -> Iterator[Emulator]:
    """Run an emulator whose waits are a tenth as long and whose functions have three processes.

    `strict` has changes of its strictness, and `more` has further environment variables.
    """
    own = {"SFN_WAIT_SCALE": "0.1", "EASEL_LOCAL_WORKERS": "3", "EASEL_LOCAL_STRICT": strict}
    base = {**os.environ, **own, **more}
    config = EmulatorConfig(port=free_port(), folder=folder, region=REGION, keep=False, base=base)
    running = process.start(config, module=module)
    try:
        yield Emulator(config, running.pid)
    finally:
        processes.stop(running.pid)


class Launcher:
    """A starter of emulators that keep their data, with secrets in the caller's environment."""

    def __init__(self) -> None:
        self._pids: list[int] = []

    def __call__(self, folder: Path, *, module: str = "local.ministack") -> Emulator:
        url = "http://127.0.0.1:1"
        own = {"AWS_ENDPOINT_URL_SQS": url, "EASEL_LOCAL_STRICT": "late_executions=0"}
        base = {**os.environ, **own, "OPENAI_API_KEY": "a secret", "GITHUB_TOKEN": "another"}
        config = EmulatorConfig(port=free_port(), folder=folder, region=REGION, base=base)
        self._pids.append(process.start(config, module=module).pid)
        return Emulator(config, self._pids[-1])

    def stop_all(self) -> None:
        for pid in self._pids:
            processes.stop(pid)


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, up to a time limit."""
    assert happens_within(DEADLINE_S, condition), "waited too long"


def happens_within(seconds: float, condition: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + seconds
    while not (happened := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.01)
    return happened


def lambda_task(function: str, **more: Any) -> dict[str, Any]:
    """Return a state that calls the function with the state's input."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        **more,
    }


def map_over(states: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an inline Map over the items of the input."""
    inner = {"StartAt": next(iter(states)), "States": states}
    return {
        "Type": "Map",
        "Items": "{% $states.input.items %}",
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **inner},
        "End": True,
        **more,
    }


def types(history: list[dict[str, Any]]) -> list[str]:
    """Return the types of the events."""
    return [event["type"] for event in history]


def entered(history: list[dict[str, Any]]) -> list[str]:
    """Return the names of the states that were entered."""
    return [
        event["stateEnteredEventDetails"]["name"]
        for event in history
        if event["type"].endswith("StateEntered")
    ]
