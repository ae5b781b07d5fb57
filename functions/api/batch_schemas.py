"""The shapes of the responses about batches. Conventions are those of schemas.py."""

from dataclasses import dataclass
from datetime import datetime

from easel.contract.batch_messages import BatchReport, CheckedManifest
from easel.contract.messages import api_field
from easel.runs.executions import LineCounts
from functions.api.schemas import ExecutionStatus, RunFailure, UploadTo


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """A batch whose manifest can be uploaded now."""

    name: str
    manifest: str = api_field("its key in the bucket")
    upload: UploadTo
    start: str = api_field("where to start the batch by POST, once the manifest is uploaded")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The current state of a batch's latest execution."""

    name: str
    status: ExecutionStatus
    execution: str
    manifest: str | None
    started: datetime
    ended: datetime | None
    seconds: float = api_field("so far, if the batch is still running")
    url: str
    console_url: str | None = api_field("null on the local stack, which has no console")
    lines: LineCounts | None = api_field("null until the manifest is checked")
    checked: CheckedManifest | None = api_field("null until the manifest is checked")
    report: BatchReport | None = api_field("once the batch has succeeded; a dry run has none")
    error: RunFailure | None


@dataclass(frozen=True, kw_only=True)
class ListedBatch:
    """One start of a batch in the list."""

    name: str | None = api_field("null if the start names no valid manifest")
    execution: str
    dry_run: bool
    status: ExecutionStatus
    started: datetime
    ended: datetime | None
    lines: LineCounts | None = api_field("null until the manifest is checked")
    cost_usd: float | None = api_field("of all starts of this batch, once this one has succeeded")
    error: RunFailure | None
    url: str | None
    console_url: str | None = api_field("null on the local stack, which has no console")


@dataclass(frozen=True, kw_only=True)
class ListedBatches:
    """A page of starts of batches, newest first."""

    batches: list[ListedBatch]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class BatchLine:
    """One line of a batch, from the records of its run."""

    line: int
    run_id: str = api_field("of a line without a request_id of its own")
    is_started: bool = api_field("whether this run has records")
    title: str | None
    count: int | None
    stored: int
    refused: int
    cost_usd: float | None
    thumbnail: str | None = api_field("a link to the thumbnail of the first stored image")
    url: str


@dataclass(frozen=True, kw_only=True)
class BatchLines:
    """A page of a batch's lines, by their number."""

    lines: list[BatchLine]
    total: int
    cursor: int | None
