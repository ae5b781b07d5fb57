"""Start runs, watch their states, fetch their pictures."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from functions.errors import ONE_PICTURE
from operate import records
from operate.target import Target

STATES = {
    "Write the prompt": "prompt",
    "Make the image": "image",
    "Store the image": "upload",
    "Clean up and report": "cleanup",
    "Delete or restore": "cleanup",
}
POLL_SECONDS = 0.25
SEARCHED = 100  # executions that are looked through for a request_id


@dataclass(kw_only=True)
class Run:
    """One execution as it stands. Steps are counted by the states that were entered and left."""

    arn: str
    label: str
    status: str = "RUNNING"
    entered: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    input: Any = None
    output: dict[str, Any] | None = None
    error: str | None = None
    cause: str | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The execution's name, which is the run id unless the request has one."""
        return self.arn.rpartition(":")[2]

    @property
    def run_id(self) -> str:
        """What the records of the run stand under."""
        given = self.input.get("request_id") if isinstance(self.input, dict) else None
        return str(given or self.name)

    @property
    def makes_pictures(self) -> bool:
        """Whether it is no delete and no restore."""
        return not isinstance(self.input, dict) or self.input.get("action", "create") == "create"


def start(target: Target, request: Any, *, label: str) -> Run:
    """Start one run; the request goes as it is, the prompt step checks it."""
    answer = target.client("stepfunctions").start_execution(stateMachineArn=target.state_machine_arn, input=json.dumps(request))
    return Run(arn=answer["executionArn"], label=label)


def dollars(cost: float | None) -> str:
    """A cost for a person; what is not known is said to be unknown."""
    return "unknown" if cost is None else f"${cost:.4f}"


def follow(target: Target, runs: Sequence[Run]) -> Iterator[Sequence[Run]]:
    """The runs again and again as they go, until none is running."""
    client = target.client("stepfunctions")
    while True:
        for run in runs:
            if run.status == "RUNNING":
                _refresh(client, run)
        yield runs
        if all(run.status != "RUNNING" for run in runs):
            return
        time.sleep(POLL_SECONDS)


def fetch(target: Target, report: dict[str, Any], folder: Path) -> list[Path]:
    """Copy a report's stored pictures to a folder here."""
    client = target.client("s3")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for picture in report.get("pictures", []):
        if picture["status"] == "stored":
            path = folder / Path(picture["key"]).name
            try:
                client.download_file(target.bucket, picture["key"], str(path))
            except ClientError as error:
                if error.response["Error"]["Code"] == "404":  # deleted since
                    continue
                raise
            paths.append(path)
    return paths


def sidecar(target: Target, key: str) -> dict[str, Any] | None:
    """What Easel wrote beside a picture, None where it was deleted since."""
    client = target.client("s3")
    try:
        body = client.get_object(Bucket=target.bucket, Key=f"{key}.json")["Body"].read()
    except client.exceptions.NoSuchKey:
        return None
    found: dict[str, Any] = json.loads(body)
    return found


def find(target: Target, name: str) -> Run:
    """A run's latest execution as it stands, by the name or ARN of one of them, or by the run's id. Raises LookupError."""
    run = _described(target, name)
    latest = records.latest_execution(target, run.run_id if run else name)
    if latest and (run is None or latest != run.name):
        run = _described(target, latest) or run
    # Before its prompt is written, the table does not know a run.
    run = run or _by_request_id(target, name)
    if run is None:
        raise LookupError(f"no run {name!r}: give an execution's name, as `make run` prints it, or a request_id")
    return run


def resume(target: Target, name: str) -> Run:
    """Go on with a run that failed: by Redrive, else by a new start with its input and run id. Raises LookupError."""
    run, client = find(target, name), target.client("stepfunctions")
    if run.status in ("RUNNING", "SUCCEEDED"):
        raise LookupError(f"run {run.name} is {run.status}: there is nothing to go on with")
    # What ended a picture is told by the last step: a redrive would only tell it again, a start may find what arrived late.
    told = run.error in {error.__name__ for error in ONE_PICTURE}
    if not told and client.describe_execution(executionArn=run.arn).get("redriveStatus") == "REDRIVABLE":
        client.redrive_execution(executionArn=run.arn)
        return Run(arn=run.arn, label=run.name, input=run.input)
    if not isinstance(run.input, dict) or not run.makes_pictures:
        raise LookupError(f"run {run.name} can't be redriven any more, and starting it anew is yours to decide: it makes no pictures")
    return start(target, run.input | {"request_id": run.run_id}, label=run.run_id)


def report_of(target: Target, name: str) -> dict[str, Any]:
    """The report of a finished run, by the execution's name or ARN, or the run's id. Raises LookupError."""
    run = find(target, name)
    if run.output is None:
        raise LookupError(f"run {run.name} is {run.status}: {message(run) if run.error else 'it has no report yet'}")
    return run.output


def _by_request_id(target: Target, request_id: str) -> Run | None:
    """The newest of the latest executions with this request_id."""
    pages = (
        target.client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=target.state_machine_arn, PaginationConfig={"MaxItems": SEARCHED})
    )
    for page in pages:
        for execution in page["executions"]:
            run = _described(target, execution["executionArn"])
            if run and run.run_id == request_id:
                return run
    return None


def _described(target: Target, name: str) -> Run | None:
    arn = name if name.startswith("arn:") else f"{target.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    client, run = target.client("stepfunctions"), Run(arn=arn, label=arn.rpartition(":")[2])
    try:
        _refresh(client, run)
    except (client.exceptions.ExecutionDoesNotExist, client.exceptions.InvalidArn):
        return None
    return run


def _refresh(client: Any, run: Run) -> None:
    answer = client.describe_execution(executionArn=run.arn)
    run.entered, run.left = Counter(), Counter()
    for page in client.get_paginator("get_execution_history").paginate(executionArn=run.arn, includeExecutionData=False):
        for event in page["events"]:
            for detail, counter in (("stateEnteredEventDetails", run.entered), ("stateExitedEventDetails", run.left)):
                state = event.get(detail, {}).get("name")
                if state in STATES:
                    counter[STATES[state]] += 1
    run.status, run.input = answer["status"], json.loads(answer["input"])
    if "stopDate" in answer:
        run.seconds = (answer["stopDate"] - answer.get("redriveDate", answer["startDate"])).total_seconds()
    run.output = json.loads(answer["output"]) if run.status == "SUCCEEDED" else None
    run.error, run.cause = answer.get("error"), answer.get("cause")


def message(run: Run) -> str:
    """Why a run failed, for a person: the function's own message where there is one."""
    try:
        cause = json.loads(run.cause or "")["errorMessage"]
    except (ValueError, KeyError, TypeError):
        cause = run.cause or ""
    return f"{run.error}: {cause}"
