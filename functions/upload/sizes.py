"""Stores the exact sizes of an image next to it. Nothing is overwritten."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from easel.aws.bucket import Bucket, StoredObject
from easel.contract import naming
from easel.contract.errors import ConflictError
from easel.images.exact_sizes import Cutter, SizedFile
from easel.images.image_file import ImageFile
from easel.ledger.records import ImageRecord, StoredSize


def cutter_of(file: ImageFile, choices: dict[str, Any], xmp: bytes) -> Cutter:
    """Return what cuts an image as its request wants."""
    kind, crop = choices["sizes_format"], choices["crop"]
    return Cutter(file.upright(), kind=kind, crop=crop, xmp=xmp)


@dataclass(frozen=True, kw_only=True)
class SizeShelf:
    """The place of one image's sizes: next to its key, with metadata that names the image."""

    bucket: Bucket
    key: str
    image: ImageRecord

    def store(self, sized: SizedFile, wanted: dict[str, Any]) -> StoredSize:
        """Make sure that a size is stored, by this call or an earlier one."""
        width, height, extension = wanted["width"], wanted["height"], sized.extension
        owner = naming.image_id(self.image.run_id, self.image.n)
        keys = (
            naming.size_key(self.key, width, height, extension),
            naming.last_size_key(self.key, width, height, extension, owner=owner),
        )
        own = {
            naming.OWNER_RUN: self.image.run_id,
            naming.OWNER_N: str(self.image.n),
            "original-sha256": self.image.sha256 or "",
        }
        sha256 = hashlib.sha256(sized.data).hexdigest()
        for key in keys:
            content_type, metadata = sized.content_type, own | {"sha256": sha256}
            size = StoredSize(
                key=key,
                **wanted,
                content_type=content_type,
                bytes=len(sized.data),
                sha256=sha256,
                enlarged=sized.enlarged,
            )
            if self.bucket.put_if_absent(
                key, sized.data, content_type=content_type, metadata=metadata
            ):
                return size
            existing = self.bucket.head(key)
            if existing and _has(existing, own):
                # An earlier version of the code may have encoded it to other bytes.
                written = {"bytes": existing.bytes, "sha256": existing.metadata["sha256"]}
                return StoredSize(**asdict(size) | written)
        raise ConflictError(
            f"{keys[0]!a} and {keys[1]!a} hold other files, which were left unchanged; move them, "
            "then resume the run"
        )


def _has(existing: StoredObject, own: dict[str, str]) -> bool:
    return "sha256" in existing.metadata and own.items() <= existing.metadata.items()
