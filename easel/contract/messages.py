"""The messages between the states of a run. They carry references, never bytes, never long text.

StartRun ─► prompt ─► RunPlan ─► [ ImageTask ─► image ─► StagedImage ─► upload ─► StoredImage ] × n
RunPlan ─► cleanup ─► Report
StartRun (a request on one image or folder) ─► cleanup ─► Removal, Restoration or Sharing

With a mirror, StoredImage also passes through the mirror step. For the other messages see
batch_messages.py.
"""

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self, get_args, get_origin

from easel.contract.errors import ConfigError, summarize


def api_field(text: str) -> Any:
    """Return a required field with a description, for the API and the reference."""
    return field(metadata={"description": text})


class Message:
    """A message that can be read from a state and written to one."""

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Return the message with the fields in a state. Other keys are ignored.

        Newer functions may meet an execution that an older template started. Raises ConfigError if
        a field is missing.
        """
        if not isinstance(state, dict):
            got = summarize(state)
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
    item_type = get_args(kind)[0]
    if isinstance(item_type, type) and issubclass(item_type, Message):
        return tuple(item_type.from_state(element) for element in value)
    return tuple(value)


@dataclass(frozen=True, kw_only=True)
class StartRun(Message):
    """Written by the state machine; read by prompt and batch, and by cleanup to change an image.

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
    """An image at its final key. Written by upload, and by mirror if there is one.

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

    n: int = api_field("the image's number in the run, from 1")
    id: str = api_field("the image's id, for the API")
    status: str = api_field("`stored`, `refused` (by OpenAI's moderation) or `deleted` (later)")
    key: str | None = api_field("the image's key in the bucket")
    console_url: str | None = api_field("the image's page in the S3 console")
    bytes: int | None = api_field("the image's size")
    cost_usd: float | None = api_field("the image's cost; null if unknown")
    possibly_paid: int = api_field(
        "the number of paid calls for this image with an unknown outcome: a timeout, a broken "
        "connection or a crash; each image is bought again at most once"
    )
    refusal: str | None = api_field("OpenAI's reason for a refusal")
    shared_url: str | None = api_field("the image's public address, if it is shared")


@dataclass(frozen=True, kw_only=True)
class Report(Message):
    """Written by cleanup: the output of a run. Money is in dollars, or None if unknown."""

    run_id: str = api_field("the run's id; send it as `request_id` to finish a failed run")
    dry_run: bool = api_field("whether this was only an estimate")
    topic: str | None = api_field("the subject of the images")
    title: str | None = api_field("the chat model's title")
    pictures: tuple[ReportedImage, ...] = api_field("one entry per variation, in order")
    stored: int = api_field("the number of stored images")
    refused: int = api_field("the number of images that OpenAI refused")
    possibly_paid: int = api_field(
        "the number of paid calls with an unknown outcome, including the prompt's"
    )
    chat_cost_usd: float | None = api_field("the prompt's cost; null if unknown")
    image_cost_usd: float | None = api_field("the images' cost; null if unknown")
    cost_usd: float | None = api_field("the total cost; null if part of it is unknown")
    estimate_usd: float | None = api_field("the upper bound, reserved in the budget")


@dataclass(frozen=True, kw_only=True)
class Removal(Message):
    """Written by cleanup: the output of a delete. It can be undone unless it was a `purge`.

    After a retry, `objects` and `bytes` are from the last attempt.
    """

    action: str = api_field("the request's `action`")
    target: str = api_field("the image's key, or the folder")
    purge: bool = api_field("whether every version was removed")
    dry_run: bool = api_field("whether this only counted the objects")
    objects: int = api_field("the number of objects found; for a purge, the number of versions")
    deleted: int = api_field("how many of them were deleted")
    bytes: int = api_field("the size of the objects")
    recoverable_days: int | None = api_field(
        "how long they can be restored: 0 after a purge, null if the bucket's own rules decide"
    )
    used_in: int | None = api_field(
        "how many images all runs requested from this image; null for a folder"
    )


@dataclass(frozen=True, kw_only=True)
class Restoration(Message):
    """Written by cleanup: the output of a restore.

    After a retry, `objects` and `bytes` are from the last attempt.
    """

    action: str = api_field("the request's `action`")
    target: str = api_field("the image's key, or the folder")
    dry_run: bool = api_field("whether this only counted the objects")
    objects: int = api_field("the number of deleted objects that can be restored")
    restored: int = api_field("how many of them were restored")
    bytes: int = api_field("the size of the objects")


@dataclass(frozen=True, kw_only=True)
class Sharing(Message):
    """Written by cleanup: the output of a share or of its end. Both can be repeated."""

    action: str = api_field("the request's `action`")
    target: str = api_field("the image's key")
    dry_run: bool = api_field("whether this only checked the request")
    shared: bool = api_field("whether the image is public now")
    url: str | None = api_field("the image's public address; null if it is private")
    gone_after_seconds: int | None = api_field(
        "after an unshare: how long the distribution may still answer with the image; browsers "
        "that have seen it keep it"
    )


@dataclass(frozen=True, kw_only=True)
class Relocation(Message):
    """Written by cleanup: the output of a move. It can be repeated, and moved back."""

    action: str = api_field("the request's `action`")
    target: str = api_field("the image's key before the move")
    dry_run: bool = api_field("whether this only checked the request")
    key: str = api_field("the image's key in the folder")


@dataclass(frozen=True, kw_only=True)
class Several(Message):
    """Written by cleanup: the output of an action on several images."""

    action: str = api_field("the request's `action`")
    target: str = api_field("how many images the request names")
    dry_run: bool = api_field("whether this only checked the request")
    images: int = api_field("how many images were changed, or were so already")
    objects: int = api_field("for a delete or restore: the number of objects found")
