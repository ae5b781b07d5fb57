"""Pages of results, newest first.

All shards are read in parallel, from the newest leaf down, until the page is certain: an image is
in the page only if no shard can still have a newer one. A rare word needs all leaves.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

from easel.aws.table import MAX_BATCH, Item, Table
from easel.ledger.gallery import GalleryImage, read_cursor, write_cursor
from easel.ledger.records import PromptRecord, from_item, run_key
from easel.search.document import Position, tokens
from easel.search.leaf import FIRST_NUMBER, START, Leaf, LeafText
from easel.search.leaves import PAUSE, SHARDS, Leaves
from easel.search.query import Query

# About 250,000 images. A page that needs more leaves ends here, with a cursor.
MOST_LEAVES = 2_000
FIRST_READ, GROWTH = 2, 4  # leaves of a shard in the first read, and how much more in the next
MOST_AT_ONCE = 128
GAP_TRIES = 4


@dataclass(frozen=True, kw_only=True)
class Results:
    """A page of results, with the prompts of its images, and the cursor of the next page or None.

    A page with a cursor may have fewer images than its limit.
    """

    images: list[GalleryImage]
    prompts: dict[str, PromptRecord]
    cursor: str | None


class Search:
    """Searches the documents of a table. `sleep` is time.sleep, except in tests."""

    def __init__(
        self,
        table: Table,
        *,
        most_leaves: int = MOST_LEAVES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._leaves = Leaves(table, sleep=sleep)
        self._most_leaves = most_leaves
        self._sleep = sleep

    def page(self, query: Query, *, after: str | None, limit: int) -> Results:
        """Return at most `limit` images, newest first.

        `after` is the cursor of an earlier page. Raises InputError for an unknown cursor.
        """
        until = min(query.until, read_cursor(after)) if after else query.until
        positions, rest = self._positions(query, until=until, limit=limit)
        images, prompts = self._records([Position.read(text) for text in positions], query)
        return Results(images=images, prompts=prompts, cursor=write_cursor(rest) if rest else None)

    def _positions(self, query: Query, *, until: str, limit: int) -> tuple[list[str], str | None]:
        """Return the first positions of a query, and where the rest begins, if there is any."""
        shards = [_Shard(number=number, below=until) for number in range(SHARDS)]
        count = FIRST_READ
        while True:
            found = sorted((text for shard in shards for text in shard.found), reverse=True)
            certain = max((shard.below for shard in shards if not shard.is_done), default=None)
            if certain is None:
                page = found[:limit]
                return page, page[-1] if len(found) > limit else None
            first = found[:limit]
            if len(first) == limit and first[-1] >= certain:
                return first, first[-1]
            if sum(shard.leaves for shard in shards) >= self._most_leaves:
                page = [text for text in first if text >= certain]
                return page, certain
            # A shard that is below the whole page has nothing to add to it.
            needed = first[-1] if len(first) == limit else ""
            behind = [shard for shard in shards if not shard.is_done and shard.below > needed]
            list(self._pool.map(lambda shard: self._read(shard, query, count), behind))  # noqa: B023
            count = min(count * GROWTH, MOST_AT_ONCE)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(SHARDS)

    def _read(self, shard: "_Shard", query: Query, count: int) -> None:
        """Read the next leaves of a shard."""
        leaves = self._leaves.page(shard.number, below=shard.below, limit=count)
        for _ in range(GAP_TRIES):
            if not has_gap(leaves, shard.below):
                break
            # A leaf was split between two reads, or this read did not see a new leaf yet.
            self._sleep(PAUSE)
            leaves = self._leaves.page(
                shard.number, below=shard.below, limit=count, consistent=True
            )
        for leaf in leaves:
            shard.take(leaf, query)
        shard.is_done = shard.is_done or not leaves

    def _records(
        self, positions: Sequence[Position], query: Query
    ) -> tuple[list[GalleryImage], dict[str, PromptRecord]]:
        """Return the images that still match, by their records, with their prompts.

        The index lags slightly behind the records.
        """
        images = self._items(position.key for position in positions)
        prompts = self._items(run_key(position.run_id, "prompt") for position in positions)
        matching = []
        for position in positions:
            image = images.get(position.key)
            prompt = prompts.get(run_key(position.run_id, "prompt"))
            known = tokens(image, prompt) if image else None
            if image and known is not None and query.matches(known):
                matching.append(from_item(GalleryImage, image))
        records = [from_item(PromptRecord, item) for item in prompts.values()]
        return matching, {record.run_id: record for record in records}

    def _items(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        distinct = list(dict.fromkeys(keys))
        items = [
            item
            for begin in range(0, len(distinct), MAX_BATCH)
            for item in self._table.get_many(distinct[begin : begin + MAX_BATCH])
        ]
        return {(item["pk"], item["sk"]): item for item in items}


def has_gap(leaves: Iterable[Leaf], below: str) -> bool:
    """Return whether positions below `below` are missing between leaves, newest first."""
    for leaf in leaves:
        if leaf.until < below:
            return True
        below = leaf.start
    return False


@dataclass(kw_only=True)
class _Shard:
    """How far a search has read a shard: all positions from `below` on."""

    number: int
    below: str
    is_done: bool = False
    leaves: int = 0
    found: list[str] = field(default_factory=list)

    def take(self, leaf: Leaf, query: Query) -> None:
        """Search one leaf."""
        if self.is_done:
            return
        text = LeafText(leaf.data)
        matching = (text.positions[number - FIRST_NUMBER] for number in query.numbers(text))
        # An older read may have seen what a split has moved into a newer leaf, too.
        self.found += [found for found in matching if query.since <= found < self.below]
        self.leaves += 1
        self.below = leaf.start
        self.is_done = leaf.start == START or leaf.start <= query.since
