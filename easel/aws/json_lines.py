"""Files with a JSON value a line, written and read in bounded memory."""

import json
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Any

from functions.adapters.object_store import ObjectStore
from functions.errors import ConfigError

CONTENT_TYPE = "application/jsonl"


def write(file: IO[bytes], item: Any) -> None:
    """Add a line to a file."""
    # Lone surrogates, which no JSON in UTF-8 can hold, are escaped.
    file.write(json.dumps(item, ensure_ascii=False).encode(errors="backslashreplace") + b"\n")


def read(key: str, store: ObjectStore) -> Iterator[Any]:
    """The lines of a file in the bucket. Raises ConfigError where it is gone."""
    with TemporaryFile() as file:
        if store.fetch(key, file) is None:
            raise ConfigError(f"{key} is not there any more; start the batch again, it pays only for what is missing")
        file.seek(0)
        yield from map(json.loads, file)
