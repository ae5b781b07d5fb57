"""The fields of a batch's start, in one table. Only the manifest is required."""

from dataclasses import dataclass, replace

from easel.contract.errors import InputError, summarize
from easel.contract.settings import BatchSettings
from easel.request import names
from easel.request.fields import (
    CheckedText,
    Flag,
    Number,
    WholeNumber,
    check_fields,
    column,
    drop_nulls,
    table_of,
)
from easel.request.notify import NOTIFY, select_channels
from easel.request.request import SAFETY_IDENTIFIER

MOST_AT_ONCE = 1_000
MAX_MANIFEST_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """A checked start of a batch, with all defaults filled in.

    `version_id` is None for the manifest's current version. `max_parallel_images` is how many lines
    run concurrently. With a `safety_identifier`, no line may have its own.
    """

    manifest: str = column(
        CheckedText(names.check_manifest, {}),
        "the file's key, such as `batches/spring.jsonl` or `batches/spring.csv`; `batches/spring` "
        "for whichever exists; or an earlier batch's `failed.jsonl`",
    )
    version_id: str | None = column(
        CheckedText(names.check_version_id, {"pattern": f"^{names.VERSION_ID.pattern}$"}),
        "the version of the file; the current one by default; later versions change nothing",
    )
    dry_run: bool = column(
        Flag(), "check every line and add up the price; buy nothing", default=False
    )
    allow_partial: bool = column(
        Flag(),
        "if the month's budget is too small, make as many lines as fit instead of none",
        default=False,
    )
    economy: bool = column(
        Flag(), "use OpenAI's Batch API: half the price, within a day", default=False
    )
    max_parallel_images: int = column(
        WholeNumber(1, MOST_AT_ONCE),
        "how many lines run at the same time, at most the setting",
        setting="max_parallel_images",
    )
    tolerated_failure_percentage: float = column(
        Number(0, 100),
        "the percentage of lines that may be wrong or fail before the batch stops",
        setting="tolerated_failure_percentage",
    )
    notify: tuple[str, ...] | None = column(
        NOTIFY,
        "the channels to notify when the batch has ended: the names or URLs of this deployment's "
        "webhooks, "
        "or `mail` ([guide](notify.md)); its lines send nothing of their own",
    )
    safety_identifier: str | None = column(
        SAFETY_IDENTIFIER,
        "the safety identifier of every line; without it, each line may have its own; the API sets "
        "it to the caller",
    )
    person: str | None = column(
        CheckedText(names.check_person, {"pattern": f"^{names.PERSON.pattern}$"}),
        "the caller's id, for spending and the caller's budget; set by the API",
    )

    @property
    def name(self) -> str:
        """Return the batch's name."""
        return names.batch_name(self.manifest)

    def with_manifest(self, key: str) -> "BatchRequest":
        """Return the same request with the key of the manifest that was found."""
        return replace(self, manifest=key)


TABLE = table_of(BatchRequest)
FIELDS = tuple(TABLE)


def parse(raw: object, settings: BatchSettings) -> BatchRequest:
    """Check the whole input of a batch. Raises InputError."""
    if not isinstance(raw, dict):
        example = 'a JSON object, for example {"manifest": "batches/spring.jsonl"}'
        raise InputError("the batch", summarize(raw), example)
    check_fields(raw, FIELDS)
    fields = drop_nulls(raw)
    names.check_manifest(fields.get("manifest"))
    values = {name: field.read(fields, settings) for name, field in TABLE.items()}
    most = settings.max_parallel_images
    if values["max_parallel_images"] > most:
        allowed = f"a whole number from 1 to {most}"
        raise InputError("max_parallel_images", values["max_parallel_images"], allowed)
    select_channels(values["notify"], settings.channels)
    return BatchRequest(**values)
