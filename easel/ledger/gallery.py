"""The gallery as it is read: pictures newest first, one picture by its id, the folders with their counts, the runs' prompts."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from functions import keys
from functions.adapters import shelves
from functions.adapters.records import PromptRecord, read
from functions.adapters.table import Item, Table
from functions.errors import ConflictError, InputError, NotFoundError

POSITION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)#([A-Za-z0-9_.-]{1,80})#([1-9]\d?)")
PICTURE_ID = re.compile(r"[0-9a-f]{8}-([1-9]|10)")


@dataclass(frozen=True, kw_only=True)
class Shelved:
    """A picture that is in the gallery, or was deleted from it. Money in micro-dollars, times ISO 8601 in UTC."""

    run_id: str
    n: int
    status: str
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

    @property
    def id(self) -> str:
        """The picture's public id."""
        return keys.picture_id(self.run_id, self.n)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """How many stored pictures a folder holds, and their bytes."""

    name: str
    pictures: int
    bytes: int


class Gallery:
    """What the table's indexes, made by Records, tell."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def page(
        self, *, status: str, folder: str | None, topic: str | None, after: str | None, since: str | None, limit: int
    ) -> tuple[list[Shelved], str | None]:
        """At most `limit` pictures of a shelf, newest first, and the cursor of the next page, None after the last.

        `after` is a cursor of an earlier page, `since` the oldest time that is wanted. Raises InputError for a cursor that is none.
        """
        index, key, value = _shelf(status, folder, topic)
        start = self._position(after) if after else None
        if start and since and start["at_id"] <= since:
            return [], None
        items, more = self._table.page(index, key, value, since=since, start=start, limit=limit)
        return [read(Shelved, item) for item in items], _cursor(items[-1]["at_id"]) if more else None

    def _position(self, cursor: str) -> Item:
        """Where a page begins: after a picture that there is."""
        wrong = InputError("cursor", cursor, "the cursor of an earlier answer, unchanged")
        try:
            at_id = urlsafe_b64decode(cursor.encode()).decode()
        except (ValueError, binascii.Error):
            raise wrong from None
        found = POSITION.fullmatch(at_id)
        if not found or _cursor(at_id) != cursor:
            raise wrong
        start = {"pk": f"run#{found[2]}", "sk": f"image#{found[3]}"}
        if self._table.get(start["pk"], start["sk"]) is None:
            raise wrong
        return start | {"at_id": at_id}

    def find(self, picture_id: str) -> Shelved:
        """One picture. Raises NotFoundError; and ConflictError where two runs have the same eight characters."""
        found = self._table.query(f"picture#{picture_id}") if PICTURE_ID.fullmatch(picture_id) else []
        if len(found) > 1:
            runs = ", ".join(item["sk"] for item in found)
            raise ConflictError(f"{picture_id} stands for pictures of several runs ({runs}): name the one you mean by image_key, in a run")
        item = self._table.get(f"run#{found[0]['sk']}", f"image#{found[0]['n']}") if found else None
        if item is None:
            raise NotFoundError(f"there is no picture {picture_id!a}: ids look like 1f0c9a2e-1, as GET /images gives them")
        return read(Shelved, item)

    def folders(self) -> list[Folder]:
        """All folders that hold pictures, by name."""
        pictures: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for item in self._table.query("folders"):
            name = item["sk"].rpartition("#")[0]
            pictures[name] += item["pictures"]
            size[name] += item["bytes"]
        return [Folder(name=name, pictures=count, bytes=size[name]) for name, count in sorted(pictures.items()) if count > 0]

    def prompts(self, run_ids: Iterable[str]) -> dict[str, PromptRecord]:
        """The prompt records of up to 100 runs."""
        items = self._table.get_many([(f"run#{run_id}", "prompt") for run_id in dict.fromkeys(run_ids)])
        return {item["run_id"]: read(PromptRecord, item) for item in items}


def _shelf(status: str, folder: str | None, topic: str | None) -> tuple[str, str, str]:
    """The index, the name of its key and the value that just these pictures have."""
    if folder is not None and topic is not None:
        return "by_folder_topic", "shelf_folder_topic", shelves.of_folder_topic(status, folder, topic)
    if folder is not None:
        return "by_folder", "shelf_folder", shelves.of_folder(status, folder)
    if topic is not None:
        return "by_topic", "shelf_topic", shelves.of_topic(status, topic)
    return "by_time", "shelf", status


def _cursor(at_id: str) -> str:
    return urlsafe_b64encode(at_id.encode()).decode()
