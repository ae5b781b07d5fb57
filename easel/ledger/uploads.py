"""The uploads: images that people bring, to make images from them.

An upload arrives in the inbox and is checked. A checked upload has a key of its own, which keeps
the first bytes that arrived. If an image is made from it, it is kept, or else it expires.
"""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from easel.aws.table import Key, Table

# OpenAI takes files below 50 MB: images.edit in its API reference.
MAX_BYTES = 49_999_999
# The types that Easel reads. Those that OpenAI does not read are converted to PNG.
TYPES = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/avif",
)
SK = "upload"


class UploadStatus(StrEnum):
    """The state of an upload."""

    WAITING = "waiting"
    READY = "ready"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One upload. The fields from `key` to `is_transparent` are None until it is checked.

    `created_at` is ISO 8601 in UTC. `width` and `height` are in pixels as a viewer shows the image.
    `is_transparent` is true if a pixel is fully transparent, as a mask needs it. `problem` is why
    it was refused.
    """

    id: str
    name: str
    created_at: str
    status: UploadStatus = UploadStatus.WAITING
    key: str | None = None
    version_id: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    content_type: str | None = None
    is_transparent: bool | None = None
    problem: str | None = None
    is_used: bool = False

    def expires_at(self, *, days: int) -> datetime | None:
        """Return when an unused upload is deleted, or None if an image is made from it."""
        created = datetime.fromisoformat(self.created_at)
        return None if self.is_used else created + timedelta(days=days)


class Uploads:
    """The uploads of a stack."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, upload_id: str, *, name: str) -> Upload:
        """Record an upload before it arrives. Return the known one if it has arrived already."""
        upload = Upload(id=upload_id, name=name, created_at=_now())
        pk, sk = _key(upload_id)
        self._table.write(self._table.put_if_absent({"pk": pk, "sk": sk} | _values(upload)))
        return self.find(upload_id) or upload

    def find(self, upload_id: str) -> Upload | None:
        """Return an upload, or None."""
        item = self._table.get(*_key(upload_id))
        if item is None:
            return None
        known = {field.name: item[field.name] for field in fields(Upload) if field.name in item}
        return Upload(**known | {"status": UploadStatus(item["status"])})

    def take_key(self, upload_id: str, key: str, *, sha256: str) -> bool:
        """Give an upload its key for these bytes. Return False if other bytes came first."""
        values = {":key": key, ":sha256": sha256}
        condition = "attribute_not_exists(#key) OR (#key = :key AND #sha256 = :sha256)"
        change = "SET #key = :key, #sha256 = :sha256"
        taken = self._table.change(_key(upload_id), change, condition=condition, values=values)
        return taken is not None

    def mark_ready(self, upload: Upload) -> None:
        """Store the facts of a checked upload."""
        facts = {
            name: value
            for name, value in _values(upload).items()
            if name not in ("id", "name", "created_at", "key", "sha256", "is_used")
        }
        expression = ", ".join(f"#{name} = :{name}" for name in facts)
        values = {f":{name}": value for name, value in facts.items()} | {":sha256": upload.sha256}
        self._table.change(
            _key(upload.id),
            f"SET {expression} REMOVE #problem",
            condition="#sha256 = :sha256",
            values=values,
        )

    def mark_refused(self, upload_id: str, *, problem: str) -> None:
        """Store why an upload was refused, unless its bytes have arrived before."""
        self._table.change(
            _key(upload_id),
            "SET #status = :refused, #problem = :problem",
            condition="attribute_exists(pk) AND attribute_not_exists(#key)",
            values={":refused": UploadStatus.REFUSED, ":problem": problem},
        )

    def mark_used(self, upload_id: str, *, is_used: bool) -> None:
        """Record whether an image is made from an upload, so that it does not expire."""
        self._table.change(
            _key(upload_id),
            "SET #is_used = :is_used",
            condition="attribute_exists(pk)",
            values={":is_used": is_used},
        )


def _key(upload_id: str) -> Key:
    return f"upload#{upload_id}", SK


def _values(upload: Upload) -> dict[str, Any]:
    return {name: value for name, value in asdict(upload).items() if value is not None}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
