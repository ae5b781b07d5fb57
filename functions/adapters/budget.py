"""The monthly cap, one item a month: `committed` (reserved and spent), `spent` and `cap`, in micro-dollars."""

from dataclasses import dataclass
from datetime import UTC, datetime

from functions.adapters.table import Item, Table
from functions.errors import BudgetExceededError, StorageBusyError

SK = "budget"
CHANGED_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class MonthBudget:
    """A month's state; micro-dollars."""

    month: str
    committed: int
    spent: int
    cap: int


def month_of(moment: datetime) -> str:
    """The budget's month, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


class Budget:
    """The cap of every month. `setting` is what the deployment says; a month's own cap can be changed while it runs."""

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
                new = {"pk": f"budget#{month}", "sk": SK, "committed": 0, "spent": 0, "cap": self._setting, "setting": self._setting}
                self._table.write(self._table.put_if_absent(new))
            else:
                change = "SET #cap = :new, #setting = :new"
                values = {":new": self._setting, ":old": item["setting"]}
                self._table.write(self._table.update(f"budget#{month}", SK, change, condition="#setting = :old", values=values))
        raise StorageBusyError(f"the budget of {month} keeps changing: two deployments with different settings?")

    def check(self, state: MonthBudget, estimate: int | None, *, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper-bound estimate fits; with a cap of 0 nothing does."""
        if state.cap > 0 and (estimate is None or state.committed + estimate <= state.cap):
            return
        needed = "an unknown price" if estimate is None else f"up to {usd(estimate)}"
        reserved = state.committed - state.spent
        raise BudgetExceededError(
            f"{purpose} needs {needed}; {state.month} has {usd(state.spent)} spent and {usd(reserved)} reserved of a cap of "
            f"{usd(state.cap)}; raise monthly_budget_usd and deploy, or wait for the next month"
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

    def reserve(self, month: str, estimate: int | None, *, purpose: str) -> None:
        """Reserve for a call that has no record of its own, as the chat call."""
        for _ in range(CHANGED_TRIES):
            state = self.read(month)
            self.check(state, estimate, purpose=purpose)
            if all(self._table.write(self.reservation(state, estimate))):
                return
        raise StorageBusyError(f"the budget of {month} keeps changing")

    def settlement(self, month: str, *, estimate: int | None, actual: int | None) -> Item:
        """An action that puts what was really spent in place of a reservation; an unknown cost counts as its estimate."""
        reserved = estimate or 0
        spent = reserved if actual is None else actual
        return self.change(month, committed=spent - reserved, spent=spent)

    def settle(self, month: str, *, estimate: int | None, actual: int | None) -> None:
        """Settle a reservation that belongs to no record."""
        self._table.write(self.settlement(month, estimate=estimate, actual=actual))


def usd(micro: int) -> str:
    """Micro-dollars for a person."""
    return f"${micro / 1_000_000:.4f}"
