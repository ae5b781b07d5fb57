"""The tables of the search benchmark: the time and price of a search, compared with other indexes.

The prices are the same as in docs/cost.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.section import MB
from easel.search.leaves import SHARDS

PAGE = 24
# Dollars in Singapore: https://aws.amazon.com/dynamodb/pricing/on-demand/, https://aws.amazon.com/s3/pricing/
WRITE_UNIT, READ_UNIT, STORED_GB = 0.71e-6, 0.14e-6, 0.285
S3_GET, S3_PUT, S3_GB = 0.4e-6, 5e-6, 0.025
S3_BYTES_A_SECOND = 90e6  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
LAMBDA_SHARE = 1024 / 1769  # of a CPU, with the API's memory
NEVER = "two words never together"


@dataclass(frozen=True, kw_only=True)
class Search:
    """The figures of one query. Values that vary are medians."""

    query: str
    images: int
    cpu_ms: float
    wall_ms: float
    queries: int
    megabytes: float
    units: float
    matches: int

    @property
    def lambda_ms(self) -> float:
        """Return the CPU time in a function with the API's memory."""
        return self.cpu_ms / LAMBDA_SHARE

    @property
    def dollars(self) -> float:
        """Return the price of a thousand of these searches in DynamoDB."""
        return 1000 * self.units * READ_UNIT


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All figures of one number of images."""

    images: int
    words: float
    leaves: int
    leaf_bytes: float
    document_ms: float
    queries: list[Search]
    postings: Search
    sqlite: dict[str, float]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Measured":
        """Return the figures that `asdict` made JSON of."""
        searches = [Search(**each) for each in result["queries"]]
        postings = Search(**result["postings"])
        return cls(**{**result, "queries": searches, "postings": postings})


def sections(
    results: Sequence[Measured],
) -> Iterator[tuple[str, tuple[str, ...], list[Sequence[str]]]]:
    """Yield tables: each with a text above it, its head and its rows."""
    yield (
        f"A page of {PAGE} images. CPU is this process's time, all threads. On Lambda, with the "
        f"API's 1,024 MB, a function has {LAMBDA_SHARE:.2f} of a CPU.",
        (
            "images",
            "query",
            "found",
            "CPU ms",
            "at 1,024 MB",
            "wall ms",
            "queries",
            "MB",
            "RRU",
            "$ a 1,000",
        ),
        [
            (
                f"{result.images:,}",
                f.query,
                f"{f.matches}",
                f"{f.cpu_ms:.0f}",
                f"{f.lambda_ms:.0f}",
                f"{f.wall_ms:.0f}",
                f"{f.queries}",
                f"{f.megabytes:.2f}",
                f"{f.units:,.0f}",
                f"{f.dollars:.4f}",
            )
            for result in results
            for f in result.queries
        ],
    )
    yield (
        "The same search for two words that no image has together, by index. The price of writes "
        "is for one more image. SQLite in S3: each new process fetches the file, and each image "
        "writes it.",
        (
            "images",
            "index",
            "MB",
            "CPU ms",
            "fetch ms",
            "$ a 1,000 searches",
            "$ a 1,000 images",
            "$ a month",
        ),
        [row for result in results for row in _comparison(result)],
    )


def _comparison(result: Measured) -> Iterator[Sequence[str]]:
    for name, index in _indexes(result).items():
        yield (
            f"{result.images:,}",
            name,
            f"{index.bytes / MB:.1f}",
            f"{index.cpu_ms:.0f}",
            f"{index.fetch_ms:.0f}",
            f"{1000 * index.search:.4f}",
            f"{1000 * index.write:.4f}",
            f"{index.bytes / 1e9 * index.stored_gb:.4f}",
        )


@dataclass(frozen=True, kw_only=True)
class _Index:
    """The size of an index, and the time and dollars of a search and of one more image."""

    bytes: float
    cpu_ms: float
    fetch_ms: float = 0
    search: float
    write: float
    stored_gb: float


def _indexes(result: Measured) -> dict[str, _Index]:
    never = next(each for each in result.queries if each.query == NEVER)
    stored = result.leaves * result.leaf_bytes
    # The newest leaf of a shard is half full on average.
    units = math.ceil(min(result.leaf_bytes, stored / SHARDS) / 1024 / 2)
    posting, file = result.postings, result.sqlite["bytes"]
    return {
        "leaves": _Index(
            bytes=stored,
            cpu_ms=never.cpu_ms,
            search=never.units * READ_UNIT,
            write=units * WRITE_UNIT,
            stored_gb=STORED_GB,
        ),
        "an item for each word": _Index(
            # DynamoDB adds 100 bytes to each item.
            bytes=result.images * result.words * (60 + 100),
            cpu_ms=posting.cpu_ms,
            search=posting.units * READ_UNIT,
            write=result.words * WRITE_UNIT,
            stored_gb=STORED_GB,
        ),
        "SQLite in S3": _Index(
            bytes=file,
            cpu_ms=result.sqlite["ms"],
            fetch_ms=1000 * file / S3_BYTES_A_SECOND,
            search=S3_GET,
            write=S3_PUT + S3_GET,
            stored_gb=S3_GB,
        ),
    }
