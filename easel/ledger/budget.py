"""The monthly cap: one item per month with `committed` (reserved and spent), `spent` and `cap`.

All are micro-dollars. A cap set while the stack runs is also stored in a separate item, for the
coming months. The last change wins: a deployment with another setting sets the cap again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from easel.aws.table import Item, Key, Table
from easel.contract.errors import BudgetExceededError, StorageBusyError
from easel.contract.money import show

SET_BY_HAND = ("budget", "cap")
MAX_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class MonthBudget:
    """A month's state in micro-dollars.

    `exceeded` is the sum by which costs have exceeded their upper bounds. Running calls may exceed
    theirs as well, so the same amount is kept free.
    """

    month: str
    committed: int
    spent: int
    cap: int
    exceeded: int = 0

    @property
    def reserved(self) -> int:
        """Return what is reserved and not spent yet."""
        return self.committed - self.spent

    @property
    def left(self) -> int:
        """Return what can still be reserved."""
        return max(0, self.cap - self.exceeded - self.committed)

    def fits(self, bound: int | None) -> bool:
        """Return whether an upper bound fits. If the cap is 0, not even an unknown price fits."""
        return self.cap > 0 and (bound is None or bound <= self.left)

    def used_percent(self, bound: int | None) -> float:
        """Return the percentage of the cap that is reserved or spent, including this bound."""
        return round(100 * (self.committed + (bound or 0)) / self.cap, 2) if self.cap else 100.0

    def check(self, bound: int | None, *, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper bound fits."""
        if self.fits(bound):
            return
        needed = "an unknown price" if bound is None else f"up to {show(bound)}"
        raise BudgetExceededError(
            f"{purpose} needs {needed}, but {self.month} has {show(self.spent)} spent and "
            f"{show(self.reserved)} reserved of a cap of {show(self.cap)}; raise it with "
            "`make budget USD=…`, or wait for the next month"
        )


def month_of(moment: datetime) -> str:
    """Return the budget month of a time, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


class Budget:
    """The cap of every month. `setting` is the deployment's cap, in micro-dollars."""

    def __init__(self, table: Table, *, setting: int) -> None:
        self._table = table
        self._setting = setting

    def read(self, month: str) -> MonthBudget:
        """Return a month's state.

        The first read of a month writes its cap. So does the first read after the setting changed.
        """
        for _ in range(MAX_TRIES):
            item = self._table.get(*_key(month))
            if item and item["setting"] == self._setting:
                return _to_budget(month, item, cap=item["cap"])
            self._table.write(self._new_month(month) if item is None else self._reset(month, item))
        raise StorageBusyError(
            f"the budget of {month} keeps changing; check whether two deployments with different "
            "settings share this table"
        )

    def peek(self, month: str) -> MonthBudget:
        """Return a month's state as `read` would, but write nothing."""
        item = self._table.get(*_key(month))
        if item is None:
            return MonthBudget(month=month, committed=0, spent=0, cap=self._first_cap())
        cap = item["cap"] if item["setting"] == self._setting else self._setting
        return _to_budget(month, item, cap=cap)

    def set_cap(self, month: str, cap: int) -> MonthBudget:
        """Change the cap from now on, without a deployment. A cap of 0 stops all spending.

        Return the month's new state.
        """
        pk, sk = SET_BY_HAND
        # The cap for the coming months is stored first, so that a month that starts meanwhile has
        # it.
        self._table.write(
            self._table.put({"pk": pk, "sk": sk, "cap": cap, "setting": self._setting})
        )
        self.read(month)
        self._table.write(self._table.update(_key(month), "SET #cap = :cap", values={":cap": cap}))
        return self.read(month)

    def reservation(self, state: MonthBudget, bound: int | None) -> Item:
        """Return the action that reserves an upper bound.

        Its condition is that the cap has not changed since it was read, and the bound still fits.
        """
        values = {":bound": bound or 0, ":cap": state.cap}
        condition = "#cap = :cap"
        if bound is not None:
            # A condition cannot add, so it compares committed <= cap - bound.
            values[":room"] = state.cap - state.exceeded - bound
            condition += " AND #committed <= :room"
        key = _key(state.month)
        return self._table.update(key, "ADD #committed :bound", condition=condition, values=values)

    def change(self, month: str, *, committed: int, spent: int) -> Item:
        """Return the action that settles or releases a reservation in this month.

        `committed` is positive only if a cost exceeds the reservation that was made for it.
        """
        expression = "ADD #committed :committed, #spent :spent"
        values = {":committed": committed, ":spent": spent}
        if committed > 0:
            expression, values[":exceeded"] = f"{expression}, #exceeded :exceeded", committed
        return self._table.update(_key(month), expression, values=values)

    def _first_cap(self) -> int:
        """Return the cap of a month that has not begun yet."""
        by_hand = self._table.get(*SET_BY_HAND)
        holds = by_hand is not None and by_hand["setting"] == self._setting
        return int(by_hand["cap"]) if by_hand and holds else self._setting

    def _new_month(self, month: str) -> Item:
        pk, sk = _key(month)
        cap = self._first_cap()
        money = {"committed": 0, "spent": 0, "cap": cap, "setting": self._setting}
        return self._table.put_if_absent({"pk": pk, "sk": sk} | money)

    def _reset(self, month: str, item: Item) -> Item:
        return self._table.update(
            _key(month),
            "SET #cap = :new, #setting = :new",
            condition="#setting = :old",
            values={":new": self._setting, ":old": item["setting"]},
        )


def _to_budget(month: str, item: Item, *, cap: int) -> MonthBudget:
    return MonthBudget(
        month=month,
        committed=item["committed"],
        spent=item["spent"],
        cap=cap,
        exceeded=item.get("exceeded", 0),
    )


def _key(month: str) -> Key:
    return f"budget#{month}", "budget"
