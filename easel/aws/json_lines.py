"""Files with a JSON value per line, written and read in bounded memory."""

import io
import json
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, Any

from easel.aws.bucket import Bucket
from easel.contract.errors import ConfigError

CONTENT_TYPE = "application/jsonl"


def write(file: IO[bytes], item: Any) -> None:
    """Add a line to a file."""
    # Lone surrogates, which JSON in UTF-8 cannot hold, are escaped.
    line = json.dumps(item, ensure_ascii=False).encode(errors="backslashreplace")
    file.write(line + b"\n")


def to_bytes(items: Iterable[Any]) -> bytes:
    """Return a short file of these items."""
    file = io.BytesIO()
    for item in items:
        write(file, item)
    return file.getvalue()


def read(key: str, bucket: Bucket) -> Iterator[Any]:
    """Yield the lines of a file in the bucket. Raises ConfigError if it is gone."""
    with TemporaryFile() as file:
        if bucket.fetch(key, file) is None:
            raise ConfigError(
                f"{key} no longer exists; start the batch again: it pays only for what is missing"
            )
        file.seek(0)
        yield from map(json.loads, file)
