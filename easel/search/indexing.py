"""Keeps the documents in step with the records.

A document is made from the records as they are, and not from an event. So events may come twice, or
in any order. A leaf is read before the records, and is written only if it has not changed since.
So of two writers, the later one has read the records after the earlier one wrote.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from easel.aws.table import MAX_BATCH, MAX_TRIES, Index, Item, Key, Table
from easel.contract.errors import StorageBusyError
from easel.contract.naming import GALLERY_INDEXES
from easel.contract.status import Status
from easel.ledger.records import run_key
from easel.search.document import Position, tokens
from easel.search.leaf import MOST, Leaf, divide
from easel.search.leaves import PAUSE, Leaves, shard_of

REBUILD: Key = ("search#rebuild", "state")
SLICE = 500  # images that one step of a rebuild reads
# A later version of Easel that makes other documents has another number.
DOCUMENT_VERSION = 1
# The fields of an image's record that its document is made from.
SEARCHED_FIELDS = (
    *("status", "title", "topic", "folder", "model", "tags"),
    *("favourite", "hidden", "share", "share_ending", "shared_at"),
)


class Indexing:
    """Writes the documents of a table. Only tests change `sleep` and the size of a leaf."""

    def __init__(
        self,
        table: Table,
        *,
        sleep: Callable[[float], None] = time.sleep,
        leaf_size: int = MOST,
    ) -> None:
        self._table = table
        self._leaf_size = leaf_size
        self._leaves = Leaves(table, sleep=sleep)
        self._sleep = sleep

    def refresh(self, positions: Iterable[Position]) -> int:
        """Update the documents of these images. Return how many leaves were read.

        Raises StorageBusyError if other writers keep changing the same leaves.
        """
        remaining = sorted(set(positions), key=lambda image: (shard_of(image), str(image)))
        read = 0
        for _ in range(MAX_TRIES):
            groups = list(self._by_leaf(remaining))
            read += len(groups)
            documents = self._documents(remaining)
            remaining = [
                image
                for shard, leaf, images in groups
                if not self._update(shard, leaf, {str(image): documents[image] for image in images})
                for image in images
            ]
            if not remaining:
                return read
            self._sleep(PAUSE)
        raise StorageBusyError(
            f"updating the search index: {len(remaining)} images were not updated after "
            f"{MAX_TRIES} attempts, because other writers changed the same leaves"
        )

    def _by_leaf(self, images: Sequence[Position]) -> Iterator[tuple[int, Leaf, list[Position]]]:
        """Yield the leaves of these images, which are sorted, each with its shard and images."""
        for shard, members in groupby(images, key=shard_of):
            rest = list(members)
            while rest:
                leaf = self._leaves.covering(shard, str(rest[0]))
                inside = [image for image in rest if leaf.covers(str(image))]
                yield shard, leaf, inside
                rest = rest[len(inside) :]

    def _documents(self, images: Sequence[Position]) -> dict[Position, frozenset[str] | None]:
        """Return the tokens of each image, or None if it is not stored."""
        prompt_keys = [run_key(image.run_id, "prompt") for image in images]
        items = self._items([*(image.key for image in images), *prompt_keys])
        documents: dict[Position, frozenset[str] | None] = {}
        for image, prompt_key in zip(images, prompt_keys, strict=True):
            item = items.get(image.key)
            documents[image] = tokens(item, items.get(prompt_key)) if item else None
        return documents

    def _items(self, keys: Iterable[Key]) -> dict[Key, Item]:
        distinct = list(dict.fromkeys(keys))
        items: dict[Key, Item] = {}
        for begin in range(0, len(distinct), MAX_BATCH):
            found = self._table.get_many(distinct[begin : begin + MAX_BATCH])
            items |= {(item["pk"], item["sk"]): item for item in found}
        return items

    def _update(self, shard: int, leaf: Leaf, changes: dict[str, frozenset[str] | None]) -> bool:
        """Change a leaf's documents. Return False if the leaf has changed since it was read."""
        before = leaf.documents()
        after = {position: words for position, words in before.items() if position not in changes}
        after |= {position: words for position, words in changes.items() if words is not None}
        if after == before:
            return True
        return self._leaves.replace(shard, leaf, divide(after, before=before, most=self._leaf_size))


@dataclass(frozen=True, kw_only=True)
class RebuildStep:
    """The progress of a rebuild. `after` is the last indexed position, or None at the start."""

    started: str
    after: str | None
    images: int
    is_done: bool

    @classmethod
    def of_item(cls, item: Item) -> "RebuildStep":
        """Return the step that an item describes."""
        return cls(
            started=item["started"],
            after=item.get("after"),
            images=item["images"],
            is_done="ended" in item,
        )


class Rebuild:
    """Makes the documents of all stored images, oldest first, in steps.

    The state is an item of the table. Each step changes it, and that change is the event that
    starts the next step. So a rebuild continues where a function died, however long it takes.
    """

    def __init__(self, table: Table, indexing: Indexing, *, slice_size: int = SLICE) -> None:
        self._table = table
        self._indexing = indexing
        self._slice = slice_size

    def start(self) -> None:
        """Start a rebuild. A rebuild that is already running stops."""
        pk, sk = REBUILD
        item = {"pk": pk, "sk": sk, "started": _now(), "images": 0, "version": DOCUMENT_VERSION}
        self._table.write(self._table.put(item))

    def state(self) -> RebuildStep | None:
        """Return the state of the latest rebuild, or None if there was none."""
        item = self._table.get(*REBUILD)
        return RebuildStep.of_item(item) if item else None

    def advance(self, step: RebuildStep) -> bool:
        """Do one step, unless it is done. Return whether it was done now."""
        if step.is_done or self.state() != step:
            return False
        index = Index("by_time", GALLERY_INDEXES["by_time"], Status.STORED)
        items, more = self._table.page(
            index, since=None, start=_start(step.after), limit=self._slice, newest_first=False
        )
        self._indexing.refresh(Position.of(item) for item in items)
        self._note(step, items, is_last=not more)
        return True

    def _note(self, step: RebuildStep, items: Sequence[Item], *, is_last: bool) -> None:
        last = items[-1]["at_id"] if items else step.after
        values = {
            ":images": step.images + len(items),
            ":started": step.started,
            ":read": step.images,
        }
        change, condition = "SET #images = :images", "#started = :started AND #images = :read"
        if is_last:
            change, values = f"{change}, #ended = :now", values | {":now": _now()}
        else:
            change, values = f"{change}, #after = :after", values | {":after": last}
        self._table.change(REBUILD, change, condition=condition, values=values)


def _start(after: str | None) -> Item | None:
    if after is None:
        return None
    position = Position.read(after)
    pk, sk = position.key
    return {"pk": pk, "sk": sk, "at_id": after}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
