"""The folders that contain images, each with the count and the bytes of its stored images.

A folder has sixteen counters, because concurrent changes of a single one would block each other. A
counter's sort key is the folder's name, `#` and a hexadecimal digit, so folders whose names begin
alike are next to each other. A name may itself contain `#`. The counters of `a#1b`, for example,
are between `a#1` and `a#2`. Folders are therefore sorted by their first counters.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from easel.aws.table import Item, Key, Table
from easel.contract import naming
from easel.contract.errors import InputError

FOLDERS = "folders"
DIGITS = "0123456789abcdef"
COUNTER = re.compile(r"(.+)#[0-9a-f]", re.DOTALL)
PAGE = 100  # folders that one read below a folder returns
MOST_READS = 10  # for one page, because empty folders are left out
LOWEST, HIGHEST = "\0", "\U0010ffff"  # no folder's name contains them


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder, with the count and the bytes of its stored images."""

    name: str
    images: int
    bytes: int


def counter_key(folder: str, digit: str) -> Key:
    """Return the key of one of a folder's counters."""
    return FOLDERS, f"{folder}#{digit}"


class Folders:
    """The folders, read from their counters."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, name: str) -> Folder | None:
        """Return a folder, or None if it contains no image. Its subfolders do not count."""
        folder = _sum(name, self._counters(name))
        return folder if folder.images else None

    def has_images(self, name: str) -> bool:
        """Return whether there are images in a folder or in a folder below it."""
        if self.find(name):
            return True
        after = None
        while True:
            folders, after = self.page(prefix=f"{name}/", after=after, limit=PAGE)
            if folders or not after:
                return bool(folders)

    def page(
        self, *, prefix: str = "", after: str | None = None, limit: int
    ) -> tuple[list[Folder], str | None]:
        """Return at most `limit` folders, and the cursor of the next page or None.

        All names begin with `prefix`. `after` is the cursor of an earlier page. A page can have
        fewer folders and still a cursor if it skipped very many empty folders. Raises InputError
        for an unknown cursor.
        """
        position = _read_cursor(after) if after else ""
        folders: list[Folder] = []
        size = (limit + 1) * len(DIGITS)  # the folder of the cursor is read again
        for _ in range(MOST_READS):
            first, last = max(prefix, f"{position}{LOWEST}"), f"{prefix}{HIGHEST}"
            items, more = self._table.between(FOLDERS, first, last, limit=size)
            for counter, folder in self._new(items, position, prefix=prefix, more=more):
                if len(folders) == limit:
                    return folders, _write_cursor(position)
                if folder.images:
                    folders.append(folder)
                position = counter
            if not more:
                return folders, None
            position = items[-1]["sk"]
        return folders, _write_cursor(position)

    def _new(
        self, items: Sequence[Item], start: str, *, prefix: str, more: bool
    ) -> Iterator[tuple[str, Folder]]:
        """Yield each folder whose first counter is in a range after `start`, with that sort key."""
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(item["sk"].rpartition("#")[0], []).append(item)
        for name, group in groups.items():
            if not name.startswith(prefix) or start[:-2] == name:
                continue
            before, after = start.startswith(f"{name}#"), f"{name}#{DIGITS[-1]}" > items[-1]["sk"]
            # Some of its counters may be outside the range.
            counters = self._counters(name) if before or (after and more) else group
            if not before or all(item["sk"] > start for item in counters):
                yield group[0]["sk"], _sum(name, counters)

    def _counters(self, name: str) -> list[Item]:
        return self._table.get_many([counter_key(name, digit) for digit in DIGITS])


def _sum(name: str, counters: Sequence[Item]) -> Folder:
    images = sum(counter["pictures"] for counter in counters)
    return Folder(name=name, images=images, bytes=sum(counter["bytes"] for counter in counters))


def _write_cursor(position: str) -> str:
    return urlsafe_b64encode(position.encode()).decode()


def _read_cursor(cursor: str) -> str:
    """Return the sort key of a counter. Raises InputError if the cursor is not a counter's."""
    try:
        position = urlsafe_b64decode(cursor.encode()).decode()
    except (ValueError, binascii.Error):
        position = ""
    counter = COUNTER.fullmatch(position)
    is_short = len(position.encode()) < naming.MAX_KEY_BYTES
    if not counter or not is_short or _write_cursor(position) != cursor:
        raise InputError("cursor", cursor, "the cursor of an earlier answer, unchanged")
    return position
