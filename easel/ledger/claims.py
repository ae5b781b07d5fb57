"""A claim stands for one paid call. It is taken before the call, in one transaction with the money, and ended by what came of it.

A claim without an end means that its function died: once its lease is over, OpenAI may have charged for it, which is counted, and
the call is made again at most once.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from functions import signals
from functions.adapters.budget import Budget
from functions.adapters.table import Item, Table
from functions.errors import ClaimHeldError, EaselError, OutcomeUnknownError, StorageBusyError
from functions.telemetry import count, gauge, logger

CLAIMED = "claimed"
MAX_PURCHASES = 2
TAKE_TRIES = 20
C = TypeVar("C", bound="Claim")


@dataclass(frozen=True, kw_only=True)
class Claim(ABC):
    """One paid call. `lease_until` (epoch seconds) is the end of the function that makes it, 0 once its estimate counts as spent.

    `reserved_micro_usd` is that estimate, None where the price is unknown; `month` the budget's month that it was reserved in.
    """

    run_id: str
    status: str
    purchase: int
    possibly_paid: int
    lease_until: int
    month: str
    reserved_micro_usd: int | None
    cost_micro_usd: int | None = None

    @property
    @abstractmethod
    def sk(self) -> str:
        """The sort key of its record."""

    @property
    @abstractmethod
    def what(self) -> str:
        """What is bought, for a person."""


class Claims:
    """The claims of all runs."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self._budget = budget

    def take(self, claim: Claim, *, after: Claim | None) -> None:
        """Claim a call and reserve its estimate, or neither. `after` is the earlier purchase with an unknown outcome, if any.

        Raises ClaimHeldError where somebody else was first, and BudgetExceededError.
        """
        if after is None:
            action = self._table.put_if_absent(item(claim))
        else:
            action = self._update(
                after,
                # From now on it is bought by a call of its own, whatever order it was in.
                "SET #purchase = :purchase, #lease_until = :until, #month = :month, #reserved_micro_usd = :reserved REMOVE #order",
                {
                    ":purchase": claim.purchase,
                    ":until": claim.lease_until,
                    ":month": claim.month,
                    ":reserved": claim.reserved_micro_usd,
                },
            )
        for _ in range(TAKE_TRIES):
            state = self._budget.read(claim.month)
            self._budget.check(state, claim.reserved_micro_usd, purpose=claim.what)
            ours, fits = self._table.write(action, self._budget.reservation(state, claim.reserved_micro_usd))
            if not ours:
                raise ClaimHeldError(f"{claim.what} was claimed by another execution just now")
            if fits:
                gauge(signals.BUDGET_USED_PERCENT, state.used_percent(claim.reserved_micro_usd))
                return
        raise StorageBusyError(f"the budget of {claim.month} keeps changing")

    def renew(self, claim: Claim, *, until: int) -> bool:
        """Hold a claim longer; False where it is another's by now."""
        change = self._update(claim, "SET #lease_until = :until", {":until": until})
        return all(self._table.write(change))

    def give_up(self, claim: Claim, error: EaselError) -> None:
        """End a claim whose call failed: given back where nothing was charged, else counted as possibly paid."""
        if error.possibly_paid:
            self.mark_unknown(claim)
        else:
            self.release(claim)

    def release(self, claim: Claim) -> None:
        """Undo a claim whose call was certainly not charged; an earlier unknown purchase stays counted."""
        if claim.purchase == 1:
            names = {"#status": "status", "#purchase": "purchase", "#lease_until": "lease_until"}
            undo = self._table.delete(f"run#{claim.run_id}", claim.sk, condition=_MINE, names=names, values=_mine(claim))
        else:
            undo = self._update(claim, "SET #purchase = :before, #lease_until = :over", {":before": claim.purchase - 1, ":over": 0})
        self._table.write(undo, self._budget.change(claim.month, committed=-(claim.reserved_micro_usd or 0), spent=0))

    def mark_unknown(self, claim: Claim) -> bool:
        """End a claim's lease and count it as possibly paid: its estimate is spent from now on."""
        change = self._update(claim, "SET #lease_until = :over ADD #possibly_paid :one", {":over": 0, ":one": 1})
        counted = all(self._table.write(change, self._budget.change(claim.month, committed=0, spent=claim.reserved_micro_usd or 0)))
        if counted:
            count(signals.POSSIBLY_PAID)
            logger.warning("possibly paid", what=claim.what, purchase=claim.purchase)
        return counted

    def outlived(self, claim: C) -> C:
        """An earlier claim whose function is gone, counted as possibly paid. Raises ClaimHeldError while its lease lasts."""
        if claim.lease_until > time.time():
            end = datetime.fromtimestamp(claim.lease_until, UTC)
            raise ClaimHeldError(f"{claim.what} is being bought, or its function died: this waits until {end:%H:%M:%S} UTC at most")
        if claim.lease_until == 0:
            return claim
        if not self.mark_unknown(claim):
            raise ClaimHeldError(f"{claim.what} is being looked after by another execution")
        return replace(claim, lease_until=0, possibly_paid=claim.possibly_paid + 1)

    def settled(self, claim: Claim, expression: str, values: dict[str, Any], *, cost: int | None) -> tuple[Item, Item]:
        """The actions that end a claim and put what was really spent in place of its reservation; an unknown cost counts as that."""
        reserved = claim.reserved_micro_usd or 0
        spent = reserved if cost is None else cost
        already = reserved if claim.lease_until == 0 else 0
        money = self._budget.change(claim.month, committed=spent - reserved, spent=spent - already)
        return self._update(claim, expression, values), money

    def _update(self, claim: Claim, expression: str, values: dict[str, Any]) -> Item:
        return self._table.update(f"run#{claim.run_id}", claim.sk, expression, condition=_MINE, values=values | _mine(claim))


# The lease tells whether its money is counted already; so it must be the one that was read.
_MINE = "#status = :mine_status AND #purchase = :mine_purchase AND #lease_until = :mine_lease"


def _mine(claim: Claim) -> dict[str, Any]:
    return {":mine_status": claim.status, ":mine_purchase": claim.purchase, ":mine_lease": claim.lease_until}


def check_purchases(claim: Claim) -> None:
    """Raise OutcomeUnknownError where a call was paid as often as it may be, and its result never came."""
    if claim.purchase >= MAX_PURCHASES:
        raise OutcomeUnknownError(
            f"{claim.what} was bought {claim.purchase} times and no usable answer came; look into OpenAI's usage page, then start a new "
            "run with another request_id to buy another"
        )


def item(record: Claim) -> Item:
    """A record as the table keeps it."""
    return {"pk": f"run#{record.run_id}", "sk": record.sk} | {name: value for name, value in asdict(record).items() if value is not None}
