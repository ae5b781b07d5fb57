"""Starts a file's batch, follows it, and reads its report."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from cli.target import Target
from easel.contract import naming
from easel.contract.errors import BatchFailedError, InputError
from easel.contract.states import ExecutionStatus
from easel.request import names
from easel.runs.executions import PAGE, Execution, LineCounts

POLL_SECONDS = 1.0
ENDINGS = (".jsonl", ".csv")


class BatchError(ValueError):
    """The file cannot be a batch. The message has the next step."""


@dataclass(kw_only=True)
class StartedBatch:
    """One start of a batch, in the state that was last read."""

    name: str
    execution: Execution
    checked: dict[str, Any] | None = None
    counts: LineCounts | None = None

    @property
    def status(self) -> str:
        """Return the status in Step Functions."""
        return self.execution.status


def batch_name(file: Path, name: str | None) -> str:
    """Return the given batch name, or else the file's. Raises BatchError."""
    if name is None and _is_in_bucket(file):
        return names.batch_name(file.as_posix())
    if file.suffix not in ENDINGS:
        allowed = " or ".join(ENDINGS)
        raise BatchError(f"{file} is not a manifest; a file of requests ends in {allowed}")
    try:
        return names.check_batch_name(file.stem if name is None else name, "the batch's name")
    except InputError as error:
        raise BatchError(
            f"{error}; --name (make: NAME=…) gives the batch a name other than the file's"
        ) from error


def start(target: Target, file: Path, *, name: str, options: Mapping[str, Any]) -> StartedBatch:
    """Upload the file and start its batch with that version. Options that are None are omitted.

    A manifest that is already in the bucket is started without an upload.
    """
    manifest, version = file.as_posix(), None
    if not _is_in_bucket(file):
        manifest = naming.batch_manifest(name, file.suffix.removeprefix("."))
        with file.open("rb") as body:
            stored = target.client("s3").put_object(Bucket=target.bucket, Key=manifest, Body=body)
        version = stored.get("VersionId")
        if not version:
            raise BatchError(
                f"the bucket {target.bucket} does not keep versions, so the batch could read "
                "another file than this one; turn versioning on, then start it again"
            )
    request = {"manifest": manifest, "version_id": version} | {
        field: value for field, value in options.items() if value is not None
    }
    executions = target.batch_executions
    execution = naming.batch_execution(name, at=datetime.now(UTC), suffix=token_hex(2))
    started = executions.start(request, name=execution)
    return StartedBatch(name=name, execution=executions.wait_until_visible(str(started)))


def follow(target: Target, batch: StartedBatch) -> Iterator[StartedBatch]:
    """Yield the batch's state repeatedly until the batch has ended."""
    executions = target.batch_executions
    while True:
        batch.execution = executions.get(batch.execution.arn) or batch.execution
        batch.checked = batch.checked or executions.checked_manifest(batch.execution)
        batch.counts = executions.line_counts(batch.execution) if batch.checked else None
        yield batch
        if batch.status != ExecutionStatus.RUNNING:
            return
        time.sleep(POLL_SECONDS)


def read_report(target: Target, batch: StartedBatch) -> dict[str, Any] | None:
    """Return the report of an ended batch, or None if it has none.

    A batch that failed because too many lines failed also has a report.
    """
    if batch.execution.error == BatchFailedError.__name__:
        key = naming.batch_file(batch.name, "report.json")
        body = target.client("s3").get_object(Bucket=target.bucket, Key=key)["Body"].read()
        report: dict[str, Any] = json.loads(body)
        return report
    output = batch.execution.output
    return output if output and "report_key" in output else None


def latest(target: Target, *, most: int) -> list[StartedBatch]:
    """Return the latest starts of batches, newest first, with the counts of their lines."""
    page, _ = target.batch_executions.page(limit=most, after=None)
    described = (target.batch_executions.get(summary.arn) for summary in page)
    return [_started(target, execution) for execution in described if execution]


def stop(target: Target, name: str) -> list[str]:
    """Stop the running starts of a batch, and return their names.

    Raises LookupError if none is running.
    """
    executions = target.batch_executions
    running, _ = executions.page(limit=PAGE, after=None, status=ExecutionStatus.RUNNING)
    found = [executions.get(summary.arn) for summary in running]
    mine = [execution for execution in found if execution and name_of(execution) == name]
    for execution in mine:
        executions.stop(execution)
    if not mine:
        raise LookupError(f"no batch {name!a} is running; `easel batches` lists the latest ones")
    return [execution.name for execution in mine]


def name_of(execution: Execution) -> str | None:
    """Return the name of the batch that an execution starts, or None if it names no manifest."""
    try:
        return names.batch_name(execution.input.get("manifest"))
    except (InputError, AttributeError):
        return None


def _started(target: Target, execution: Execution) -> StartedBatch:
    counts = target.batch_executions.line_counts(execution)
    name = name_of(execution) or execution.name
    return StartedBatch(name=name, execution=execution, counts=counts)


def _is_in_bucket(file: Path) -> bool:
    return not file.exists() and names.MANIFEST.fullmatch(file.as_posix()) is not None
