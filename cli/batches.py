"""Start the batch of a file, watch it, read what became of it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from easel.contract import naming
from easel.runs import history
from easel.runs.executions import RUNNING, Execution, Executions
from easel.runs.executions import LineCounts, MapRuns
from easel.contract.errors import BatchFailedError, InputError
from cli.target import Target

POLL_SECONDS = 1.0
ENDINGS = (".jsonl", ".csv")


class BatchError(ValueError):
    """The file can't be a batch; the message says what to do."""


@dataclass(kw_only=True)
class Started:
    """One start of a batch as it stood when it was last looked at."""

    name: str
    execution: Execution
    checked: dict[str, Any] | None = None
    counts: LineCounts | None = None

    @property
    def status(self) -> str:
        """Step Functions' word for it."""
        return self.execution.status


def name_of(file: Path, name: str | None) -> str:
    """The name of a file's batch: the one that is given, or else the file's own. Raises BatchError."""
    if name is None and not file.exists() and naming.MANIFEST.fullmatch(file.as_posix()):
        return naming.batch_name(file.as_posix())
    if file.suffix not in ENDINGS:
        raise BatchError(f"{file} is no manifest: a file of requests ends in {' or '.join(ENDINGS)}")
    try:
        return naming.check_batch_name(file.stem if name is None else name, field="the batch's name")
    except InputError as error:
        raise BatchError(f"{error}; NAME=… gives the batch another name than the file's") from error


def start(target: Target, file: Path, *, name: str, **asked: Any) -> Started:
    """Put the file into the bucket and start its batch in that version; one that is there already is started as it is."""
    manifest, version = file.as_posix(), None
    if file.exists() or not naming.MANIFEST.fullmatch(manifest):
        manifest = naming.batch_manifest(name, file.suffix.removeprefix("."))
        with file.open("rb") as body:
            version = target.client("s3").put_object(Bucket=target.bucket, Key=manifest, Body=body)["VersionId"]
    known = _executions(target)
    wanted = {"manifest": manifest, "version_id": version} | {field: value for field, value in asked.items() if value is not None}
    execution = known.start(wanted, name=naming.batch_execution(name, at=datetime.now(UTC), chance=token_hex(2)))
    return Started(name=name, execution=known.begun(str(execution)))


def follow(target: Target, started: Started) -> Iterator[Started]:
    """The batch again and again as it goes, until it has ended."""
    known, lines = _executions(target), MapRuns(target.client("stepfunctions"))
    while True:
        started.execution = known.named(started.execution.arn) or started.execution
        started.checked = started.checked or known.checked(started.execution)
        started.counts = lines.counts(started.execution.arn) if started.checked else None
        yield started
        if started.status != RUNNING:
            return
        time.sleep(POLL_SECONDS)


def report_of(target: Target, started: Started) -> dict[str, Any] | None:
    """The report of a batch that has ended, also of one of whose lines too many failed; None where nothing was made."""
    if started.execution.error == BatchFailedError.__name__:
        body = target.client("s3").get_object(Bucket=target.bucket, Key=naming.batch_file(started.name, "report.json"))["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found
    output = started.execution.output
    return output if output and "report_key" in output else None


def message(started: Started) -> str:
    """Why a batch failed, for a person."""
    return f"{started.execution.error or started.status}: {history.message(started.execution.cause)}"


def _executions(target: Target) -> Executions:
    return Executions(target.client("stepfunctions"), machine=target.batch_state_machine_arn)
