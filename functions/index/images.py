"""The images whose documents may have changed, from the records in the table's stream."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from easel.aws.table import plain
from easel.search.document import Position
from easel.search.indexing import SEARCHED_FIELDS

NO_IMAGE: dict[str, Any] = {}


def changed_images(records: Iterable[Mapping[str, Any]]) -> Iterator[Position]:
    """Yield the positions of images whose searched fields have changed.

    An image that was never stored has no position. Its document would not exist.
    """
    for record in records:
        before = plain(record["dynamodb"].get("OldImage", NO_IMAGE))
        after = plain(record["dynamodb"].get("NewImage", NO_IMAGE))
        image = after or before
        if "stored_at" in image and _searched(before) != _searched(after):
            yield Position.of(image)


def _searched(image: Mapping[str, Any]) -> list[Any]:
    return [image.get(name) for name in SEARCHED_FIELDS]
