"""The orders at OpenAI's Batch API: up to 200 pictures each, created once.

An order's key is made of its pictures, so whoever orders the same ones meets the same order. It is held while it is being placed: who
dies of that leaves it held until his function would have ended, and the next one first looks whether OpenAI has it already.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from functions.adapters.table import Table
from functions.errors import ClaimHeldError

SK = "order"


@dataclass(frozen=True, kw_only=True)
class HeldOrder:
    """An order that is held by us: when it was begun, whether somebody else began it, and the batch's id once that is known.

    `mark` is what OpenAI knows it under: where nothing came of an order, the same pictures are another batch the next time.
    """

    mark: str
    began: datetime
    again: bool
    batch: str | None


def order_key(custom_ids: Iterable[str]) -> str:
    """The key of an order of these pictures."""
    return hashlib.sha256("\n".join(sorted(custom_ids)).encode()).hexdigest()[:32]


class Orders:
    """All orders."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def hold(self, key: str, *, until: int) -> HeldOrder:
        """Take an order in hand until a moment in epoch seconds. Raises ClaimHeldError while somebody else has it."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}"
        if all(self._table.write(self._table.put_if_absent({"pk": f"order#{key}", "sk": SK, "began": now, "held_until": until}))):
            return HeldOrder(mark=f"{key}-1", began=datetime.fromisoformat(now), again=False, batch=None)
        item = self._table.get(f"order#{key}", SK) or {}
        mark = f"{key}-{item.get('ended', 0) + 1}"
        known = HeldOrder(mark=mark, began=datetime.fromisoformat(item["began"]), again=True, batch=item.get("batch"))
        if known.batch:
            return known
        values = {":now": int(time.time()), ":until": until}
        taken = self._table.update(f"order#{key}", SK, "SET #held_until = :until", condition="#held_until <= :now", values=values)
        if not all(self._table.write(taken)):
            raise ClaimHeldError(f"order {key} is being placed by another execution, or its function died: this waits for its end")
        return known

    def placed(self, key: str, *, batch: str) -> None:
        """Keep the id of the order's batch; it need not be held any longer."""
        values = {":batch": batch, ":over": 0}
        self._table.write(self._table.update(f"order#{key}", SK, "SET #batch = :batch, #held_until = :over", values=values))

    def ended(self, key: str, *, batch: str) -> None:
        """Close an order of which nothing more comes, unless that was done already."""
        change = self._table.update(
            f"order#{key}", SK, "REMOVE #batch ADD #ended :one", condition="#batch = :batch", values={":batch": batch, ":one": 1}
        )
        self._table.write(change)

    def let_go(self, key: str, *, after: float) -> None:
        """Hold an order no longer than so many seconds, for who comes next."""
        self._table.write(self._table.update(f"order#{key}", SK, "SET #held_until = :end", values={":end": int(time.time() + after)}))
