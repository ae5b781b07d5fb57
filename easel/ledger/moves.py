"""Moves a stored image to another folder. It keeps its id, its record, its share and its lineage.

S3 cannot rename, so a move copies the files, changes the record in one transaction, and deletes the
old files. It may die at any line and run again. The image still owns its earlier keys, so links by
an earlier key lead to it, it can always move back, and no other image gets such a key.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import PurePosixPath

from easel.aws.bucket import Bucket, StoredObject
from easel.aws.table import Item, Table
from easel.contract import naming
from easel.contract.errors import ConflictError, FinalError, NotFoundError
from easel.contract.status import Status
from easel.ledger.gallery import SET_INDEX_KEYS, Place
from easel.ledger.owners import KeyOwners
from easel.ledger.records import ImageRecord, StoredSize, from_item, run_key, write_sizes

MAX_SIDECAR_BYTES = 1_000_000


class Moves:
    """Moves images within one bucket."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._owners = KeyOwners(table)

    def move(self, run_id: str, n: int, *, folder: str) -> str:
        """Move a stored image into a folder. Return its key, which is the same if it is there.

        Raises NotFoundError unless the image is stored, and ConflictError if its name is taken in
        the folder, or if it was deleted or moved meanwhile.
        """
        item = self._read(run_id, n)
        image = from_item(ImageRecord, item)
        old = str(image.key)
        target = f"{folder}/{PurePosixPath(old).name}"
        if item["folder"] != folder or old != target:
            self._take(target, run_id, n)
            moved = _with_key(image, target)
            try:
                self._copy(image, moved)
                self._record(item, moved, folder)
            except FinalError:
                if target not in (image.earlier_keys or ()):
                    self._owners.release(target, run_id, n)
                raise
        # An earlier attempt may have died before it deleted the old files.
        for key in self._read(run_id, n).get("earlier_keys") or ():
            self._delete(key, image)
        return target

    def _read(self, run_id: str, n: int) -> Item:
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        if item is None or item["status"] != Status.STORED:
            raise NotFoundError(f"image {n} of run {run_id} is not stored, so it cannot be moved")
        return item

    def _take(self, target: str, run_id: str, n: int) -> None:
        """Make the image the owner of its new key."""
        taken = ConflictError(
            f"{target!a} is the name of another file; move that one first, or choose another folder"
        )
        if not self._owners.take(target, run_id, n):
            raise taken
        existing = self._bucket.head(target)
        if existing and not _is_of(existing, run_id, n):
            self._owners.release(target, run_id, n)
            raise taken

    def _copy(self, image: ImageRecord, moved: ImageRecord) -> None:
        """Copy all files. Skip those that an earlier attempt has copied."""
        pairs = dict(zip((*image.files, image.key), (*moved.files, moved.key), strict=True))
        for source, target in pairs.items():
            stored = self._bucket.head(str(source))
            if stored is None:
                if source == image.key:
                    raise NotFoundError(f"{source!a} is not in the bucket, so it cannot be moved")
                continue  # a preview that an older version did not write
            self._bucket.copy_if_absent(
                str(source),
                str(target),
                content_type=stored.content_type,
                metadata=stored.metadata,
            )
        self._copy_sidecar(image, moved, pairs)

    def _copy_sidecar(
        self, image: ImageRecord, moved: ImageRecord, keys: Mapping[str | None, str | None]
    ) -> None:
        """Write the sidecar with the new keys."""
        source, target = (naming.sidecar_key(str(each.key)) for each in (image, moved))
        body = self._bucket.get(source, limit=MAX_SIDECAR_BYTES)
        if body is None:
            return
        lineage = json.loads(body)
        lineage["key"] = moved.key
        for size in lineage.get("sizes") or ():
            size["key"] = keys.get(size["key"], size["key"])
        text = json.dumps(lineage, indent=2, ensure_ascii=False).encode()
        self._bucket.put(target, text, content_type="application/json")

    def _record(self, item: Item, moved: ImageRecord, folder: str) -> None:
        """Change the record, the gallery and the folders' counts in one transaction."""
        old_place = _place(item, item["folder"])
        place = _place(item, folder)
        earlier = [key for key in item.get("earlier_keys") or [] if key != moved.key]
        change = self._table.update(
            (item["pk"], item["sk"]),
            "SET #key = :key, #folder = :folder, #sizes = :sizes, #earlier_keys = :earlier, "
            f"{SET_INDEX_KEYS}",
            condition="#key = :old AND #status = :stored",
            values={
                ":key": moved.key,
                ":folder": folder,
                ":sizes": write_sizes(moved.sizes or ()),
                ":earlier": [*earlier, item["key"]],
                ":old": item["key"],
                ":stored": Status.STORED,
            }
            | place.index_values(),
        )
        size = item["bytes"]
        counts = {}
        if folder != item["folder"]:
            counts = {
                "out": old_place.count(self._table, images=-1, size=-size),
                "in": place.count(self._table, images=1, size=size),
            }
        if not all(self._table.write(change, *counts.values())):
            # Somebody deleted or moved it meanwhile. The copies belong to no record.
            current = self._table.get(item["pk"], item["sk"]) or {}
            if current.get("key") == moved.key:  # by another attempt
                return
            self._bucket.delete([*moved.files, naming.sidecar_key(str(moved.key)), str(moved.key)])
            raise ConflictError(
                f"{item['key']!a} was deleted or moved meanwhile; nothing was moved"
            )

    def _delete(self, key: str, image: ImageRecord) -> None:
        """Delete the files at an earlier key.

        The image keeps its old version for thirty days, because runs may have fixed it as their
        reference image. The other files are removed permanently, so that no restore of a folder
        brings them back.
        """
        stored = self._bucket.head(key)
        if stored and _is_of(stored, image.run_id, image.n):
            self._bucket.delete([key])
        others = [*_with_key(image, key).files, naming.sidecar_key(key)]
        versions = [
            (version.key, version.id) for other in others for version in self._bucket.history(other)
        ]
        if versions:
            self._bucket.remove(versions)


def _with_key(image: ImageRecord, key: str) -> ImageRecord:
    """Return the image with another key, and with the keys of its sizes next to it."""
    return replace(
        image, key=key, sizes=tuple(_moved_size(size, image, key) for size in image.sizes or ())
    )


def _moved_size(size: StoredSize, image: ImageRecord, key: str) -> StoredSize:
    return StoredSize(**asdict(size) | {"key": f"{key}{size.key.removeprefix(str(image.key))}"})


def _is_of(stored: StoredObject, run_id: str, n: int) -> bool:
    return (stored.metadata.get("run-id"), stored.metadata.get("n")) == (run_id, str(n))


def _place(item: Item, folder: str) -> Place:
    return Place(
        status=Status.STORED,
        folder=folder,
        topic=item["topic"],
        at=item["stored_at"],
        run_id=item["run_id"],
        n=item["n"],
    )
