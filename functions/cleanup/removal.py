"""Deletes one picture or one folder on request. The bucket keeps versions, so a delete can be undone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from functions import keys
from functions.adapters.object_store import ObjectStore, StoredObject
from functions.adapters.records import Records
from functions.request import Request

AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What went, or in a dry run would go."""

    objects: int
    bytes: int


def remove(request: Request, *, store: ObjectStore, book: Records) -> Removed:
    """Delete what was asked for, page by page; running it again finishes what was left."""
    pages = _one(str(request.image_key), store) if request.action == "delete_image" else _folder(request.folder_name, store)
    objects = size = 0
    for page in pages:
        objects, size = objects + len(page), size + sum(found.bytes for found in page)
        if not request.dry_run:
            # Records first: what is marked and not yet deleted is found again by the next listing, the other way round never.
            _mark_deleted(page, store=store, book=book)
            store.delete([found.key for found in page])
    return Removed(objects=objects, bytes=size)


def _one(key: str, store: ObjectStore) -> Iterator[list[StoredObject]]:
    found = (store.head(one) for one in (key, keys.sidecar(key), keys.thumbnail(key)))
    yield [one for one in found if one]


def _folder(folder: str, store: ObjectStore) -> Iterator[list[StoredObject]]:
    # The closing slash keeps `cats` away from `cats2/`.
    yield from store.pages(f"{folder}/")
    yield from store.pages(f"thumbnails/{folder}/")


def _mark_deleted(page: list[StoredObject], *, store: ObjectStore, book: Records) -> None:
    pictures = [found.key for found in page if found.key.endswith(keys.PICTURES) and not found.key.startswith("thumbnails/")]

    def mark(key: str) -> None:
        found = store.head(key)
        if found and found.metadata.get("run-id") and found.metadata.get("n", "").isdecimal():
            book.mark_deleted(found.metadata["run-id"], int(found.metadata["n"]), key=key)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(mark, pictures):
            pass
