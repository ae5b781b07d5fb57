"""What a caller may say of a batch. The manifest is needed, all else is optional; anything wrong is an InputError."""

from dataclasses import dataclass, fields
from typing import Any

from functions import keys
from functions.errors import InputError
from functions.request import check_fields, flag, safety_identifier, whole
from functions.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A checked start of a batch, complete with its defaults.

    `version_id` is the manifest's version, None for the one that stands there now; `max_parallel_images` how many lines go on at once;
    `economy` buys through OpenAI's Batch API, at half the price and within a day; `safety_identifier` is that of lines that say none.
    """

    manifest: str
    version_id: str | None
    dry_run: bool
    allow_partial: bool
    economy: bool
    max_parallel_images: int
    tolerated_failure_percentage: float
    safety_identifier: str | None

    @property
    def name(self) -> str:
        """The batch's name."""
        return keys.batch_name(self.manifest)


FIELDS = tuple(field.name for field in fields(Asked))


def parse(raw: object, settings: Settings) -> Asked:
    """Check the input of a batch whole. Raises InputError."""
    if not isinstance(raw, dict):
        raise InputError("the batch", raw, 'a JSON object, for example {"manifest": "batches/spring.jsonl"}')
    check_fields(raw, FIELDS)
    given = {name: value for name, value in raw.items() if value is not None}
    keys.batch_name(given.get("manifest"))
    version_id = given.get("version_id")
    if version_id is not None and not (isinstance(version_id, str) and version_id):
        raise InputError("version_id", version_id, "the id of one of the manifest's versions")
    most = settings.max_parallel_images
    return Asked(
        manifest=given["manifest"],
        version_id=version_id,
        dry_run=flag(given, "dry_run"),
        allow_partial=flag(given, "allow_partial"),
        economy=flag(given, "economy"),
        max_parallel_images=whole(given, "max_parallel_images", 1, most) or most,
        tolerated_failure_percentage=_percentage(given, settings.tolerated_failure_percentage),
        safety_identifier=safety_identifier(given),
    )


def _percentage(given: dict[str, Any], default: float) -> float:
    value = given.get("tolerated_failure_percentage", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise InputError("tolerated_failure_percentage", value, "a number from 0 to 100")
    return float(value)
