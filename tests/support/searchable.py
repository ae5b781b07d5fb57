"""Records of images, as the search reads them, and a search in memory."""

import json
from dataclasses import dataclass
from typing import Any

from easel.aws.table import Table, _typed
from easel.ledger.gallery import write_cursor
from easel.ledger.records import run_key
from easel.search.document import Position
from easel.search.indexing import Indexing
from easel.search.leaf import MOST, Leaf
from easel.search.leaves import SHARDS, Leaves
from easel.search.query import Query, read_query
from easel.search.search import Search


def at(second: int) -> str:
    """Return the time of an image that is stored in this second."""
    return f"2026-11-24T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000Z"


def image_item(run_id: str, n: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the record of a stored image."""
    pk, sk = run_key(run_id, f"image#{n}")
    item = {
        "pk": pk,
        "sk": sk,
        "run_id": run_id,
        "n": n,
        "status": "stored",
        "key": f"cats/{run_id}_{n}.png",
        "folder": "cats",
        "topic": "Sport",
        "title": "Kite",
        "alt_text": "A kite",
        "model": "gpt-image-2",
        "width": 1024,
        "height": 768,
        "bytes": 7,
        "sha256": "ab",
        "possibly_paid": 0,
        "stored_at": at(0),
    }
    return item | changes


def prompt_item(run_id: str, **changes: Any) -> dict[str, Any]:
    """Return the record of a prompt."""
    pk, sk = run_key(run_id, "prompt")
    item = {
        "pk": pk,
        "sk": sk,
        "run_id": run_id,
        "digest": "d",
        "started": at(0),
        "text": "A red kite over a school yard",
        "title": "Kite",
        "alt_text": "A kite",
        "tags": ["wind"],
        "topic": "Sport",
        "choices": json.dumps({"style": "watercolour"}),
        "execution": run_id,
    }
    return item | changes


@dataclass
class Searchable:
    """Images in a table, with their index."""

    table: Table
    leaf_size: int = MOST

    def __post_init__(self) -> None:
        self.indexing = self.writer()
        self.leaves = Leaves(self.table, sleep=lambda _: None)
        self.search = Search(self.table, sleep=lambda _: None)

    def writer(self, table: Table | None = None) -> Indexing:
        """Return another writer of the index."""
        return Indexing(table or self.table, sleep=lambda _: None, leaf_size=self.leaf_size)

    def put(self, run_id: str, n: int = 1, *, prompt: Any = None, **image: Any) -> Position:
        """Write an image's records, without its document."""
        item = image_item(run_id, n, **image)
        # A transaction would copy the whole table of moto.
        for record in (item, prompt_item(run_id, **(prompt or {}))):
            self.table._client.put_item(TableName=self.table._name, Item=_typed(record))
        return Position.of(item)

    def store(self, run_id: str, n: int = 1, **records: Any) -> Position:
        """Write an image's records and its document."""
        position = self.put(run_id, n, **records)
        self.indexing.refresh([position])
        return position

    def find(self, q: str | None = None, **parameters: Any) -> list[str]:
        """Return the run ids of all results, newest first."""
        page = self.search.page(self.query(q, **parameters), after=None, limit=100)
        return [image.run_id for image in page.images]

    def query(self, q: str | None = None, **parameters: Any) -> Query:
        """Return the query of these parameters."""
        return read_query(parameters | ({} if q is None else {"q": q}))

    def pages(self, query: Query, *, limit: int) -> list[list[str]]:
        """Return the positions of each page."""
        pages, cursor = [], None
        while True:
            page = self.search.page(query, after=cursor, limit=limit)
            pages.append([f"{image.stored_at}#{image.run_id}#{image.n}" for image in page.images])
            cursor = page.cursor
            if cursor is None:
                return pages

    def all_leaves(self) -> list[Leaf]:
        """Return the leaves of all shards."""
        return [
            leaf
            for shard in range(SHARDS)
            for leaf in self.leaves.page(shard, below="~", limit=1000, consistent=True)
        ]

    def documents(self) -> list[str]:
        """Return the positions of all documents, with any that are there twice."""
        return sorted(position for leaf in self.all_leaves() for position in leaf.documents())


def cursor_of(position: Position) -> str:
    """Return the cursor of an image."""
    return write_cursor(str(position))
