"""Reserve upper bounds in the budgets of the month, of people and of folders, and settle them.

One transaction changes all budgets of a call. It uses the shard of the same number in each.
"""

import random
from collections.abc import Iterable, Mapping, Sequence, Set

from easel.aws.observability import gauge
from easel.aws.table import Item, Table
from easel.contract import metric_names
from easel.contract.errors import StorageBusyError
from easel.ledger.budget import Budget
from easel.ledger.limits import Limits
from easel.ledger.shards import MONTH, SHARDS, Funds, Shards

MAX_TRIES = 20


class Reservations:
    """The reservations of all calls.

    An object remembers which budgets have a cap, so a claim reads nothing before its transaction.
    If a cap was set or removed since then, the transaction fails, and the budgets are read again.
    """

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self._budget = budget
        self._limits = Limits(table)
        self._shards = Shards(table)
        self._has_cap: dict[tuple[str, str], bool] = {}  # by month and scope

    def check(self, month: str, scopes: Sequence[str], bound: int | None, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper bound fits into the month and these scopes."""
        state = self._budget.read(month)
        state.check(bound, purpose=purpose)
        for scope in self._limits.read(month, sorted(self._limits.limited(month, scopes))):
            scope.check(bound, purpose=purpose)
        gauge(metric_names.BUDGET_USED_PERCENT, state.used_percent(bound))

    def reserve(
        self, month: str, bounds: Mapping[str, int], actions: Sequence[Item], purpose: str
    ) -> bool:
        """Do actions and reserve a bound in each budget, or do nothing.

        Return False if a condition of the actions did not hold. Raises BudgetExceededError.
        """
        shards: Sequence[int] = range(SHARDS)
        for _ in range(MAX_TRIES):
            capped = self._capped_scopes(month, bounds)

            def make(capped: Set[str] = capped, shards: Sequence[int] = shards) -> list[Item]:
                shard = random.choice(shards)  # noqa: S311 - not a secret
                reservations = (
                    self._shards.reservation(month, scope, shard, bound, is_limited=scope in capped)
                    for scope, bound in bounds.items()
                )
                return [*actions, *reservations]

            results = self._table.write_anew(make)
            if not all(results[: len(actions)]):
                return False
            if all(results):
                return True
            shards = self._find_room(month, bounds, purpose)
        raise _busy(month)

    def settle(
        self,
        month: str,
        scopes: Sequence[str],
        actions: Sequence[Item],
        *,
        committed: int,
        spent: int,
    ) -> bool:
        """Do actions and change what the budgets have committed and spent, or do nothing.

        `committed` is positive if a cost exceeds its bound. Return False if a condition of the
        actions did not hold.
        """
        for _ in range(MAX_TRIES):
            excess: list[Item] = []
            capped = set(scopes)
            if committed > 0:
                self._forget(month, scopes)
                capped = self._capped_scopes(month, scopes)
                excess = self._shards.exceeding(month, sorted(capped), committed)

            def make(capped: Set[str] = capped, excess: Sequence[Item] = excess) -> list[Item]:
                shard = random.randrange(SHARDS)  # noqa: S311 - not a secret
                changes = (
                    self._shards.settlement(
                        *(month, scope, shard),
                        committed=committed,
                        spent=spent,
                        may_be_limited=scope in capped,
                    )
                    for scope in scopes
                )
                return [*actions, *changes, *excess]

            results = self._table.write_anew(make)
            if not all(results[: len(actions)]):
                return False
            if all(results):
                return True
        raise _busy(month)

    def _find_room(self, month: str, bounds: Mapping[str, int], purpose: str) -> Sequence[int]:
        """Return the shards that have enough free money. If there are none, move money to one.

        Raises BudgetExceededError.
        """
        for _ in range(MAX_TRIES):
            all_funds = self._read_capped(month, bounds)
            for funds in all_funds:
                state = (self._budget if funds.scope == MONTH else self._limits).state(funds)
                state.check(bounds[funds.scope] or None, purpose=purpose)
            fitting = [
                shard
                for shard in range(SHARDS)
                if all(funds.free[shard] >= bounds[funds.scope] for funds in all_funds)
            ]
            if fitting:
                return fitting
            shard = random.randrange(SHARDS)  # noqa: S311 - not a secret
            if all(
                funds.free[shard] >= bounds[funds.scope]
                or self._shards.gather(funds, shard, bounds[funds.scope])
                for funds in all_funds
            ):
                return [shard]
        raise _busy(month)

    def _read_capped(self, month: str, scopes: Iterable[str]) -> list[Funds]:
        """Return the money of the budgets that have a cap now."""
        self._forget(month, scopes)
        limited = self._capped_scopes(month, scopes) - {MONTH}
        return [self._budget.funds(month), *self._limits.funds(month, sorted(limited))]

    def _capped_scopes(self, month: str, scopes: Iterable[str]) -> set[str]:
        """Return the budgets that have a cap, from memory if they are known.

        The first time, also write the month's cap if it is missing or out of date.
        """
        new = [scope for scope in scopes if (month, scope) not in self._has_cap]
        if MONTH in new:
            self._budget.begin(month)
        limited = self._limits.limited(month, [scope for scope in new if scope != MONTH])
        for scope in new:
            self._has_cap[month, scope] = scope == MONTH or scope in limited
        return {scope for scope in scopes if self._has_cap[month, scope]}

    def _forget(self, month: str, scopes: Iterable[str]) -> None:
        for scope in scopes:
            self._has_cap.pop((month, scope), None)


def _busy(month: str) -> StorageBusyError:
    return StorageBusyError(f"the budgets of {month} keep changing; try again")
