"""The shapes of the answers, from which the API's description is made.

Money in dollars, null if unknown; times ISO 8601 in UTC. What a message or a client has already is
answered as it is: BatchReport, CheckedManifest, LineCounts, Links.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from easel.contract.batch_messages import BatchReport, CheckedManifest, described
from easel.contract.states import Step
from easel.contract.status import Status
from easel.request.request import ACTIONS
from easel.runs.executions import LineCounts
from functions.api.links import Links

ExecutionStatus = Literal["running", "succeeded", "failed", "timed_out", "aborted"]
StepStatus = Literal["waiting", "running", "retrying", "succeeded", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error as problem details: a title for people, the error's name, and what to do next."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    what_to_do: str
    field: str | None = None
    allowed: str | None = None


@dataclass(frozen=True, kw_only=True)
class GatewayMessage:
    """The gateway's own answer: no valid token (401), no scope (403), too many requests (429)."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a call of a step failed."""

    error: str
    title: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RunFailure(Failure):
    """Why a run failed, and what to do."""

    what_to_do: str


@dataclass(frozen=True, kw_only=True)
class RunStep:
    """One step of a run; `done` of `of` variations are through."""

    step: Step
    status: StepStatus
    started: datetime | None
    ended: datetime | None
    attempts: int = described("calls of the function; more than `of` means that some were retried")
    done: int
    of: int
    error: Failure | None = described("of the latest failed call, until the step succeeds")


@dataclass(frozen=True, kw_only=True)
class RunPicture:
    """One picture of a run."""

    n: int
    id: str
    status: Status
    key: str | None
    alt_text: str
    width: int | None
    height: int | None
    cost_usd: float | None
    possibly_paid: int
    refusal: str | None
    problem: str | None
    links: Links | None


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run in the list. The title is that of its pictures; a delete and a restore have none."""

    id: str
    title: str | None
    status: ExecutionStatus
    started: datetime
    ended: datetime | None
    url: str
    console_url: str


@dataclass(frozen=True, kw_only=True)
class Run(ListedRun):
    """A run as it is now."""

    run_id: str = described("the id in its images' records; usually the same as id")
    action: str = described(" | ".join(ACTIONS))
    dry_run: bool
    topic: str | None
    prompt: str | None = described("its first 1,000 characters")
    count: int | None = described("how many images were requested, once the prompt is written")
    steps: list[RunStep]
    error: RunFailure | None
    pictures: list[RunPicture]
    cost_usd: float | None = described("so far; null if part of it is unknown")
    estimate_usd: float | None
    possibly_paid: int
    objects: int | None = described(
        "for a delete or restore that has ended: the number of objects found"
    )
    can_redrive: bool
    can_stop: bool


@dataclass(frozen=True, kw_only=True)
class Runs:
    """A page of runs, newest first."""

    runs: list[ListedRun]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Where a manifest is put, as the request's body; it needs no sign-in, and expires."""

    method: Literal["PUT"]
    url: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class NewBatch:
    """A batch whose manifest can be put now."""

    name: str
    manifest: str = described("its key in the bucket")
    upload: Upload
    start: str = described("where to start the batch by POST, once the manifest is uploaded")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A batch as its latest execution is now."""

    name: str
    status: ExecutionStatus
    execution: str
    manifest: str | None
    started: datetime
    ended: datetime | None
    seconds: float = described("so far, if the batch is still running")
    url: str
    console_url: str
    lines: LineCounts | None = described("null until the manifest is checked")
    checked: CheckedManifest | None = described("null until the manifest is checked")
    report: BatchReport | None = described("once the batch has succeeded; a dry run has none")
    error: RunFailure | None


@dataclass(frozen=True, kw_only=True)
class Image:
    """A picture in the gallery."""

    id: str
    run_id: str
    n: int
    status: Status
    key: str
    folder: str
    topic: str
    title: str
    alt_text: str
    model: str
    width: int
    height: int
    bytes: int
    cost_usd: float | None
    stored_at: datetime
    deleted_at: datetime | None
    recoverable_until: datetime | None
    prompt: str
    prompt_cut: bool = described("whether the prompt was cut to 1,000 characters")
    run_url: str
    console_url: str | None
    links: Links | None


@dataclass(frozen=True, kw_only=True)
class Lineage(Image):
    """A picture with all that is known of it."""

    tags: list[str]
    style: str | None
    size: str
    quality: str
    background: str
    output_format: str
    usage: dict[str, Any] | None
    sha256: str
    chat_model: str | None
    chat_cost_usd: float | None
    possibly_paid: int
    run_started: datetime


@dataclass(frozen=True, kw_only=True)
class Images:
    """A page of the gallery."""

    images: list[Image]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder: how many stored pictures it holds, and their bytes."""

    name: str
    count: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Folders:
    """All folders that hold pictures, by name."""

    folders: list[Folder]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The month's money."""

    month: str
    cap_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float


@dataclass(frozen=True, kw_only=True)
class Model:
    """An image model whose price is known."""

    name: str
    qualities: list[str]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a request would cost at most."""

    estimate_usd: float | None
    fits: bool = described("whether it fits into the rest of the month's budget")
    budget: Budget
    request: dict[str, Any] = described("the request with all its defaults")
    models: list[Model]
