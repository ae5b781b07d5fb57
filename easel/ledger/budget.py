"""The monthly cap, one item a month: `committed` (reserved and spent), `spent` and `cap`, in micro-dollars.

A cap that was set while the stack runs stands in an item of its own, too, for the months to come. The last word wins: a deployment
with another setting sets it anew.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from functions.adapters.table import Item, Table
from functions.errors import BudgetExceededError, StorageBusyError

SK = "budget"
SET_BY_HAND = ("budget", "cap")
CHANGED_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class MonthBudget:
    """A month's state; micro-dollars."""

    month: str
    committed: int
    spent: int
    cap: int

    def fits(self, estimate: int | None) -> bool:
        """Whether an upper-bound estimate fits; with a cap of 0 nothing does, not even an unknown price."""
        return self.cap > 0 and (estimate is None or self.committed + estimate <= self.cap)

    def used_percent(self, estimate: int | None) -> float:
        """How much of the cap is reserved or spent once this estimate is, too."""
        return round(100 * (self.committed + (estimate or 0)) / self.cap, 2) if self.cap else 100.0


def month_of(moment: datetime) -> str:
    """The budget's month, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


class Budget:
    """The cap of every month. `setting` is what the deployment says, in micro-dollars."""

    def __init__(self, table: Table, *, setting: int) -> None:
        self._table = table
        self._setting = setting

    def read(self, month: str) -> MonthBudget:
        """A month's state; the first reader of a month, or after the setting was changed, writes the cap."""
        for _ in range(CHANGED_TRIES):
            item = self._table.get(f"budget#{month}", SK)
            if item and item["setting"] == self._setting:
                return MonthBudget(month=month, committed=item["committed"], spent=item["spent"], cap=item["cap"])
            if item is None:
                money = {"committed": 0, "spent": 0, "cap": self._first_cap(), "setting": self._setting}
                self._table.write(self._table.put_if_absent({"pk": f"budget#{month}", "sk": SK} | money))
            else:
                change = "SET #cap = :new, #setting = :new"
                values = {":new": self._setting, ":old": item["setting"]}
                self._table.write(self._table.update(f"budget#{month}", SK, change, condition="#setting = :old", values=values))
        raise StorageBusyError(f"the budget of {month} keeps changing: two deployments with different settings?")

    def set_cap(self, month: str, cap: int) -> MonthBudget:
        """Change the cap from now on, without a deployment: 0 stops all spending. Gives the month's state then."""
        pk, sk = SET_BY_HAND
        # First for the months to come: a month that begins meanwhile has it.
        self._table.write(self._table.put({"pk": pk, "sk": sk, "cap": cap, "setting": self._setting}))
        self.read(month)
        self._table.write(self._table.update(f"budget#{month}", SK, "SET #cap = :cap", values={":cap": cap}))
        return self.read(month)

    def _first_cap(self) -> int:
        by_hand = self._table.get(*SET_BY_HAND)
        return int(by_hand["cap"]) if by_hand and by_hand["setting"] == self._setting else self._setting

    def check(self, state: MonthBudget, estimate: int | None, *, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper-bound estimate fits."""
        if state.fits(estimate):
            return
        needed = "an unknown price" if estimate is None else f"up to {usd(estimate)}"
        reserved = state.committed - state.spent
        raise BudgetExceededError(
            f"{purpose} needs {needed}; {state.month} has {usd(state.spent)} spent and {usd(reserved)} reserved of a cap of "
            f"{usd(state.cap)}; raise it at once with `make budget USD=…` (on AWS with TARGET=aws), "
            "or monthly_budget_usd at a deploy, or wait for the next month"
        )

    def reservation(self, state: MonthBudget, estimate: int | None) -> Item:
        """An action that reserves: it holds only while the cap is the one that was read and the estimate still fits."""
        # Conditions cannot add, so the sum is turned round: committed <= cap - estimate.
        return self._table.update(
            f"budget#{state.month}",
            SK,
            "ADD #committed :estimate",
            condition="#cap = :cap" if estimate is None else "#cap = :cap AND #committed <= :room",
            values={":estimate": estimate or 0, ":cap": state.cap} | ({} if estimate is None else {":room": state.cap - estimate}),
        )

    def change(self, month: str, *, committed: int, spent: int) -> Item:
        """An action that settles or releases what was reserved in that month."""
        values = {":committed": committed, ":spent": spent}
        return self._table.update(f"budget#{month}", SK, "ADD #committed :committed, #spent :spent", values=values)


def usd(micro: int) -> str:
    """Micro-dollars for a person."""
    return f"${micro / 1_000_000:.4f}"
