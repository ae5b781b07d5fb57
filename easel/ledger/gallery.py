"""The gallery: stored and deleted images, newest first, by time, folder and topic.

Stored images are sorted by when they were stored, deleted ones by when they were deleted. The
index keys of an image and the counts of its folder change in the same transaction as its record.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from easel.aws.table import Index, Item, Table
from easel.contract import naming
from easel.contract.errors import ConflictError, InputError, NotFoundError
from easel.contract.status import Status
from easel.ledger.folders import counter_key
from easel.ledger.owners import owner_key
from easel.ledger.records import PromptRecord, StoredSize, from_item, run_key
from easel.request.names import IMAGE_ID

POSITION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)#([A-Za-z0-9_.-]{1,80})#([1-9]\d?)")
MOST_READS = 10  # of a page from which hidden images are left out
INDEX_KEYS = (*naming.GALLERY_INDEXES.values(), naming.GALLERY_POSITION)
INDEX_NAMES = ", ".join(f"#{name}" for name in INDEX_KEYS)
SET_INDEX_KEYS = ", ".join(f"#{name} = :{name}" for name in INDEX_KEYS)


@dataclass(frozen=True, kw_only=True)
class Place:
    """An image's place in the gallery. `at` is an ISO 8601 time."""

    status: Status
    folder: str
    topic: str
    at: str
    run_id: str
    n: int

    def index_values(self) -> dict[str, Any]:
        """Return the values for SET_INDEX_KEYS."""
        return {
            ":shelf": self.status,
            ":shelf_folder": _in_folder(self.status, self.folder),
            ":shelf_topic": _on_topic(self.status, self.topic),
            ":shelf_folder_topic": _in_folder_on_topic(self.status, self.folder, self.topic),
            ":at_id": f"{self.at}#{self.run_id}#{self.n}",
        }

    def count(self, table: Table, *, images: int, size: int) -> Item:
        """Return the action that adds to its folder's count of stored images and of their bytes.

        Both are negative if an image leaves. The image decides which of the folder's counters is
        used.
        """
        digit = naming.run8(naming.image_id(self.run_id, self.n))[0]
        return table.update(
            counter_key(self.folder, digit),
            "ADD #pictures :pictures, #bytes :bytes",
            values={":pictures": images, ":bytes": size},
        )


def _in_folder(status: str, folder: str) -> str:
    return f"{status}#{folder}"


def _on_topic(status: str, topic: str) -> str:
    return f"{status}#{topic}"


def _in_folder_on_topic(status: str, folder: str, topic: str) -> str:
    # A folder's name never contains a line break.
    return f"{status}#{folder}\n{topic}"


def _index(name: str, value: str) -> Index:
    return Index(name, naming.GALLERY_INDEXES[name], value)


@dataclass(frozen=True, kw_only=True)
class GalleryImage:
    """A stored or deleted image. Money is in micro-dollars; times are ISO 8601 in UTC."""

    run_id: str
    n: int
    status: Status
    key: str
    folder: str
    topic: str
    title: str
    alt_text: str
    model: str
    width: int
    height: int
    bytes: int
    sha256: str
    usage: dict[str, Any] | None
    cost_micro_usd: int | None
    possibly_paid: int
    stored_at: str
    deleted_at: str | None
    share: str | None
    shared_at: str | None
    share_ending: str | None = None
    previews: list[int] | None = None
    sizes: tuple[StoredSize, ...] | None = None
    tags: set[str] | None = None
    favourite: bool | None = None
    hidden: bool | None = None
    earlier_keys: list[str] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the image's present key and its earlier keys."""
        return (self.key, *(self.earlier_keys or ()))

    @property
    def id(self) -> str:
        """Return the image's public id."""
        return naming.image_id(self.run_id, self.n)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A filter for images. `since` is the oldest time. Hidden images are left out by default."""

    status: Status
    folder: str | None = None
    topic: str | None = None
    since: str | None = None
    with_hidden: bool = False

    @property
    def index(self) -> Index:
        """Return the narrowest index for this filter, with its value."""
        status, folder, topic = self.status, self.folder, self.topic
        if folder is not None and topic is not None:
            value = _in_folder_on_topic(status, folder, topic)
            return _index("by_folder_topic", value)
        if folder is not None:
            return _index("by_folder", _in_folder(status, folder))
        if topic is not None:
            return _index("by_topic", _on_topic(status, topic))
        return _index("by_time", status)


class Gallery:
    """The gallery, read from the table's indexes."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(
        self, criteria: Filter, *, after: str | None, limit: int
    ) -> tuple[list[GalleryImage], str | None]:
        """Return at most `limit` images, newest first, and the cursor of the next page or None.

        A page with a cursor has fewer images only if very many hidden ones follow each other.
        `after` is the cursor of an earlier page. Raises InputError for an unknown cursor.
        """
        start = self._position(after) if after else None
        if start and criteria.since and start["at_id"] <= criteria.since:
            return [], None
        items: list[Item] = []
        for _ in range(MOST_READS):
            read, more = self._table.page(
                criteria.index, since=criteria.since, start=start, limit=limit
            )
            items += (item for item in read if criteria.with_hidden or not item.get("hidden"))
            if len(items) >= limit or not more:
                break
            start = _place_of(read[-1])
        images = [from_item(GalleryImage, item) for item in items[:limit]]
        if len(items) > limit or (len(items) == limit and more):
            return images, write_cursor(items[limit - 1]["at_id"])
        return images, write_cursor(read[-1]["at_id"]) if more else None

    def _position(self, cursor: str) -> Item:
        """Return the index position of the cursor's image, where the page begins."""
        at_id = read_cursor(cursor)
        _, run_id, n = at_id.split("#")
        pk, sk = run_key(run_id, f"image#{n}")
        if self._table.get(pk, sk) is None:
            raise _unknown_cursor(cursor)
        return _place_of({"pk": pk, "sk": sk, "at_id": at_id})

    def find(self, image_id: str) -> GalleryImage:
        """Return one image.

        Raises NotFoundError if there is none, and ConflictError if two runs share an older id.
        """
        run_id, n = self.locate(image_id)
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        if item is None:
            raise _unknown(image_id)
        if item["status"] == Status.PURGED:
            raise NotFoundError(f"image {image_id} was removed permanently")
        return from_item(GalleryImage, item)

    def locate(self, image_id: str) -> tuple[str, int]:
        """Return the run id and the number of an image. Raises the errors of `find`."""
        links = self._links(image_id)
        if len(links) > 1:
            runs = ", ".join(item["sk"] for item in links)
            raise ConflictError(
                f"{image_id} is the id of images in several runs ({runs}); delete or "
                "restore it with a run that names its image_key"
            )
        if not links:
            raise _unknown(image_id)
        return links[0]["sk"], links[0]["n"]

    def owners(self, keys: Iterable[str]) -> list[GalleryImage]:
        """Return the stored images among up to 100 keys."""
        owners = self._table.get_many([owner_key(key) for key in dict.fromkeys(keys)])
        items = self._table.get_many(
            [run_key(owner["run_id"], f"image#{owner['n']}") for owner in owners]
        )
        return [from_item(GalleryImage, item) for item in items if item["status"] == Status.STORED]

    def _links(self, image_id: str) -> list[Item]:
        """Return the items that map an id to a run id. There may be several for an older id."""
        match = IMAGE_ID.fullmatch(image_id)
        if match is None:
            return []
        links = self._table.query(f"picture#{image_id}")
        if links or match[2] is None:
            return links
        # An older version stored the image under the first half of this id.
        older = self._table.query(f"picture#{match[1]}-{match[3]}")
        return [link for link in older if naming.image_id(link["sk"], link["n"]) == image_id]

    def prompts(self, run_ids: Iterable[str]) -> dict[str, PromptRecord]:
        """Return the prompt records of up to 100 runs."""
        record_keys = [run_key(run_id, "prompt") for run_id in dict.fromkeys(run_ids)]
        items = self._table.get_many(record_keys)
        return {item["run_id"]: from_item(PromptRecord, item) for item in items}


def _unknown(image_id: str) -> NotFoundError:
    hint = "ids look like 1f0c9a2e4b7d8035-1, as in the answer to GET /images"
    return NotFoundError(f"there is no image {image_id!a}: {hint}")


def _place_of(item: Item) -> Item:
    return {name: item[name] for name in ("pk", "sk", naming.GALLERY_POSITION)}


def write_cursor(at_id: str) -> str:
    """Return the cursor of a position."""
    return urlsafe_b64encode(at_id.encode()).decode()


def read_cursor(cursor: str) -> str:
    """Return the position of a cursor. Raises InputError if it is not the cursor of a position."""
    try:
        at_id = urlsafe_b64decode(cursor.encode()).decode()
    except (ValueError, binascii.Error):
        raise _unknown_cursor(cursor) from None
    if not POSITION.fullmatch(at_id) or write_cursor(at_id) != cursor:
        raise _unknown_cursor(cursor)
    return at_id


def _unknown_cursor(cursor: str) -> InputError:
    return InputError("cursor", cursor, "the cursor of an earlier answer, unchanged")
