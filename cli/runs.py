"""Starts, finds and follows runs, and fetches their images."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from botocore.exceptions import ClientError

from cli.target import Target
from easel.contract.errors import ConflictError, cause_message
from easel.contract.naming import RUN_ID_LETTER, sidecar_key
from easel.contract.states import ExecutionStatus
from easel.contract.status import Status
from easel.runs.executions import Execution
from easel.runs.history import Progress

POLL_SECONDS = 0.25
MAX_LABEL = 40  # a name of 80 characters would not fit into a terminal


class NoExecutionError(LookupError):
    """The records contain the run, but Step Functions has no execution of it.

    It is a line of an economy batch, or older than 90 days.
    """


@dataclass(kw_only=True)
class Run:
    """An execution, in the state that was last read."""

    label: str
    execution: Execution
    progress: Progress = field(default_factory=Progress)

    @property
    def name(self) -> str:
        """Return the execution's name."""
        return self.execution.name

    @property
    def run_id(self) -> str:
        """Return the id of the run's records."""
        return self.execution.run_id

    @property
    def status(self) -> str:
        """Return the status in Step Functions."""
        return self.execution.status

    @property
    def output(self) -> dict[str, Any] | None:
        """Return its report, or None until it has succeeded."""
        return self.execution.output

    @property
    def error(self) -> str | None:
        """Return the name of the error that ended it, or None."""
        return self.execution.error

    @property
    def seconds(self) -> float:
        """Return its duration since the latest redrive, or 0 while it runs."""
        ended, began = self.execution.ended, self.execution.redriven or self.execution.started
        return (ended - began).total_seconds() if ended else 0.0

    @property
    def message(self) -> str:
        """Return the reason why it failed, for people."""
        return failure_message(self.execution)


def failure_message(execution: Execution) -> str:
    """Return the reason why an execution failed, for people."""
    reason = cause_message(execution.cause)
    if execution.error is None and not reason:
        return "somebody stopped it" if execution.status == ExecutionStatus.ABORTED else "no reason"
    return f"{execution.error or execution.status}: {reason}"


def start(target: Target, request: Any, *, label: str) -> Run:
    """Start a run whose name begins with a label, so that people recognize it.

    The request is sent unchanged, because the prompt step checks it.
    """
    words = re.sub(f"(?!{RUN_ID_LETTER}).", "-", label)[:MAX_LABEL]
    name = f"{words}-{token_hex(4)}"
    target.runs.executions.start(request, name=name)
    return _wait_for_run(target, name, label=name)


def latest(target: Target) -> str:
    """Return the name of the latest execution. Raises LookupError if there is none."""
    name = next(target.runs.executions.names(most=1), None)
    if name is None:
        raise LookupError("there is no run yet; `make run` starts one")
    return name


def resume(target: Target, name: str) -> Run:
    """Resume a failed run: redrive it, or else start it again with its input and run id.

    Raises LookupError.
    """
    execution = find(target, name).execution
    try:
        new_name = target.runs.resume(execution)
    except ConflictError as error:
        raise LookupError(str(error)) from error
    is_redriven = new_name == execution.name
    label = execution.name if is_redriven else execution.run_id
    return _wait_for_run(target, new_name, label=label, is_open=True)


def follow(target: Target, runs: Sequence[Run]) -> Iterator[Sequence[Run]]:
    """Yield the runs' states repeatedly until all runs have ended."""
    executions = target.runs.executions
    while True:
        for run in runs:
            if run.status == ExecutionStatus.RUNNING:
                run.execution = executions.get(run.execution.arn) or run.execution
                run.progress = executions.progress(run.execution)
        yield runs
        if all(run.status != ExecutionStatus.RUNNING for run in runs):
            return
        time.sleep(POLL_SECONDS)


def find(target: Target, name: str) -> Run:
    """Return a run's latest execution, by the name or ARN of any execution, or by the run id.

    Raises LookupError.
    """
    execution = target.runs.find_latest(name)
    if execution:
        return Run(label=execution.name, execution=execution)
    if target.ledger.prompt(name):
        raise NoExecutionError(
            f"run {name} has no execution of its own; start its batch again, or its request with "
            "this request_id"
        )
    raise LookupError(
        f"no run {name!r}; give an execution's name, as printed by `make run`, or a request_id; a "
        "line of a batch without a prompt has no run: start its batch again"
    )


def stored_keys(target: Target, name: str) -> list[str]:
    """Return the keys of a run's stored images. Raises LookupError if it is not finished.

    A run without an execution is read from its records.
    """
    try:
        run = find(target, name)
    except NoExecutionError:
        images = target.ledger.run(name).images
        return [image.key for image in images if image.key and image.status == Status.STORED]
    if run.output is None:
        why = run.message if run.error else "there is no report yet"
        raise LookupError(f"run {run.name} is {run.status}: {why}")
    return reported_keys(run.output)


def reported_keys(report: dict[str, Any]) -> list[str]:
    """Return the keys of the stored images in a report."""
    images = report.get("pictures", [])
    return [image["key"] for image in images if image["status"] == Status.STORED]


def fetch_images(target: Target, keys: Sequence[str], folder: Path) -> dict[str, Path]:
    """Copy images from the bucket into a folder, and return the files by key.

    Images that have been deleted are skipped.
    """
    s3 = target.client("s3")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for key in keys:
        path = folder / Path(key).name
        try:
            s3.download_file(target.bucket, key, str(path))
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                continue
            raise
        paths[key] = path
    return paths


def read_sidecar(target: Target, key: str) -> dict[str, Any] | None:
    """Return the sidecar of an image, or None if it has been deleted."""
    s3 = target.client("s3")
    try:
        body = s3.get_object(Bucket=target.bucket, Key=sidecar_key(key))["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    content: dict[str, Any] = json.loads(body)
    return content


def _wait_for_run(target: Target, name: str, *, label: str, is_open: bool = False) -> Run:
    executions = target.runs.executions
    # After a redrive, Step Functions may show the failed execution for a moment.
    until: Callable[[Execution], bool] = (lambda visible: visible.is_open) if is_open else bool
    execution = executions.wait_until_visible(name, until=until)
    return Run(label=label, execution=execution, progress=executions.progress(execution))
