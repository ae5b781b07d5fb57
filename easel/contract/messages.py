"""The messages between the states. They carry references, never bytes and never long text.

Start ─► prompt ─► Prompt ─► [ Variation ─► image ─► StagedImage ─► upload ─► StoredImage ─► (mirror) ] × count
Prompt ─► cleanup ─► Report           Start (a request to delete or restore) ─► cleanup ─► Removal or Restoration
Start (of a batch) ─► batch ─► Batch ─► [ Start ─► … as above … ─► Report ] × lines;  Batch ─► batch ─► BatchReport
"""

from dataclasses import MISSING as NEEDED
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, get_origin

from functions.errors import ConfigError


class Message:
    """What every message can do: be read from a state strictly, and be written to one."""

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Read what this message needs; unknown keys are ignored, since an older run can meet a newer function."""
        if not isinstance(state, dict):
            raise ConfigError(f"{cls.__name__} must be an object, got {ascii(state)[:200]}; is the state machine older?")
        missing = [field.name for field in fields(cls) if field.name not in state and field.default is NEEDED]  # type: ignore[arg-type]
        if missing:
            raise ConfigError(f"{cls.__name__} lacks {', '.join(missing)}, got {sorted(state)}; is the state machine older?")
        given = {field.name: (field.type, state[field.name]) for field in fields(cls) if field.name in state}  # type: ignore[arg-type]
        return cls(**{name: tuple(value) if get_origin(kind) is tuple else value for name, (kind, value) in given.items()})

    def to_state(self) -> dict[str, Any]:
        """This message as JSON can carry it."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]


@dataclass(frozen=True, kw_only=True)
class Start(Message):
    """Written by the state machine; read by prompt, by cleanup for a request to delete or restore, and by batch.

    `request` is the execution's input, whatever it is; `started` the execution's start, ISO 8601 in UTC. For a batch's line,
    `execution_name` is the line's run id, and `execution` the ARN of its own execution,
    None where that is only a part of the run, and for a single run, which is found by its name.
    """

    request: Any
    execution_name: str
    started: str
    execution: str | None = None

    @property
    def found_by(self) -> str:
        """The name or ARN of the execution that makes the run."""
        return self.execution or self.execution_name


@dataclass(frozen=True, kw_only=True)
class Prompt(Message):
    """Written by prompt; read by the Map and by cleanup. The text itself stays in the prompt record.

    A dry run has no variations. `estimate_micro_usd` is the upper bound of the run, None where a price is unknown.
    """

    run_id: str
    variations: tuple[int, ...]
    dry_run: bool
    estimate_micro_usd: int | None


@dataclass(frozen=True, kw_only=True)
class Variation(Message):
    """Written by the Map; read by image. `n` counts from 1."""

    run_id: str
    n: int


@dataclass(frozen=True, kw_only=True)
class StagedImage(Message):
    """Written by image; read by upload. A picture that was paid and lies at `key` in staging."""

    run_id: str
    n: int
    key: str
    bytes: int
    sha256: str
    usage: dict[str, Any] | None
    cost_micro_usd: int | None


@dataclass(frozen=True, kw_only=True)
class StoredImage(Message):
    """Written by upload, and by mirror where there is one; shown in the execution. A picture at its final key, and where its copy is."""

    run_id: str
    n: int
    status: str
    key: str | None
    mirrored: str | None = None


@dataclass(frozen=True, kw_only=True)
class Picture(Message):
    """One line of the report."""

    n: int
    id: str
    status: str
    key: str | None
    console_url: str | None
    bytes: int | None
    cost_usd: float | None
    possibly_paid: int
    refusal: str | None


@dataclass(frozen=True, kw_only=True)
class Report(Message):
    """Written by cleanup: the output of an execution that made pictures. Money in dollars, None where unknown."""

    run_id: str
    dry_run: bool
    topic: str | None
    title: str | None
    pictures: tuple[Picture, ...]
    stored: int
    refused: int
    possibly_paid: int
    chat_cost_usd: float | None
    image_cost_usd: float | None
    cost_usd: float | None
    estimate_usd: float | None


@dataclass(frozen=True, kw_only=True)
class Removal(Message):
    """Written by cleanup: the output of an execution that deleted. Versions stay, so it can be undone; but after a purge, for good.

    `objects` is how many were found (in a purge: versions), `bytes` their size; a dry run deletes none of them. After a retry they are
    those of the last try. `recoverable_days` is 0 after a purge, None in an existing bucket: its owner's lifecycle decides.
    """

    action: str
    target: str
    purge: bool
    dry_run: bool
    objects: int
    deleted: int
    bytes: int
    recoverable_days: int | None


@dataclass(frozen=True, kw_only=True)
class Restoration(Message):
    """Written by cleanup: the output of an execution that undid a delete.

    `objects` is how many deleted ones can be had back, `bytes` their size; a dry run restores none of them. After a retry they are
    those of the last try.
    """

    action: str
    target: str
    dry_run: bool
    objects: int
    restored: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Problem(Message):
    """What is wrong with one line of a manifest: the field, where it is one, and the error by name and in words."""

    line: int
    field: str | None
    error: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Batch(Message):
    """Written by batch once the manifest is checked; read by the Map over its lines, by economy, and by batch at the end. Money in dollars.

    `lines` are those that can be made, of which `todo` are not finished yet and `postponed` are left out for want of budget; `bad` are
    those that can't. The estimate is the upper bound of what is missing of them all, None where a price is unknown. Of a dry run,
    `refusal` says why a start would be refused, if it would. `work` is where the files of this start are. `ended_by` is the error that
    ended a Map, if one did.
    """

    batch: str
    manifest: str
    version_id: str
    execution: str
    started: str
    dry_run: bool
    economy: bool
    lines: int
    pictures: int
    todo: int
    postponed: int
    bad: int
    problems: tuple[dict[str, Any], ...]
    problems_key: str | None
    estimate_usd: float | None
    budget_left_usd: float
    fits: bool
    refusal: str | None
    work: str
    lines_key: str
    todo_key: str
    results_prefix: str
    max_parallel_images: int
    tolerated_failure_percentage: float
    ended_by: str | None


@dataclass(frozen=True, kw_only=True)
class Order(Message):
    """Written by economy's plan; read by it to place. Up to 200 pictures, each by run_id and n, that are ordered together."""

    order: str
    pictures: tuple[dict[str, Any], ...]
    work: str


@dataclass(frozen=True, kw_only=True)
class PlacedOrder(Message):
    """Written by economy once an order is placed, and by its `looks` at it; `batch` is None where nothing was left to order."""

    order: str
    pictures: tuple[dict[str, Any], ...]
    work: str
    batch: str | None
    done: bool
    looks: int


@dataclass(frozen=True, kw_only=True)
class BatchReport(Message):
    """Written by batch: the output of an execution that made a batch, and its report.json. Money in dollars, None where unknown.

    `stored`, `refused`, `deleted` and `possibly_paid` count pictures, `lines`, `failed` and `not_started` lines; `failures` are the first
    of the failed, `reasons` count all of them by error. With `unknown_costs`, `cost_usd`
    is unknown, too. `failed_key` is where the lines stand that are not finished, if there are any.
    """

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
    reasons: dict[str, int]
    failures: tuple[dict[str, Any], ...]
    cost_usd: float | None
    known_cost_usd: float
    unknown_costs: int
    estimate_usd: float | None
    seconds: float
    report_key: str
    failed_key: str | None
