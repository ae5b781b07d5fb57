"""The messages between the states of a batch.

StartRun ─► batch ─► BatchPlan ─► [ StartRun ─► … a run … ─► Report ] × lines
BatchPlan ─► batch ─► BatchReport
BatchPlan ─► economy ─► [ Order ─► economy ─► PlacedOrder ] × orders

The API returns CheckedManifest and BatchReport as well, and shows the descriptions of their fields.
"""

from dataclasses import dataclass
from typing import Any

from easel.contract.messages import Message, described

ImageRef = dict[str, Any]  # the run_id and n of an image in an order


@dataclass(frozen=True, kw_only=True)
class LineProblem(Message):
    """The problem of one line of a manifest."""

    line: int
    field: str | None
    error: str
    message: str


@dataclass(frozen=True, kw_only=True)
class CheckedManifest(Message):
    """The result of a manifest's check, before anything is paid."""

    lines: int = described("the lines that can be made")
    pictures: int = described("the images of these lines")
    todo: int = described("the lines that are not finished yet")
    postponed: int = described("the lines left out because the budget has no room for them")
    bad: int = described("the lines that cannot be made")
    problems: tuple[LineProblem, ...] = described("the first of the bad lines")
    problems_key: str | None = described("the file in the bucket that lists all bad lines")
    estimate_usd: float | None = described("the upper bound for what is missing")
    budget_left_usd: float = described("what is left of the month's budget")
    fits: bool = described("whether the estimate fits into the rest of the month's budget")
    refusal: str | None = described("in a dry run: why a start would be refused, or null")


@dataclass(frozen=True, kw_only=True)
class BatchPlan(CheckedManifest):
    """Written by batch once the manifest is checked; read by the Map, by economy, and by batch.

    `work` is the prefix of this start's files. `ended_by` is the error that ended a Map, or None.
    Money is in dollars.
    """

    batch: str
    manifest: str
    version_id: str
    execution: str
    started: str
    dry_run: bool
    economy: bool
    work: str
    lines_key: str
    todo_key: str
    results_prefix: str
    max_parallel_images: int
    tolerated_failure_percentage: float
    ended_by: str | None


@dataclass(frozen=True, kw_only=True)
class Order(Message):
    """Written by economy's plan and read to place the order: up to 200 images ordered together."""

    order: str
    pictures: tuple[ImageRef, ...]
    work: str


@dataclass(frozen=True, kw_only=True)
class PlacedOrder(Message):
    """Written by economy once an order is placed, and each time it polls the order.

    `batch` is the batch's id at OpenAI, or None if nothing was left to order.
    """

    order: str
    pictures: tuple[ImageRef, ...]
    work: str
    batch: str | None
    done: bool
    looks: int


@dataclass(frozen=True, kw_only=True)
class BatchReport(Message):
    """The report of a batch.

    stored, refused, deleted and possibly_paid count images. The other counts are of lines.
    """

    batch: str = described("the batch's name")
    manifest: str = described("the manifest's key")
    version_id: str = described("the version of the manifest")
    lines: int = described("the number of lines")
    stored: int = described("the number of stored images")
    refused: int = described("the number of images that OpenAI refused")
    deleted: int = described("the number of images that were deleted later")
    failed: int = described("the number of failed lines")
    not_started: int = described("the number of lines that were not started")
    possibly_paid: int = described("the number of paid calls with an unknown outcome")
    reasons: dict[str, int] = described("the number of failed lines by error")
    failures: tuple[LineProblem, ...] = described("the first of the failed lines")
    cost_usd: float | None = described("for all starts; null if part of it is unknown")
    known_cost_usd: float = described("the sum of all known costs, for all starts")
    unknown_costs: int = described(
        "the number of images and prompts whose cost OpenAI did not report"
    )
    estimate_usd: float | None = described("the upper bound before this start")
    seconds: float = described("the duration of this start")
    report_key: str = described("the file in the bucket with this report")
    failed_key: str | None = described(
        "the file in the bucket with the unfinished lines, itself a manifest"
    )
