"""The shapes of the answers, from which the API's description is made. Money in dollars, null where unknown; times ISO 8601 in UTC."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from functions.request import ACTIONS

RUN_STATUSES = Literal["running", "succeeded", "failed", "timed_out", "aborted"]


class Problem(BaseModel):
    """An error: its class name, what is wrong, and what to do."""

    type: str
    title: str
    status: int
    detail: str
    what_to_do: str
    field: str | None = Field(default=None, description="the field, parameter or header that is wrong")
    allowed: str | None = Field(default=None, description="what it may be")


class GatewayMessage(BaseModel):
    """The gateway's own answer: no valid token (401), a token without the scope (403), too many requests (429)."""

    message: str


class Links(BaseModel):
    """Links that need no sign-in. They die at expires_at."""

    picture: str
    thumbnail: str
    download: str = Field(description="the picture as a file to keep")
    expires_at: datetime


class Failure(BaseModel):
    """Why a call of a step failed."""

    error: str
    message: str


class RunFailure(Failure):
    """Why a run failed, and what to do."""

    what_to_do: str


class Step(BaseModel):
    """One step of a run; `done` of `of` variations are through."""

    step: Literal["prompt", "image", "upload", "cleanup"]
    status: Literal["waiting", "running", "retrying", "succeeded", "failed", "stopped"]
    started: datetime | None
    ended: datetime | None
    attempts: int = Field(description="calls of the function; more than `of` means that some were repeated")
    done: int
    of: int
    error: Failure | None = Field(description="of the latest failed call, while the step has not succeeded")


class RunPicture(BaseModel):
    """One picture of a run."""

    n: int
    id: str
    status: Literal["claimed", "staged", "stored", "refused", "lost", "bad", "deleted"]
    key: str | None
    alt_text: str
    width: int | None
    height: int | None
    cost_usd: float | None
    possibly_paid: int
    refusal: str | None
    problem: str | None
    links: Links | None


class ListedRun(BaseModel):
    """A run in the list. The title is that of its pictures; a delete and a restore have none."""

    id: str
    title: str | None
    status: RUN_STATUSES
    started: datetime
    ended: datetime | None
    url: str
    console_url: str


class Run(ListedRun):
    """A run as it stands."""

    run_id: str = Field(description="what its pictures stand under; mostly the id")
    action: str = Field(description=" | ".join(ACTIONS))
    dry_run: bool
    topic: str | None
    prompt: str | None = Field(description="its first 1,000 characters")
    count: int | None = Field(description="how many pictures are wanted, once the prompt is written")
    steps: list[Step]
    error: RunFailure | None
    pictures: list[RunPicture]
    cost_usd: float | None = Field(description="so far; null where a part of it is unknown")
    estimate_usd: float | None
    possibly_paid: int
    objects: int | None = Field(description="of a delete or a restore that has ended: how many objects it found")
    can_redrive: bool
    can_stop: bool


class Runs(BaseModel):
    """A page of runs, newest first."""

    runs: list[ListedRun]
    cursor: str | None


class Upload(BaseModel):
    """Where a manifest is put, as the request's body; it needs no sign-in, and dies at expires_at."""

    method: Literal["PUT"]
    url: str
    expires_at: datetime


class NewBatch(BaseModel):
    """A batch whose manifest can be put now."""

    name: str
    manifest: str = Field(description="its key in the bucket")
    upload: Upload
    start: str = Field(description="where the batch is started by POST, once the manifest is there")


class LineCounts(BaseModel):
    """The lines of a batch by what becomes of them."""

    total: int
    pending: int
    running: int
    succeeded: int
    failed: int
    aborted: int


class LineProblem(BaseModel):
    """What is wrong with one line of a manifest."""

    line: int
    field: str | None
    error: str
    message: str


class Checked(BaseModel):
    """What the check of a manifest found, before anything was paid."""

    lines: int = Field(description="those that can be made")
    pictures: int
    todo: int = Field(description="the lines that were not finished yet")
    postponed: int = Field(description="the lines that are left out for want of budget")
    bad: int = Field(description="the lines that can't be made")
    problems: list[LineProblem] = Field(description="of the first of the bad lines")
    problems_key: str | None = Field(description="the file in the bucket that has all of them")
    estimate_usd: float | None = Field(description="of what is missing, at most")
    budget_left_usd: float
    fits: bool = Field(description="whether the estimate fits under what is left of the month's budget")
    refusal: str | None = Field(description="of a dry run: why a start would be refused, if it would")


class BatchReport(BaseModel):
    """What became of a batch. Pictures are counted in stored, refused, deleted and possibly_paid, lines in the others."""

    batch: str
    manifest: str
    version_id: str
    lines: int
    stored: int
    refused: int
    deleted: int
    failed: int
    not_started: int
    possibly_paid: int
    reasons: dict[str, int] = Field(description="how many lines failed of which error")
    failures: list[LineProblem] = Field(description="the first of the failed lines")
    cost_usd: float | None = Field(description="over all starts; null where a part of it is unknown")
    known_cost_usd: float
    unknown_costs: int = Field(description="how many pictures and prompts came without a word of what they cost")
    estimate_usd: float | None
    seconds: float
    report_key: str
    failed_key: str | None = Field(description="the file in the bucket with the lines that are not finished: a manifest itself")


class Batch(BaseModel):
    """A batch as its latest execution stands."""

    name: str
    status: RUN_STATUSES
    execution: str
    manifest: str | None
    started: datetime
    ended: datetime | None
    seconds: float = Field(description="so far, where it has not ended")
    url: str
    console_url: str
    lines: LineCounts | None = Field(description="null until the manifest is checked")
    checked: Checked | None = Field(description="null until the manifest is checked")
    report: BatchReport | None = Field(description="once it has succeeded; a dry run has none")
    error: RunFailure | None


class Image(BaseModel):
    """A picture in the gallery."""

    id: str
    run_id: str
    n: int
    status: Literal["stored", "deleted"]
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
    prompt_cut: bool = Field(description="whether the prompt was cut to 1,000 characters")
    run_url: str
    console_url: str | None
    links: Links | None


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


class Images(BaseModel):
    """A page of the gallery."""

    images: list[Image]
    cursor: str | None


class Folder(BaseModel):
    """A folder: how many stored pictures it holds, and their bytes."""

    name: str
    count: int
    bytes: int


class Folders(BaseModel):
    """All folders that hold pictures, by name."""

    folders: list[Folder]


class Budget(BaseModel):
    """The month's money."""

    month: str
    cap_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float


class Model(BaseModel):
    """An image model whose price is known."""

    name: str
    qualities: list[str]


class Estimate(BaseModel):
    """What a request would cost at most."""

    estimate_usd: float | None
    fits: bool = Field(description="whether it fits under what is left of the month's budget")
    budget: Budget
    request: dict[str, Any] = Field(description="the request, complete with its defaults")
    models: list[Model]
