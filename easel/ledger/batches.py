"""The starts of batches, and the orders at OpenAI's Batch API.

An order is up to 200 images. Its key is derived from its images, so an order of the same images has
the same key. An order is locked while it is placed. If the function dies, the lock expires at the
function's timeout, and the next attempt first checks whether OpenAI already has the order.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from easel.aws.table import Key, Table
from easel.contract.errors import ClaimHeldError, ContentRefusedError
from easel.contract.status import Status
from easel.ledger.records import RunRecords

FAILURES = "failures.jsonl"  # each failed or refused line of a batch, with its reason
PROBLEMS = "problems.jsonl"  # each line of a manifest that cannot be made
LINES = "lines.jsonl"  # each line that can be made
Reason = tuple[str, str]  # the name of an error, and its message


@dataclass(frozen=True, kw_only=True)
class BatchStart:
    """One start of a batch: its execution, its manifest and version, and its time (ISO, UTC)."""

    name: str
    execution: str
    manifest: str
    version_id: str
    started: str


class BatchStarts:
    """The latest start of each batch."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def latest(self, name: str) -> BatchStart | None:
        """Return a batch's latest start, or None if there was none."""
        item = self._table.get(f"batch#{name}", "batch")
        return (
            BatchStart(**{field.name: item[field.name] for field in fields(BatchStart)})
            if item
            else None
        )

    def note(self, start: BatchStart) -> None:
        """Record a start as the batch's latest."""
        item = {"pk": f"batch#{start.name}", "sk": "batch"} | asdict(start)
        self._table.write(self._table.put(item))


def refusal_of(records: RunRecords, images: int) -> Reason | None:
    """Return why OpenAI refused images of a finished line, or None if it refused none."""
    refused = [image for image in records.images if image.status == Status.REFUSED]
    if not refused:
        return None
    categories = ", ".join(sorted({image.refusal or "unknown" for image in refused}))
    message = f"OpenAI refused {len(refused)} of {images} images ({categories})"
    return ContentRefusedError.__name__, message


@dataclass(frozen=True, kw_only=True)
class LockedOrder:
    """An order locked by this function.

    `number` counts how often its images were ordered. `began` is when it was first locked.
    `was_locked` is true if another function locked it before. `batch` is OpenAI's id, once known;
    such an order needs no lock. `until` is the end of the lock in epoch seconds.
    """

    order: str
    number: int
    began: datetime
    was_locked: bool
    batch: str | None
    until: int

    @property
    def mark(self) -> str:
        """Return the name that OpenAI stores with this batch of the order."""
        return order_mark(self.order, self.number)


def order_mark(order: str, number: int) -> str:
    """Return the name that OpenAI stores with an order's first, second or later batch."""
    return f"{order}-{number}"


def order_key(custom_ids: Iterable[str]) -> str:
    """Return the key of an order of these images."""
    return hashlib.sha256("\n".join(sorted(custom_ids)).encode()).hexdigest()[:32]


class BatchOrders:
    """The orders of all batches."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def lock(self, order: str, *, until: int) -> LockedOrder:
        """Lock an order until a time in epoch seconds.

        Raises ClaimHeldError while another function holds the lock.
        """
        pk, sk = _key(order)
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}"
        new = {"pk": pk, "sk": sk, "began": now, "held_until": until}
        if all(self._table.write(self._table.put_if_absent(new))):
            began = datetime.fromisoformat(now)
            return LockedOrder(
                order=order, number=1, began=began, was_locked=False, batch=None, until=until
            )
        item = self._table.get(pk, sk) or {}
        known = LockedOrder(
            order=order,
            number=item.get("ended", 0) + 1,
            began=datetime.fromisoformat(item["began"]),
            was_locked=True,
            batch=item.get("batch"),
            until=until,
        )
        if known.batch:
            return known
        # This write may arrive late. If another function has locked or placed the order since the
        # read, `held_until` has changed.
        seen = item["held_until"]
        lock = self._table.update(
            (pk, sk),
            "SET #held_until = :until",
            condition="#held_until = :seen AND attribute_not_exists(#batch)",
            values={":seen": seen, ":until": until},
        )
        if seen > time.time() or not all(self._table.write(lock)):
            raise ClaimHeldError(
                f"order {order} is locked: another execution is placing it, or its function died; "
                "retrying until the lock expires"
            )
        return known

    def mark_placed(self, lock: LockedOrder, *, batch: str) -> None:
        """Record OpenAI's id of the order, and unlock it. Do nothing if the lock is lost."""
        self._change(lock, "SET #batch = :batch, #held_until = :end", {":batch": batch, ":end": 0})

    def mark_ended(self, order: str, *, batch: str) -> None:
        """Close an order that has ended, unless it is already closed."""
        change = self._table.update(
            _key(order),
            "REMOVE #batch ADD #ended :one",
            condition="#batch = :batch",
            values={":batch": batch, ":one": 1},
        )
        self._table.write(change)

    def unlock(self, lock: LockedOrder, *, after: float) -> None:
        """Let the lock expire in this many seconds. Do nothing if it is lost."""
        self._change(lock, "SET #held_until = :end", {":end": int(time.time() + after)})

    def _change(self, lock: LockedOrder, expression: str, values: dict[str, Any]) -> None:
        change = self._table.update(
            _key(lock.order),
            expression,
            condition="#held_until = :until",
            values=values | {":until": lock.until},
        )
        self._table.write(change)


def _key(order: str) -> Key:
    return f"order#{order}", "order"
