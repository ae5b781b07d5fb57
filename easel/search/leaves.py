"""The leaves of a table. The images of a run are in one shard, and shards are read in parallel.

A leaf names the range of positions that it covers, because a query may see one of two leaves that
a transaction has just split, and not the other. Whoever reads a leaf notices that it does not begin
where the newer one ends, and reads again.
"""

import time
import zlib
from collections.abc import Callable, Sequence

from easel.aws.table import MAX_TRIES, Item, Table
from easel.contract.errors import StorageBusyError
from easel.search.document import Position
from easel.search.leaf import END, START, Documents, Leaf, pack

SHARDS = 8
PARTITION = "search"
PAUSE = 0.05  # seconds, in which a transaction ends


def shard_of(position: Position) -> int:
    """Return the shard of an image. It never changes."""
    return zlib.crc32(position.run_id.encode()) % SHARDS


class Leaves:
    """Reads and replaces leaves. `sleep` is time.sleep, except in tests."""

    def __init__(self, table: Table, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._sleep = sleep

    def page(self, shard: int, *, below: str, limit: int, consistent: bool = False) -> list[Leaf]:
        """Return at most `limit` leaves of a shard that begin below a position, newest first."""
        items = self._table.newest(
            _partition(shard), below=below, limit=limit, consistent=consistent
        )
        return [_leaf(item) for item in items]

    def covering(self, shard: int, position: str) -> Leaf:
        """Return the leaf for a position. In an empty shard it does not exist yet: version 0."""
        # No key is between a position and the same position with a blank.
        below = f"{position} "
        for _ in range(MAX_TRIES):
            found = self.page(shard, below=below, limit=1, consistent=True)
            if not found:
                return Leaf(start=START, until=END, version=0, data=pack({}))
            if found[0].covers(position):
                return found[0]
            self._sleep(PAUSE)
        raise StorageBusyError(
            f"reading the search index: shard {shard} has no leaf for {position} after "
            f"{MAX_TRIES} attempts"
        )

    def replace(self, shard: int, leaf: Leaf, parts: Sequence[Documents]) -> bool:
        """Write a leaf's documents, as several leaves if they have become too many.

        Return False, without writing, if the leaf has changed since it was read.
        """
        starts = [leaf.start, *(min(part) for part in parts[1:])]
        ends = [*starts[1:], leaf.until]
        items: list[Item] = [
            {
                "pk": _partition(shard),
                "sk": start,
                "until": end,
                "version": leaf.version + 1,
                "data": pack(part),
            }
            for start, end, part in zip(starts, ends, parts, strict=True)
        ]
        first, *others = items
        if leaf.version == 0:
            return all(self._table.write(*map(self._table.put_if_absent, items)))
        key = (first["pk"], first["sk"])
        change = "SET #until = :until, #version = :next, #data = :data"
        values = {
            ":until": first["until"],
            ":next": first["version"],
            ":data": first["data"],
            ":read": leaf.version,
        }
        condition = "#version = :read"
        if not others:
            # A transaction would cost twice as much.
            return self._table.change(key, change, condition=condition, values=values) is not None
        update = self._table.update(key, change, condition=condition, values=values)
        return all(self._table.write(update, *map(self._table.put_if_absent, others)))


def _partition(shard: int) -> str:
    return f"{PARTITION}#{shard}"


def _leaf(item: Item) -> Leaf:
    return Leaf(start=item["sk"], until=item["until"], version=item["version"], data=item["data"])
