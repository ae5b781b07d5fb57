"""Removes objects, versions or delete markers batch by batch, and keeps the records in step.

It may stop at any line and run again: the next listing omits what is already removed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from easel.aws.bucket import Bucket, FailedDelete
from easel.aws.client import refusal
from easel.aws.lambda_runtime import Deadline
from easel.contract.errors import FinalError, TransientError

AT_ONCE = 16
LAST_SECONDS = 30  # a batch takes a few; none starts later than this
MAX_EXAMPLES = 5

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
class SweepTotals:
    """The totals of what was removed, or would be in a dry run.

    `kept` counts what S3 did not remove, by error code. `examples` has the first few with
    their codes.
    """

    objects: int = 0
    bytes: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Count an entry as removed."""
        self.objects, self.bytes = self.objects + entry.objects, self.bytes + entry.bytes


def count_entries(entries: Iterator[Entry]) -> SweepTotals:
    """Return the totals of what would be removed."""
    totals = SweepTotals()
    for entry in entries:
        totals.add(entry)
    return totals


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

    def sweep(self, entries: Iterator[Entry]) -> SweepTotals:
        """Remove the entries.

        Raises TransientError shortly before the deadline. If S3 kept some entries, raises the error
        for their codes at the end.
        """
        totals = SweepTotals()
        while batch := list(islice(entries, self.bucket.page)):
            if self.deadline.seconds() < LAST_SECONDS:
                raise TransientError(
                    f"the function ran out of time: {totals.objects:,} objects are deleted, "
                    f"{totals.kept.total():,} were refused by S3; the retry continues, and after "
                    "the last retry, redrive the run"
                )
            failed = self._remove(batch)
            for entry in batch:
                if (entry.key, entry.version_id) not in failed:
                    totals.add(entry)
            totals.kept.update(failure.code for failure in failed.values())
            names = [f"{failure.key!a} ({failure.code})" for failure in failed.values()]
            totals.examples += names[: MAX_EXAMPLES - len(totals.examples)]
        if totals.kept:
            doing = (
                f"{totals.objects:,} objects are deleted, {totals.kept.total():,} remain; the first"
                f" of these: {', '.join(totals.examples)}"
            )
            raise refusal(totals.kept, doing)
        return totals

    def _remove(self, batch: list[Entry]) -> Mapping[KeyVersion, FailedDelete]:
        # Records are marked first. After a crash, the next listing still finds objects that were
        # marked and not removed. Objects that were removed and not marked would never be found.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            marks = [mark for mark in pool.map(self._mark, batch) if mark]

            def undo(is_affected: Callable[[KeyVersion], bool]) -> None:
                affected = [
                    mark for mark in marks if is_affected((mark[0].key, mark[0].version_id))
                ]
                list(
                    pool.map(lambda mark: self.unmark(mark[1], mark[2], key=mark[0].key), affected)
                )

            versions = [(entry.key, entry.version_id) for entry in batch]
            try:
                failures = self.bucket.remove(versions)
            except FinalError:  # S3 refused the whole request
                undo(lambda _: True)
                raise
            failed = {(failure.key, failure.version_id): failure for failure in failures}
            undo(failed.__contains__)
        return failed

    def _mark(self, entry: Entry) -> tuple[Entry, str, int] | None:
        """Return the entry with its image's run id and number, or None if it has no record.

        This call or an earlier attempt has marked the record.
        """
        stored = self.bucket.head(*entry.lineage) if entry.lineage else None
        run_id = stored.metadata.get("run-id") if stored else None
        n = stored.metadata.get("n", "") if stored else ""
        if not run_id or not n.isdecimal():
            return None
        self.mark(run_id, int(n), key=entry.key)
        return entry, run_id, int(n)
