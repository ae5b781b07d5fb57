"""Takes objects, versions or delete markers away, batch by batch, and has the pictures' records follow.

It can be stopped after every line and run again: what is gone is not listed again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from functions.adapters import aws
from functions.adapters.object_store import Kept, ObjectStore
from functions.deadline import Deadline
from functions.errors import FinalError, TransientError

AT_ONCE = 16
LAST_SECONDS = 30  # no batch starts that late; one takes a few
NAMED = 5

Place = tuple[str, str | None]  # a key, and the version or None for the current object


class Follow(Protocol):
    """Changes the record of the picture at a key: Records.mark_deleted or Records.mark_restored."""

    def __call__(self, run_id: str, n: int, *, key: str) -> bool:
        """False where there is nothing to change."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing to take away: a version or delete marker, or with no `version_id` a current object, which gets a delete marker.

    `objects` and `bytes` are what it counts in the answer. `lineage` is where the metadata stand that name the record of its picture.
    """

    key: str
    version_id: str | None
    objects: int
    bytes: int
    lineage: Place | None


@dataclass(kw_only=True)
class Swept:
    """What went, or in a dry run would go; and what S3 kept, by code, with the first few by name."""

    objects: int = 0
    bytes: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)


def counted(entries: Iterator[Entry]) -> Swept:
    """What would go."""
    swept = Swept()
    for entry in entries:
        swept.objects, swept.bytes = swept.objects + entry.objects, swept.bytes + entry.bytes
    return swept


def sweep(entries: Iterator[Entry], *, follow: Follow, back: Follow, store: ObjectStore, deadline: Deadline) -> Swept:
    """Take the entries away. `follow` changes a picture's record before its entry goes, `back` undoes it where S3 keeps the entry.

    Raises TransientError shortly before the deadline; and at the end, where S3 kept something, what its codes stand for.
    """
    swept = Swept()
    while batch := list(islice(entries, store.page)):
        if deadline.seconds() < LAST_SECONDS:
            raise TransientError(
                f"{swept.objects:,} objects are done, {swept.kept.total():,} were kept by S3, and this function's time is up; it goes on "
                "by itself, and should the run fail all the same, Redrive continues it"
            )
        kept = _take(batch, follow=follow, back=back, store=store)
        for entry in batch:
            if (entry.key, entry.version_id) not in kept:
                swept.objects, swept.bytes = swept.objects + entry.objects, swept.bytes + entry.bytes
        swept.kept.update(one.code for one in kept.values())
        swept.named += [f"{one.key!a} ({one.code})" for one in kept.values()][: NAMED - len(swept.named)]
    if swept.kept:
        said = f"{swept.kept.total():,} objects stay, {swept.objects:,} are done; the first that stay: {', '.join(swept.named)}"
        raise aws.refused(swept.kept, said)
    return swept


def _take(batch: list[Entry], *, follow: Follow, back: Follow, store: ObjectStore) -> Mapping[Place, Kept]:
    # Records first: what a crash leaves marked and not yet taken away is found again by the next listing, the other way round never.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        followed = [one for one in pool.map(lambda entry: _followed(entry, follow, store), batch) if one]

        def undo(those: Callable[[Place], bool]) -> None:
            stay = [one for one in followed if those((one[0].key, one[0].version_id))]
            list(pool.map(lambda one: back(one[1], one[2], key=one[0].key), stay))

        try:
            kept = {(one.key, one.version_id): one for one in store.remove([(entry.key, entry.version_id) for entry in batch])}
        except FinalError:  # refused as a whole
            undo(lambda _: True)
            raise
        undo(kept.__contains__)
    return kept


def _followed(entry: Entry, follow: Follow, store: ObjectStore) -> tuple[Entry, str, int] | None:
    """The entry with run id and number of its picture, whose record has followed now, or in an earlier try."""
    found = store.head(*entry.lineage) if entry.lineage else None
    if found is None or not found.metadata.get("run-id") or not found.metadata.get("n", "").isdecimal():
        return None
    run_id, n = found.metadata["run-id"], int(found.metadata["n"])
    follow(run_id, n, key=entry.key)
    return entry, run_id, n
