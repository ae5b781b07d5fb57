"""The budgets of people and folders, which apply in addition to the month's cap.

The money of each person and folder is counted, with or without a limit. A limit that is set during
a month therefore applies to the whole month. The limit itself is stored once for all months. The
head of the budget's shards has a copy for each month (easel/ledger/shards.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from easel.aws.table import Table
from easel.contract.errors import BudgetExceededError, InputError, StorageBusyError
from easel.contract.money import show
from easel.ledger.attribution import MAX_DEPTH, folder_scope
from easel.ledger.shards import Funds, Shards, head_key
from easel.request.names import check_folder

LIMITS = "limits"
MAX_USD = 1_000_000  # the highest limit that anybody can set
MAX_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class ScopeBudget:
    """The money that a person or a folder has committed and spent in a month, in micro-dollars.

    `cap` is None without a limit. `exceeded` is the sum by which costs have exceeded their upper
    bounds.
    """

    month: str
    scope: str
    committed: int
    spent: int
    exceeded: int
    cap: int | None

    @property
    def left(self) -> int | None:
        """Return what can still be reserved, or None without a limit."""
        return None if self.cap is None else max(0, self.cap - self.exceeded - self.committed)

    @property
    def name(self) -> str:
        """Return the scope's name for people, such as folder spring."""
        return self.scope.replace("#", " ", 1)

    def fits(self, bound: int | None) -> bool:
        """Return whether an upper bound fits. If the limit is 0, not even an unknown price does."""
        if self.left is None:
            return True
        return self.cap != 0 and (bound is None or bound <= self.left)

    def check(self, bound: int | None, *, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper bound fits."""
        if self.cap is None or self.fits(bound):
            return
        needed = "an unknown price" if bound is None else f"up to {show(bound)}"
        reserved = self.committed - self.spent
        raise BudgetExceededError(
            f"{purpose} needs {needed}, but {self.name} has {show(self.spent)} spent and "
            f"{show(reserved)} reserved of its budget of {show(self.cap)} in {self.month}; an "
            "administrator can raise it on the page under Spending, or with `easel budget`"
        )


class Limits:
    """The budgets of people and folders."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._shards = Shards(table)

    def read(self, month: str, scopes: Sequence[str]) -> tuple[ScopeBudget, ...]:
        """Return the state of some scopes. Update the month's copy of each limit first."""
        return tuple(self.state(funds) for funds in self.funds(month, scopes))

    def funds(self, month: str, scopes: Sequence[str]) -> tuple[Funds, ...]:
        """Return the money of some scopes, as `read` does, with their shards prepared."""
        for _ in range(MAX_TRIES if scopes else 0):
            caps = self._caps(scopes)
            all_funds = self._shards.read(month, scopes)
            # A version without shards has written a head with a limit but without a version.
            stale = [
                funds
                for funds in all_funds
                if funds.cap != caps[funds.scope] or (funds.cap is not None and not funds.version)
            ]
            if not stale:
                return tuple(self._shards.prepare(funds) for funds in all_funds)
            for funds in stale:
                self._shards.set_cap(funds, caps[funds.scope])
        if scopes:
            raise StorageBusyError(f"the budgets of {month} keep changing; try again")
        return ()

    def limited(self, month: str, scopes: Sequence[str]) -> set[str]:
        """Return the scopes that have a limit. Update the month's copy of each limit first."""
        keys = [(LIMITS, scope) for scope in scopes] + [head_key(month, each) for each in scopes]
        items = self._table.get_many(keys)
        caps = {item["sk"]: item["cap"] for item in items if item["pk"] == LIMITS}
        copies = {item["sk"]: item.get("limit") for item in items if item["pk"] != LIMITS}
        self.funds(month, [scope for scope in scopes if copies.get(scope) != caps.get(scope)])
        return set(caps)

    def peek(self, month: str, scopes: Sequence[str]) -> tuple[ScopeBudget, ...]:
        """Return the state of some scopes without writing anything."""
        caps = self._caps(scopes)
        return tuple(
            self.state(replace(funds, cap=caps[funds.scope]))
            for funds in self._shards.read(month, scopes)
        )

    def month(self, month: str) -> list[ScopeBudget]:
        """Return all scopes that have a limit."""
        return list(self.peek(month, [item["sk"] for item in self._table.query(LIMITS)]))

    def set(self, month: str, scope: str, cap: int | None) -> ScopeBudget:
        """Change a limit (micro-dollars) from this month on, or remove it with None.

        Return the scope's state in this month.
        """
        limit = {"pk": LIMITS, "sk": scope, "cap": cap}
        if cap is None:
            remove = self._table.delete(
                (LIMITS, scope), condition="attribute_exists(#cap)", values={}
            )
            self._table.write(remove)
        else:
            self._table.write(self._table.put(limit))
        return self.read(month, [scope])[0]

    def state(self, funds: Funds) -> ScopeBudget:
        """Return the state of a scope's money."""
        return ScopeBudget(
            month=funds.month,
            scope=funds.scope,
            committed=funds.committed,
            spent=funds.spent,
            exceeded=funds.exceeded,
            cap=funds.cap,
        )

    def _caps(self, scopes: Sequence[str]) -> dict[str, int | None]:
        items = self._table.get_many([(LIMITS, scope) for scope in scopes])
        caps = {item["sk"]: int(item["cap"]) for item in items}
        return {scope: caps.get(scope) for scope in scopes}


def check_folder_scope(folder: object, field: str) -> str:
    """Return the name of a folder's budget. Raises InputError if it is wrong or too deep."""
    path = check_folder(folder, field)
    if path.count("/") >= MAX_DEPTH:
        allowed = f"a folder of up to {MAX_DEPTH} levels; its budget covers the folders inside"
        raise InputError(field, path, allowed)
    return folder_scope(path)
