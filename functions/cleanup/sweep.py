"""Removes objects, versions or delete markers batch by batch, and keeps the records in step.

It may stop at any line and run again: the next listing omits what is already removed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from easel.aws.bucket import Bucket, Kept
from easel.aws.client import refusal
from easel.aws.lambda_runtime import Deadline
from easel.contract.errors import FinalError, TransientError

AT_ONCE = 16
LAST_SECONDS = 30  # a batch takes a few; none starts later than this
NAMED = 5

KeyVersion = tuple[str, str | None]  # the version is None for the current object


class Mark(Protocol):
    """Changes the record of the image at a key: Ledger.mark_deleted or mark_restored."""

    def __call__(self, run_id: str, n: int, *, key: str) -> bool:
        """Return False if there is nothing to change."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A version or delete marker to remove, or a current object that gets a delete marker.

    `objects` and `bytes` are added to the totals. `lineage` is the object with the metadata that
    names the image's record.
    """

    key: str
    version_id: str | None
    objects: int
    bytes: int
    lineage: KeyVersion | None


@dataclass(kw_only=True)
class Swept:
    """The totals of what was removed, or would be in a dry run.

    `kept` counts what S3 did not remove, by error code. `named` has the first few with their codes.
    """

    objects: int = 0
    bytes: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Count an entry as removed."""
        self.objects, self.bytes = self.objects + entry.objects, self.bytes + entry.bytes


def count_entries(entries: Iterator[Entry]) -> Swept:
    """Return the totals of what would be removed."""
    swept = Swept()
    for entry in entries:
        swept.add(entry)
    return swept


@dataclass(frozen=True, kw_only=True)
class Sweeper:
    """Removes entries from a bucket.

    `mark` changes an image's record before its entry is removed. `unmark` undoes that if S3 keeps
    the entry.
    """

    bucket: Bucket
    deadline: Deadline
    mark: Mark
    unmark: Mark

    def sweep(self, entries: Iterator[Entry]) -> Swept:
        """Remove the entries.

        Raises TransientError shortly before the deadline. If S3 kept some entries, raises the error
        for their codes at the end.
        """
        swept = Swept()
        while batch := list(islice(entries, self.bucket.page)):
            if self.deadline.seconds() < LAST_SECONDS:
                raise TransientError(
                    f"{swept.objects:,} objects are deleted and S3 kept {swept.kept.total():,} when"
                    " the function ran out of time; the retry continues, and after the last retry"
                    " a redrive does"
                )
            kept = self._remove(batch)
            for entry in batch:
                if (entry.key, entry.version_id) not in kept:
                    swept.add(entry)
            swept.kept.update(one.code for one in kept.values())
            names = [f"{one.key!a} ({one.code})" for one in kept.values()]
            swept.named += names[: NAMED - len(swept.named)]
        if swept.kept:
            doing = (
                f"{swept.objects:,} objects are deleted, {swept.kept.total():,} remain; the first"
                f" of these: {', '.join(swept.named)}"
            )
            raise refusal(swept.kept, doing)
        return swept

    def _remove(self, batch: list[Entry]) -> Mapping[KeyVersion, Kept]:
        # Records are marked first. After a crash, the next listing still finds objects that were
        # marked and not removed. Objects that were removed and not marked would never be found.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            marked = [one for one in pool.map(self._mark, batch) if one]

            def undo(those: Callable[[KeyVersion], bool]) -> None:
                stay = [one for one in marked if those((one[0].key, one[0].version_id))]
                list(pool.map(lambda one: self.unmark(one[1], one[2], key=one[0].key), stay))

            places = [(entry.key, entry.version_id) for entry in batch]
            try:
                kept = {(one.key, one.version_id): one for one in self.bucket.remove(places)}
            except FinalError:  # S3 refused the whole request
                undo(lambda _: True)
                raise
            undo(kept.__contains__)
        return kept

    def _mark(self, entry: Entry) -> tuple[Entry, str, int] | None:
        """Return the entry with its image's run id and number, or None if it has no record.

        This call or an earlier attempt has marked the record.
        """
        found = self.bucket.head(*entry.lineage) if entry.lineage else None
        run_id = found.metadata.get("run-id") if found else None
        n = found.metadata.get("n", "") if found else ""
        if not run_id or not n.isdecimal():
            return None
        self.mark(run_id, int(n), key=entry.key)
        return entry, run_id, int(n)
