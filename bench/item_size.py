"""The bytes that DynamoDB counts for an item, approximately."""

from collections.abc import Mapping
from typing import Any


def typed_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the size of an item as the client sends it, such as `{"n": {"N": "1"}}`."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return len(content) // 2 + 2
        case "M":
            return 3 + typed_size(content)
        case "L":
            return 3 + sum(map(_value_size, content))
        case _:
            return 1


def plain_size(item: Mapping[str, Any]) -> int:
    """Return the size of an item of plain values, such as `{"n": 1}`."""
    return sum(
        len(name) + len(value if isinstance(value, bytes) else str(value))
        for name, value in item.items()
    )
