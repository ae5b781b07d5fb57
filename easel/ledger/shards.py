"""The money of a budget in a month, spread over shards so that concurrent calls rarely conflict.

There is a budget for the month, for each person and for each folder. A budget has a head item with
its cap, and SHARDS shards. Each shard counts what was committed and spent through it. If the budget
has a cap, the shards also get parts of its room as `free` money. A claim takes its bound from the
free money of one shard. It does so in one transaction with its record, and reads nothing first. A
settlement changes one shard, which may be another one.

The cap is exact because free money never exceeds the room:

    sum(free) <= cap - exceeded - committed

1. A claim moves its bound from `free` to `committed` in one shard. It fails if `free` is too low.
2. A settlement below its bound lowers `committed`, so the room grows.
3. All changes that add free money or reduce the room also write the head. They first read the head
   and then the shards, and they fail if the head has another version by now. In between, other
   calls can only do 1 or 2, or reduce free money. None of these makes the difference smaller.

tests/unit/test_shards_model.py checks this with all interleavings of a small model, and
tests/unit/test_contention.py with the code that ships.
"""

import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from easel.aws.table import Item, Key, Table
from easel.contract.errors import StorageBusyError

MONTH = "budget"  # the scope of the month's own budget
SHARDS = 32
DEALT_AT_ONCE = 8  # shards that one transaction deals money to while others use them


@dataclass(frozen=True, kw_only=True)
class Funds:
    """The state of a budget in a month, in micro-dollars.

    `cap` is None without a limit. `exceeded` is the sum by which costs have exceeded their upper
    bounds. Running calls may exceed theirs as well, so the same amount is kept free. `free` and
    `marks` have a value for each shard. A mark is the cap that the shard was last prepared for. The
    head's `version` is None before its first write. Only the month's own budget has a `setting`.
    `legacy` is the amount that a version of Easel without shards has committed in the head itself.
    """

    month: str
    scope: str
    cap: int | None = None
    setting: int | None = None
    version: int | None = None
    committed: int = 0
    spent: int = 0
    exceeded: int = 0
    legacy: int | None = None
    free: tuple[int, ...] = (0,) * SHARDS
    marks: tuple[int | None, ...] = (None,) * SHARDS

    @property
    def undealt(self) -> int:
        """Return the room that is not dealt to shards. It is negative if too much is dealt."""
        return (self.cap or 0) - self.exceeded - self.committed - sum(self.free)

    @property
    def stale(self) -> list[int]:
        """Return the shards that are not prepared for the cap, or have too much free money."""
        overdealt = self.cap is not None and self.undealt < 0
        return [
            shard
            for shard in range(SHARDS)
            if self.marks[shard] != self.cap or (overdealt and self.free[shard])
        ]


class Shards:
    """The heads and shards of all budgets."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self, month: str, scopes: Sequence[str]) -> tuple[Funds, ...]:
        """Return the state of budgets. Read the heads first, so that their versions count."""
        heads = self._items(head_key(month, scope) for scope in scopes)
        keys = [_shard_key(month, scope, shard) for scope in scopes for shard in range(SHARDS)]
        items = self._items(keys)
        return tuple(_to_funds(month, scope, heads, items) for scope in scopes)

    def set_cap(self, funds: Funds, cap: int | None, *, setting: int | None = None) -> bool:
        """Write a budget's cap and prepare its shards for it.

        Return False if the budget has changed since it was read. If the process dies before the
        shards are prepared, the next reader prepares them.
        """
        values: dict[str, Any] = {":next": (funds.version or 0) + 1}
        changes = ["#version = :next"]
        if cap is not None:
            changes.append("#limit = :limit")
            values[":limit"] = cap
        if setting is not None:
            # Functions of a version without shards may still be running. They get no room.
            changes += ["#setting = :setting", "#cap = :none"]
            values |= {":setting": setting, ":none": 0}
        expression = f"SET {', '.join(changes)}{' REMOVE #limit' if cap is None else ''}"
        head = self._head(funds, expression, values)
        # Nobody can claim in a month that has no shards yet, so its money is dealt immediately.
        begins = funds.scope == MONTH and funds.version is None and cap is not None
        shards = self._first_shards(replace(funds, cap=cap)) if begins else []
        if not all(self._table.write(head, *shards)):
            return False
        (changed,) = self.read(funds.month, [funds.scope])
        with suppress(StorageBusyError):  # claims deal what they need
            self.deal(self.prepare(changed), range(SHARDS))
        return True

    def prepare(self, funds: Funds) -> Funds:
        """Take the money back from stale shards, mark them with the cap, and return the new state.

        Less free money is always safe, so this needs no transaction.
        """
        while stale := funds.stale:
            for shard in stale:
                self._table.change(
                    _shard_key(funds.month, funds.scope, shard),
                    "REMOVE #cap, #free" if funds.cap is None else "SET #cap = :cap, #free = :zero",
                    values={} if funds.cap is None else {":cap": funds.cap, ":zero": 0},
                )
            (funds,) = self.read(funds.month, [funds.scope])
        return funds

    def deal(self, funds: Funds, shards: Sequence[int]) -> bool:
        """Give each of these shards one of SHARDS equal parts of the undealt room.

        Return False if the head has changed since it was read.
        """
        part = funds.undealt // SHARDS
        actions = (_free(self._table, funds, shard, part) for shard in shards)
        return part <= 0 or all(self._table.write(self._new_version(funds), *actions))

    def gather(self, funds: Funds, shard: int, bound: int) -> bool:
        """Give a shard enough for a bound that fits the budget.

        The money comes from the undealt room and from other shards. Return False if the budget has
        changed since it was read.
        """
        if funds.undealt >= SHARDS * bound:
            others = [other for other in range(SHARDS) if other != shard]
            return self.deal(funds, [shard, *random.sample(others, DEALT_AT_ONCE - 1)])
        gain, actions = funds.undealt, []
        for other in sorted(range(SHARDS), key=lambda other: -funds.free[other]):
            if funds.free[shard] + gain >= bound:
                break
            if other != shard and funds.free[other]:
                gain += funds.free[other]
                actions.append(_free(self._table, funds, other, -funds.free[other]))
        if gain <= 0:
            return True
        actions.append(_free(self._table, funds, shard, gain))
        return all(self._table.write(self._new_version(funds), *actions))

    def reservation(
        self, month: str, scope: str, shard: int, bound: int, *, is_limited: bool
    ) -> Item:
        """Return the action that reserves an upper bound in a shard.

        The action fails if the bound does not fit, or if a cap was set or removed in the meantime.
        A cap of 0 also stops calls of an unknown price, whose bound is 0.
        """
        key = _shard_key(month, scope, shard)
        values = {":bound": bound}
        if not is_limited:
            condition = "attribute_not_exists(#cap)"
            expression = "ADD #committed :bound"
            return self._table.update(key, expression, condition=condition, values=values)
        return self._table.update(
            key,
            "ADD #committed :bound, #free :taken",
            condition="#cap > :zero AND #free >= :bound",
            values=values | {":taken": -bound, ":zero": 0},
        )

    def settlement(
        self,
        month: str,
        scope: str,
        shard: int,
        *,
        committed: int,
        spent: int,
        may_be_limited: bool = True,
    ) -> Item:
        """Return the action that settles or releases a reservation in any shard.

        `committed` is positive only if a cost exceeds its bound. A budget with a cap then needs the
        actions of `exceeding`, too. Without `may_be_limited`, the action fails if the shard has a
        mark, because the budget then has a cap.
        """
        expression, values = "ADD #committed :committed", {":committed": committed}
        if spent:
            expression, values = f"{expression}, #spent :spent", values | {":spent": spent}
        if committed > 0:
            expression = f"{expression}, #exceeded :committed"
        condition = None if may_be_limited else "attribute_not_exists(#cap)"
        key = _shard_key(month, scope, shard)
        return self._table.update(key, expression, condition=condition, values=values)

    def exceeding(self, month: str, scopes: Sequence[str], excess: int) -> list[Item]:
        """Return the actions that a cost above its bound needs in each budget with a cap.

        They fail if a budget changes in the meantime. If too little room is undealt, the free money
        of the shards is taken back first.
        """
        actions = []
        for funds in self.read(month, scopes):
            if funds.cap is None:
                continue
            # The excess is committed, and the same amount is kept free for other running calls.
            if funds.undealt < 2 * excess:
                for shard in range(SHARDS):
                    if funds.free[shard]:
                        key = _shard_key(month, funds.scope, shard)
                        self._table.change(key, "SET #free = :zero", values={":zero": 0})
            actions.append(self._new_version(funds))
        return actions

    def _first_shards(self, funds: Funds) -> list[Item]:
        """Return the actions that create the shards of a month with their parts of its cap."""
        values = {":cap": funds.cap, ":part": max(0, funds.undealt // SHARDS)}
        return [
            self._table.update(
                _shard_key(funds.month, funds.scope, shard),
                "SET #cap = :cap, #free = :part",
                values=values,
            )
            for shard in range(SHARDS)
        ]

    def _new_version(self, funds: Funds) -> Item:
        return self._head(funds, "SET #version = :next", {":next": (funds.version or 0) + 1})

    def _head(self, funds: Funds, expression: str, values: dict[str, Any]) -> Item:
        condition = "attribute_not_exists(#version)"
        if funds.version is not None:
            condition, values = "#version = :version", values | {":version": funds.version}
        elif funds.legacy is not None:
            # A function of a version without shards may claim in the meantime.
            condition += " AND #committed = :seen"
            values = values | {":seen": funds.legacy}
        key = head_key(funds.month, funds.scope)
        return self._table.update(key, expression, condition=condition, values=values)

    def _items(self, keys: Iterable[Key]) -> dict[Key, Item]:
        items = self._table.get_many(list(keys))
        return {(item["pk"], item["sk"]): item for item in items}


def head_key(month: str, scope: str) -> Key:
    """Return the key of a budget's head in a month."""
    return f"budget#{month}", scope


def _shard_key(month: str, scope: str, shard: int) -> Key:
    # DynamoDB limits the writes to one partition key, so each shard has its own.
    return f"budget#{month}#{shard:02}", scope


def _free(table: Table, funds: Funds, shard: int, amount: int) -> Item:
    """Return the action that adds to a shard's free money, or takes some of it.

    It needs no condition on the cap: a caller that sets another cap also changes the head.
    """
    values, condition = {":amount": amount}, None
    if amount < 0:
        condition, values = "#free >= :needed", values | {":needed": -amount}
    key = _shard_key(funds.month, funds.scope, shard)
    return table.update(key, "ADD #free :amount", condition=condition, values=values)


def _to_funds(month: str, scope: str, heads: dict[Key, Item], items: dict[Key, Item]) -> Funds:
    head = heads.get(head_key(month, scope), {})
    shards = [items.get(_shard_key(month, scope, shard), {}) for shard in range(SHARDS)]
    # A version without shards has counted in the head.
    sums = {
        name: sum(item.get(name, 0) for item in (head, *shards))
        for name in ("committed", "spent", "exceeded")
    }
    is_new = "version" in head
    return Funds(
        month=month,
        scope=scope,
        cap=head.get("limit" if is_new else "cap"),
        setting=head.get("setting"),
        version=head.get("version"),
        legacy=head.get("committed"),
        free=tuple(shard.get("free", 0) for shard in shards),
        marks=tuple(shard.get("cap") for shard in shards),
        **sums,
    )
