"""Gap: a secondary index shows each change at once. On AWS it is eventually consistent.

A query of an index answers as it would have answered some time ago: the latest changes of the table
are undone before the query, and done again after it. MiniStack handles a request without a pause,
so no other request sees the table in between. (A state machine that calls DynamoDB itself could;
Easel has none.) Scans of an index do not lag.
"""

import functools
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ministack.services import dynamodb

from local.ministack.edits import replace


@dataclass(frozen=True, kw_only=True)
class _Change:
    """A change of one item. `before` and `after` are the whole item, or None if it is missing."""

    at: float
    key: tuple[Any, Any]
    before: Any
    after: Any


class _Indexes:
    """The latest changes of each table, which its indexes do not show yet."""

    def __init__(self, lag: float, *, set_item: Any, remove_item: Any) -> None:
        self._lag = lag
        self._set_item, self._remove_item = set_item, remove_item
        self._changes: dict[str, deque[_Change]] = defaultdict(deque)

    def set_item(self, table: dict[str, Any], pk: Any, sk: Any, item: Any) -> Any:
        before = self._set_item(table, pk, sk, item)
        self._note(table, _Change(at=time.monotonic(), key=(pk, sk), before=before, after=item))
        return before

    def remove_item(self, table: dict[str, Any], pk: Any, sk: Any) -> Any:
        before = self._remove_item(table, pk, sk)
        self._note(table, _Change(at=time.monotonic(), key=(pk, sk), before=before, after=None))
        return before

    @contextmanager
    def rewound(self, table: dict[str, Any]) -> Iterator[None]:
        """Undo the latest changes within the block."""
        changes = list(self._latest(table))
        for change in reversed(changes):
            self._put(table, change.key, change.before)
        try:
            yield
        finally:
            for change in changes:
                self._put(table, change.key, change.after)

    def _note(self, table: dict[str, Any], change: _Change) -> None:
        self._latest(table).append(change)

    def _latest(self, table: dict[str, Any]) -> deque[_Change]:
        changes = self._changes[table["TableArn"]]
        while changes and changes[0].at < time.monotonic() - self._lag:
            changes.popleft()
        return changes

    def _put(self, table: dict[str, Any], key: tuple[Any, Any], item: Any) -> None:
        if item is None:
            self._remove_item(table, *key)
        else:
            self._set_item(table, *key, item)


def apply(seconds: float) -> None:
    """Let the secondary indexes lag by this time."""
    indexes = _Indexes(seconds, set_item=dynamodb._set_item, remove_item=dynamodb._remove_item)
    replace(dynamodb, "_set_item", lambda _: indexes.set_item)
    replace(dynamodb, "_remove_item", lambda _: indexes.remove_item)
    replace(dynamodb, "_query", lambda query: _lagging(query, indexes))


def _lagging(query: Any, indexes: _Indexes) -> Any:
    @functools.wraps(query)
    def querying(request: dict[str, Any]) -> Any:
        name = dynamodb._normalize_table_name(request.get("TableName"))
        table = dynamodb._tables.get(name)
        if not table or not request.get("IndexName"):
            return query(request)
        with indexes.rewound(table):
            return query(request)

    return querying
