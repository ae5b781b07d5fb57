"""The monthly cap, in micro-dollars. Committed money (reserved and spent) never exceeds it.

The money is spread over shards (easel/ledger/shards.py). A cap that is set while the stack runs is
also stored in a separate item for the coming months. The last change wins, so a deployment with
another setting replaces the cap.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from easel.aws.table import Table
from easel.contract.errors import BudgetExceededError, StorageBusyError
from easel.contract.money import show
from easel.ledger.shards import MONTH, Funds, Shards, head_key

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
        self._shards = Shards(table)

    def read(self, month: str) -> MonthBudget:
        """Return a month's state.

        The first read of a month writes its cap. So does the first read after the setting changed.
        """
        return self.state(self.funds(month))

    def begin(self, month: str) -> None:
        """Write a month's cap if it is missing or out of date, as `read` does."""
        head = self._table.get(*head_key(month, MONTH))
        if not head or "version" not in head or head["setting"] != self._setting:
            self.funds(month)

    def funds(self, month: str) -> Funds:
        """Return the money of a month, as `read` does, with its shards prepared."""
        for _ in range(MAX_TRIES):
            (funds,) = self._shards.read(month, [MONTH])
            if funds.version is not None and funds.setting == self._setting:
                return self._shards.prepare(funds)
            self._shards.set_cap(funds, self._cap(funds), setting=self._setting)
        raise StorageBusyError(
            f"the budget of {month} keeps changing; check whether two deployments with different "
            "settings share this table"
        )

    def peek(self, month: str) -> MonthBudget:
        """Return a month's state as `read` would, but write nothing."""
        (funds,) = self._shards.read(month, [MONTH])
        return self.state(replace(funds, cap=self._cap(funds)))

    def set_cap(self, month: str, cap: int) -> MonthBudget:
        """Change the cap from now on, without a deployment. A cap of 0 stops all spending.

        Return the month's new state.
        """
        pk, sk = SET_BY_HAND
        # The cap for the coming months is stored first, because a month may start in between.
        self._table.write(
            self._table.put({"pk": pk, "sk": sk, "cap": cap, "setting": self._setting})
        )
        for _ in range(MAX_TRIES):
            if self._shards.set_cap(self.funds(month), cap):
                return self.read(month)
        raise StorageBusyError(f"the budget of {month} keeps changing; try again")

    def state(self, funds: Funds) -> MonthBudget:
        """Return the state of a month's money."""
        return MonthBudget(
            month=funds.month,
            committed=funds.committed,
            spent=funds.spent,
            cap=funds.cap or 0,
            exceeded=funds.exceeded,
        )

    def _cap(self, funds: Funds) -> int:
        """Return the cap that a month has, or will get when it is next read."""
        if funds.setting is None:
            return self._first_cap()
        return funds.cap or 0 if funds.setting == self._setting else self._setting

    def _first_cap(self) -> int:
        """Return the cap of a month that has not begun yet."""
        for by_hand in self._table.get_many([SET_BY_HAND]):
            if by_hand["setting"] == self._setting:
                return int(by_hand["cap"])
        return self._setting
