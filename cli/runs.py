"""Start runs, watch their states, fetch their pictures."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from easel.runs import history
from easel.runs.executions import RUNNING, Execution, Executions
from easel.runs.history import Progress
from easel.contract.errors import ConflictError
from cli import records
from cli.target import Target

POLL_SECONDS = 0.25
SEARCHED = 100  # executions that are looked through for a request_id


class NoExecutionError(LookupError):
    """The table knows the run, Step Functions does not: a line of a batch in economy, or one of more than 90 days ago."""


@dataclass(kw_only=True)
class Run:
    """One execution as it stood when it was last looked at."""

    label: str
    execution: Execution
    progress: Progress = field(default_factory=Progress)

    @property
    def name(self) -> str:
        """The execution's name."""
        return self.execution.name

    @property
    def run_id(self) -> str:
        """What the records of the run stand under."""
        return self.execution.run_id

    @property
    def status(self) -> str:
        """Step Functions' word for it."""
        return self.execution.status

    @property
    def output(self) -> dict[str, Any] | None:
        """Its report, None until it has succeeded."""
        return self.execution.output

    @property
    def error(self) -> str | None:
        """The name of the error that ended it."""
        return self.execution.error

    @property
    def seconds(self) -> float:
        """How long it took, since its latest redrive; 0 while it runs."""
        ended, began = self.execution.ended, self.execution.redriven or self.execution.started
        return (ended - began).total_seconds() if ended else 0.0


def start(target: Target, request: Any, *, label: str) -> Run:
    """Start one run; the request goes as it is, the prompt step checks it."""
    return _run(target, str(_executions(target).start(request)), label=label)


def dollars(cost: float | None) -> str:
    """A cost for a person; what is not known is said to be unknown."""
    return "unknown" if cost is None else f"${cost:.4f}"


def follow(target: Target, runs: Sequence[Run]) -> Iterator[Sequence[Run]]:
    """The runs again and again as they go, until none is running."""
    known = _executions(target)
    while True:
        for run in runs:
            if run.status == RUNNING:
                run.execution = known.named(run.execution.arn) or run.execution
                run.progress = known.progress(run.execution)
        yield runs
        if all(run.status != RUNNING for run in runs):
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
    known = _executions(target)
    found = known.named(name)
    if found is None or found.error != ConflictError.__name__:  # that one never was an execution of the run
        found = known.latest(found.run_id if found else name, book=records.book(target), than=found)
    # Before its prompt is written, the table does not know a run.
    found = found or _by_request_id(known, name)
    if found is None and records.book(target).prompt(name):
        raise NoExecutionError(f"run {name} has no execution of its own: start its batch again, or its request with this request_id")
    if found is None:
        raise LookupError(f"no run {name!r}: give an execution's name, as `make run` prints it, or a request_id")
    return Run(label=found.name, execution=found)


def resume(target: Target, name: str) -> Run:
    """Go on with a run that failed: by Redrive, else by a new start with its input and run id. Raises LookupError."""
    found = find(target, name).execution
    try:
        resumed = _executions(target).resume(found)
    except ConflictError as error:
        raise LookupError(str(error)) from error
    return _run(target, resumed, label=found.name if resumed == found.name else found.run_id)


def report_of(target: Target, name: str) -> dict[str, Any]:
    """The report of a finished run, by the execution's name or ARN, or the run's id; its pictures alone where it has no execution.

    Raises LookupError.
    """
    try:
        run = find(target, name)
    except NoExecutionError:
        return {"pictures": [{"status": image.status, "key": image.key} for image in records.of_run(target, name)[2]]}
    if run.output is None:
        raise LookupError(f"run {run.name} is {run.status}: {message(run) if run.error else 'it has no report yet'}")
    return run.output


def message(run: Run) -> str:
    """Why a run failed, for a person."""
    return f"{run.error}: {history.message(run.execution.cause)}"


def _executions(target: Target) -> Executions:
    return Executions(target.client("stepfunctions"), machine=target.state_machine_arn)


def _run(target: Target, name: str, *, label: str) -> Run:
    known = _executions(target)
    found = known.named(name)
    if found is None:
        raise LookupError(f"no run {name!r}")
    return Run(label=label, execution=found, progress=known.progress(found))


def _by_request_id(known: Executions, request_id: str) -> Execution | None:
    """The newest of the latest executions with this request_id."""
    found = (known.named(name) for name in known.names(most=SEARCHED))
    return next((run for run in found if run and run.run_id == request_id), None)
