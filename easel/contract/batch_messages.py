"""The messages between the states of a batch.

StartRun ─► batch ─► BatchPlan ─► [ StartRun ─► … a run … ─► Report ] × lines
BatchPlan ─► batch ─► BatchReport
BatchPlan ─► economy ─► [ Order ─► economy ─► PlacedOrder ] × orders

The API returns CheckedManifest and BatchReport as well, and shows the descriptions of their fields.
"""

from dataclasses import dataclass, field
from typing import Any

from easel.contract.messages import Message, api_field

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

    lines: int = api_field("the lines that can be made")
    pictures: int = api_field("the images of these lines")
    todo: int = api_field("the lines that are not finished yet")
    postponed: int = api_field("the lines left out because the budget has no room for them")
    bad: int = api_field("the lines that cannot be made")
    problems: tuple[LineProblem, ...] = api_field("the first bad lines")
    problems_key: str | None = api_field("the file in the bucket that lists all bad lines")
    estimate_usd: float | None = api_field("the upper bound for what is missing")
    budget_left_usd: float = api_field("what is left of the month's budget")
    fits: bool = api_field("whether the estimate fits into the rest of the month's budget")
    refusal: str | None = api_field("in a dry run: why a start would be refused, or null")


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
    """Written by economy's plan and read to place the order: up to 200 images ordered together.

    `queued` counts how often OpenAI's queue had no room for it.
    """

    order: str
    pictures: tuple[ImageRef, ...]
    work: str
    queued: int = 0


@dataclass(frozen=True, kw_only=True)
class PlacedOrder(Message):
    """Written by economy once an order is placed, and each time it polls the order.

    `batch` is the batch's id at OpenAI, or None if nothing was left to order. `number` counts how
    often the order's images were ordered. With `again` the order is to be placed once more.
    """

    order: str
    pictures: tuple[ImageRef, ...]
    work: str
    batch: str | None
    done: bool
    looks: int
    number: int = 1
    queued: int = 0
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class BatchReport(Message):
    """The report of a batch.

    stored, refused, deleted and possibly_paid count images. The other counts are of lines.
    """

    batch: str = api_field("the batch's name")
    manifest: str = api_field("the manifest's key")
    version_id: str = api_field("the version of the manifest")
    lines: int = api_field("the number of lines")
    stored: int = api_field("the number of stored images")
    refused: int = api_field("the number of images that OpenAI refused")
    deleted: int = api_field("the number of images that were deleted later")
    failed: int = api_field("the number of failed lines")
    not_started: int = api_field("the number of lines that were not started")
    possibly_paid: int = api_field("the number of paid calls with an unknown outcome")
    reasons: dict[str, int] = api_field("the number of failed lines by error")
    failures: tuple[LineProblem, ...] = api_field("the first failed lines")
    cost_usd: float | None = api_field(
        "the total cost of all starts of this batch; null if part of it is unknown"
    )
    known_cost_usd: float = api_field("the sum of the known costs of all starts")
    unknown_costs: int = api_field(
        "the number of images and prompts whose cost OpenAI did not report"
    )
    estimate_usd: float | None = api_field("the upper bound before this start")
    seconds: float = api_field("the duration of this start")
    report_key: str = api_field("the file in the bucket with this report")
    failed_key: str | None = api_field(
        "the file in the bucket with the unfinished lines, itself a manifest"
    )
    failures_key: str | None = field(
        default=None,
        metadata={
            "description": "the file in the bucket with the reason of every failed or refused line"
        },
    )
