"""Files with one JSON value per line, written and read in bounded memory."""

import io
import json
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, Any

from easel.aws.bucket import Bucket
from easel.contract.errors import ConfigError

CONTENT_TYPE = "application/jsonl"
PIECE = 4_000_000  # bytes read at once, more than the longest line


def write(file: IO[bytes], item: Any) -> None:
    """Add a line to a file."""
    # UTF-8 cannot encode lone surrogates, so they are escaped.
    line = json.dumps(item, ensure_ascii=False).encode(errors="backslashreplace")
    file.write(line + b"\n")


def to_bytes(items: Iterable[Any]) -> bytes:
    """Return the bytes of a short file with these items."""
    file = io.BytesIO()
    for item in items:
        write(file, item)
    return file.getvalue()


def read(key: str, bucket: Bucket) -> Iterator[Any]:
    """Yield the values of a file in the bucket. Raises ConfigError if the file is missing."""
    with TemporaryFile() as file:
        if bucket.fetch(key, file) is None:
            raise ConfigError(
                f"{key} no longer exists; start the batch again: it pays only for what is missing"
            )
        file.seek(0)
        yield from map(json.loads, file)


def read_some(
    key: str, bucket: Bucket, *, start: int, most: int
) -> tuple[list[Any], int | None] | None:
    """Return at most `most` values of a file from a byte on, and the byte of the next one or None.

    Return None if the file is missing. The cost does not depend on the size of the file.
    """
    piece = bucket.get_range(key, start, most=PIECE)
    if piece is None:
        return None
    body, size = piece
    values: list[Any] = []
    end = 0
    while len(values) < most and (newline := body.find(b"\n", end)) >= 0:
        values.append(json.loads(body[end:newline]))
        end = newline + 1
    return values, start + end if start + end < size and values else None
