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
    dry_run: bool
    economy: bool
    manifest: str | None
    version_id: str | None = api_field(
        "the version of the manifest, for a start with what was checked; null until it is known"
    )
    started: datetime
    ended: datetime | None
    seconds: float = api_field("so far, if the batch is still running")
    url: str
    console_url: str | None = api_field("null on the local stack, which has no console")
    lines: LineCounts | None = api_field("null until the manifest is checked")
    cost_usd: float | None = api_field(
        "of all starts so far; null for a dry run, if it is not known, and for more than 1,000 "
        "lines until the batch has ended"
    )
    can_stop: bool
    can_resume: bool = api_field("whether another start may make more lines")
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
    run_id: str
    is_started: bool = api_field("whether this run has records")
    title: str | None = api_field("the images' title, or else what the line requests")
    count: int | None = api_field("how many images it requests")
    stored: int
    refused: int
    cost_usd: float | None
    thumbnail: str | None = api_field("a link to the thumbnail of the first stored image")
    url: str


@dataclass(frozen=True, kw_only=True)
class BatchLines:
    """A page of a batch's lines, in the order of its file."""

    lines: list[BatchLine]
    total: int = api_field("the lines that can be made")
    cursor: int | None


@dataclass(frozen=True, kw_only=True)
class BatchFailure:
    """One line that cannot be made, that failed, or of which OpenAI refused images."""

    line: int | None = api_field(
        "its number in the file; null while the batch runs, if the line has its own request_id"
    )
    run_id: str | None = api_field("null for a line that cannot be made")
    field: str | None = api_field("the field of the request that is wrong")
    error: str
    title: str
    message: str
    what_to_do: str
    url: str | None = api_field("the run of the line, or null if it has none")


@dataclass(frozen=True, kw_only=True)
class BatchFailures:
    """A page of lines that failed. It may be short or empty while there is a cursor."""

    failures: list[BatchFailure]
    cursor: str | None
