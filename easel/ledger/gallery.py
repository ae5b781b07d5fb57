"""The gallery: stored and deleted images, newest first, by time, folder and topic.

Stored images are sorted by when they were stored, deleted ones by when they were deleted. The
index keys of an image and the counts of its folder change in the same transaction as its record.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from easel.aws.table import Index, Item, Table
from easel.contract import naming
from easel.contract.errors import ConflictError, InputError, NotFoundError
from easel.contract.status import Status
from easel.ledger.owners import owner_key
from easel.ledger.records import PromptRecord, StoredSize, from_item, run_key
from easel.request.names import IMAGE_ID

POSITION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)#([A-Za-z0-9_.-]{1,80})#([1-9]\d?)")
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

        Both are negative if an image leaves. Each folder has sixteen counters, and the image
        decides which one is used. With a single counter, concurrent changes would block each other.
        """
        counter = naming.run8(naming.image_id(self.run_id, self.n))[0]
        return table.update(
            ("folders", f"{self.folder}#{counter}"),
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

    @property
    def id(self) -> str:
        """Return the image's public id."""
        return naming.image_id(self.run_id, self.n)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder, with the count and the bytes of its stored images."""

    name: str
    images: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A filter for images. `since` is the oldest time."""

    status: Status
    folder: str | None = None
    topic: str | None = None
    since: str | None = None

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

        `after` is the cursor of an earlier page. Raises InputError for an unknown cursor.
        """
        start = self._position(after) if after else None
        if start and criteria.since and start["at_id"] <= criteria.since:
            return [], None
        items, more = self._table.page(
            criteria.index, since=criteria.since, start=start, limit=limit
        )
        images = [from_item(GalleryImage, item) for item in items]
        return images, _cursor(items[-1]["at_id"]) if more else None

    def _position(self, cursor: str) -> Item:
        """Return the index position of the cursor's image, where the page begins."""
        wrong = InputError("cursor", cursor, "the cursor of an earlier answer, unchanged")
        try:
            at_id = urlsafe_b64decode(cursor.encode()).decode()
        except (ValueError, binascii.Error):
            raise wrong from None
        match = POSITION.fullmatch(at_id)
        if not match or _cursor(at_id) != cursor:
            raise wrong
        pk, sk = run_key(match[2], f"image#{match[3]}")
        if self._table.get(pk, sk) is None:
            raise wrong
        return {"pk": pk, "sk": sk, "at_id": at_id}

    def find(self, image_id: str) -> GalleryImage:
        """Return one image.

        Raises NotFoundError if there is none, and ConflictError if two runs share an older id.
        """
        links = self._links(image_id)
        if len(links) > 1:
            runs = ", ".join(item["sk"] for item in links)
            raise ConflictError(
                f"{image_id} is the id of images in several runs ({runs}); delete or "
                "restore it with a run that names its image_key"
            )
        key = run_key(links[0]["sk"], f"image#{links[0]['n']}") if links else None
        item = self._table.get(*key) if key else None
        if item is None:
            hint = "ids look like 1f0c9a2e4b7d8035-1, as in the answer to GET /images"
            raise NotFoundError(f"there is no image {image_id!a}: {hint}")
        if item["status"] == Status.PURGED:
            raise NotFoundError(f"image {image_id} was removed permanently")
        return from_item(GalleryImage, item)

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

    def folders(self) -> list[Folder]:
        """Return all folders that hold images, sorted by name."""
        images: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for item in self._table.query("folders"):
            name = item["sk"].rpartition("#")[0]
            images[name] += item["pictures"]
            size[name] += item["bytes"]
        return [
            Folder(name=name, images=count, bytes=size[name])
            for name, count in sorted(images.items())
            if count > 0
        ]

    def prompts(self, run_ids: Iterable[str]) -> dict[str, PromptRecord]:
        """Return the prompt records of up to 100 runs."""
        record_keys = [run_key(run_id, "prompt") for run_id in dict.fromkeys(run_ids)]
        items = self._table.get_many(record_keys)
        return {item["run_id"]: from_item(PromptRecord, item) for item in items}


def _cursor(at_id: str) -> str:
    return urlsafe_b64encode(at_id.encode()).decode()
