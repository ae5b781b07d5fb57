"""The messages between the states of a run. They carry references, never bytes, never long text.

StartRun ─► prompt ─► RunPlan ─► [ ImageTask ─► image ─► StagedImage ─► upload ─► StoredImage ] × n
RunPlan ─► cleanup ─► Report
StartRun (a request to delete or restore) ─► cleanup ─► Removal or Restoration

With a mirror, StoredImage also passes through the mirror step. For the other messages see
batch_messages.py.
"""

from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Self, get_args, get_origin

from easel.contract.errors import ConfigError


class Message:
    """A message that can be read from a state and written to one."""

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Return the message with the fields in a state. Other keys are ignored.

        Newer functions may meet an execution that an older template started. Raises ConfigError if
        a field is missing.
        """
        if not isinstance(state, dict):
            got = ascii(state)[:200]
            raise ConfigError(f"{cls.__name__} must be an object, but is {got}; {_OLDER}")
        known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
        missing = [
            name for name, field in known.items() if name not in state and field.default is MISSING
        ]
        if missing:
            lacking = ", ".join(missing)
            raise ConfigError(f"{cls.__name__} lacks {lacking}; it has {sorted(state)}; {_OLDER}")
        return cls(
            **{
                name: _read(field.type, state[name])
                for name, field in known.items()
                if name in state
            }
        )

    def to_state(self) -> dict[str, Any]:
        """Return this message as JSON-compatible values."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]


_OLDER = "the state machine may be older than the functions: deploy the stack again"


def _read(kind: Any, value: Any) -> Any:
    """Convert a state's value to a field's type: lists to tuples, objects to messages."""
    if get_origin(kind) is not tuple:
        return value
    item = get_args(kind)[0]
    if isinstance(item, type) and issubclass(item, Message):
        return tuple(item.from_state(one) for one in value)
    return tuple(value)


@dataclass(frozen=True, kw_only=True)
class StartRun(Message):
    """Written by the state machine; read by prompt, batch, and cleanup (to delete or restore).

    `request` is the execution's input, and `started` is its start (ISO 8601, UTC). For a line of a
    batch, `execution_name` is the line's run id. `execution` is then the ARN of the line's own
    execution, or None if that execution makes only a part of the run.
    """

    request: Any
    execution_name: str
    started: str
    execution: str | None = None

    @property
    def execution_id(self) -> str:
        """Return the name or ARN of the execution that makes the run."""
        return self.execution or self.execution_name


@dataclass(frozen=True, kw_only=True)
class RunPlan(Message):
    """Written by prompt; read by the Map and by cleanup. The prompt's text stays in its record.

    A dry run has no variations. `estimate_micro_usd` is the run's maximum cost, or None if a price
    is unknown.
    """

    run_id: str
    variations: tuple[int, ...]
    dry_run: bool
    estimate_micro_usd: int | None


@dataclass(frozen=True, kw_only=True)
class ImageTask(Message):
    """Written by the Map; read by image. `n` counts from 1."""

    run_id: str
    n: int


@dataclass(frozen=True, kw_only=True)
class StagedImage(Message):
    """Written by image and economy; read by upload: a paid image with its bytes at `key`."""

    run_id: str
    n: int
    key: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class StoredImage(Message):
    """Written by upload, and by mirror if there is one: an image at its final key.

    `mirrored` is the address of its copy.
    """

    run_id: str
    n: int
    status: str
    key: str | None
    mirrored: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReportedImage(Message):
    """One image of the report."""

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
    """Written by cleanup: the output of a run. Money is in dollars, or None if unknown."""

    run_id: str
    dry_run: bool
    topic: str | None
    title: str | None
    pictures: tuple[ReportedImage, ...]
    stored: int
    refused: int
    possibly_paid: int
    chat_cost_usd: float | None
    image_cost_usd: float | None
    cost_usd: float | None
    estimate_usd: float | None


@dataclass(frozen=True, kw_only=True)
class Removal(Message):
    """Written by cleanup: the output of a delete. It can be undone unless it was a `purge`.

    `objects` counts the objects found (for a purge, the versions) and `bytes` is their size. A dry
    run deletes none of them. After a retry, both are from the last attempt. `recoverable_days` is 0
    after a purge. It is None for an existing bucket, because the owner's lifecycle rules decide.
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
    """Written by cleanup: the output of a restore.

    `objects` counts the deleted objects that can be restored, and `bytes` is their size. A dry run
    restores none of them. After a retry, both are from the last attempt.
    """

    action: str
    target: str
    dry_run: bool
    objects: int
    restored: int
    bytes: int
