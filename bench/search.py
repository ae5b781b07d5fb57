"""The time and the price of a search, with 1,000 to 10,000 images, or 100,000 with LARGE=1.

The search runs in this process, with its real client. Another process answers in DynamoDB's
protocol, from leaves in memory, so that its CPU time is not counted. Two alternatives are measured
on the same images: an item for each word of each image, and a SQLite file in S3.
"""

import math
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.item_size import plain_size
from bench.search_images import records
from bench.search_store import serving
from bench.search_tables import NEVER, PAGE, Measured, Search, sections
from bench.section import MB, Figure, Options, Result, table
from easel.aws.table import Item, Table
from easel.search.document import tokens
from easel.search.leaf import END
from easel.search.query import Query, read_query
from easel.search.search import Search as SearchIndex

NAME, TITLE = "search", "Search"
SIZES, LARGE = (1_000, 10_000), 100_000
CALLS = 7
QUERIES: dict[str, dict[str, Any]] = {
    "no such word": {"q": "xylophagous"},
    "one image's word": {"q": "unique0"},
    NEVER: {"q": "dawn dusk"},
    "a rare beginning": {"q": "unique0 da"},
    "two frequent words": {"q": "dawn lake"},
    "one letter": {"q": "s"},
    "no words, favourites": {"favourite": True},
    "a day in the past": {"q": "lake", "from": "2026-01-20", "to": "2026-01-20"},
}


def measure(options: Options) -> Result:
    """Return the figures for each number of images."""
    sizes = (*SIZES, LARGE) if options.large else SIZES
    return {"sizes": [asdict(_measure(count)) for count in sizes]}


def figures(result: Result) -> Iterator[Figure]:
    """Return the slowest search of the most images."""
    most = Measured.of(result["sizes"][-1])
    slowest = max(most.queries, key=lambda each: each.lambda_ms)
    name = f"slowest search of {most.images:,} images, at the API's share of a CPU"
    yield Figure(name, f"{slowest.lambda_ms:.0f} ms", "≤ 1,000 ms")


def text(result: Result) -> str:
    """Return the searches and the comparison of indexes."""
    measured = [Measured.of(each) for each in result["sizes"]]
    parts = [f"{about}\n\n{table(head, rows)}" for about, head, rows in sections(measured)]
    leaves = [
        f"{each.images:,} images: {each.leaves} leaves of {each.leaf_bytes:,.0f} bytes, "
        f"{each.document_ms:.2f} ms to make a document."
        for each in measured
    ]
    return "\n\n".join([*parts, "\n".join(leaves)])


class CountingTable(Table):
    """A table that counts queries, their bytes, and their read units."""

    queries, bytes, units = 0, 0, 0.0

    def newest(self, pk: str, **call: Any) -> list[Item]:
        """Read, and count."""
        items = super().newest(pk, **call)
        size = sum(map(plain_size, items))
        self.queries += 1
        self.bytes += size
        self.units += max(1, math.ceil(size / 4096)) / 2
        return items

    def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item]:
        """Read, and count."""
        items = super().get_many(keys)
        self.units += sum(max(1, math.ceil(len(str(item)) / 4096)) for item in items)
        return items


def _measure(count: int) -> Measured:
    """Return the figures for this many images."""
    with serving(count) as store:
        client = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{int(store['port'])}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",  # noqa: S106
            config=Config(retries={"mode": "standard"}),
        )
        figures = [
            _measure_query(client, name, read_query(parameters))
            for name, parameters in QUERIES.items()
        ]
        postings = _figure(client, NEVER, _intersect)
    return Measured(
        images=count,
        words=store["words"],
        leaves=int(store["leaves"]),
        leaf_bytes=store["bytes"] / store["leaves"],
        document_ms=store["ms"] / count,
        queries=figures,
        postings=postings,
        sqlite=_measure_sqlite(count),
    )


def _measure_query(client: Any, name: str, query: Query) -> Search:
    def once(table: Table) -> int:
        return len(SearchIndex(table).page(query, after=None, limit=PAGE).images)

    return _figure(client, name, once)


def _intersect(table: Table) -> int:
    """Search two words with an item for each word of each image."""
    matches: list[set[str]] = []
    for word in ("dawn", "dusk"):
        below, positions = END, set()
        while items := table.newest(f"word#{word}", below=below, limit=100_000, consistent=False):
            below = items[-1]["sk"]
            positions |= {item["sk"] for item in items}
        matches.append(positions)
    return len(matches[0] & matches[1])


def _figure(client: Any, name: str, once: Callable[[Table], int]) -> Search:
    samples = []
    for _ in range(1 + CALLS):
        table = CountingTable(client, name="records")
        wall, cpu = time.perf_counter(), time.process_time()
        matches = once(table)
        samples.append((time.process_time() - cpu, time.perf_counter() - wall))
    samples = samples[1:]
    return Search(
        query=name,
        images=0,
        cpu_ms=1000 * statistics.median(cpu for cpu, _ in samples),
        wall_ms=1000 * statistics.median(wall for _, wall in samples),
        queries=table.queries,
        megabytes=table.bytes / MB,
        units=table.units,
        matches=matches,
    )


def _measure_sqlite(count: int) -> dict[str, float]:
    """Return the size of a SQLite file with a full-text index, and milliseconds to search it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.db"
        with sqlite3.connect(path) as database:
            database.execute(
                "CREATE VIRTUAL TABLE images USING fts5(words, content='', detail=none)"
            )
            for number in range(count):
                known = tokens(*records(number)) or ()
                words = " ".join(word for word in known if not word.startswith(":"))
                database.execute("INSERT INTO images(rowid, words) VALUES (?, ?)", (number, words))
        database.close()
        spent = []
        for _ in range(CALLS):
            begin = time.process_time()
            with sqlite3.connect(path) as database:
                query = "SELECT rowid FROM images WHERE images MATCH ? ORDER BY rowid DESC LIMIT 24"
                database.execute(query, ("dawn AND dusk",)).fetchall()
            database.close()
            spent.append(1000 * (time.process_time() - begin))
        return {"bytes": path.stat().st_size, "ms": statistics.median(spent)}
