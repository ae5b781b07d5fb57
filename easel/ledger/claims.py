"""A claim stands for one paid call.

It is taken before the call, in one transaction with the money, and ended with the call's result. A
claim without an end means that its function died. Once its lease has expired, OpenAI may have
charged for the call. The purchase is then counted as possibly paid, and repeated at most once.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from easel.aws.observability import count, gauge, logger
from easel.aws.table import Item, Table
from easel.contract import metric_names
from easel.contract.errors import ClaimHeldError, OutcomeUnknownError, StorageBusyError
from easel.contract.money import dollars
from easel.ledger.budget import Budget
from easel.ledger.records import ChatRecord, Claim, ImageRecord, to_item

MAX_PURCHASES = 2
MAX_TRIES = 20
C = TypeVar("C", bound=Claim)

# A lease of 0 means that the claim's money is already counted as spent. A change therefore requires
# the lease that was read.
_UNCHANGED = "#status = :was_status AND #purchase = :was_purchase AND #lease_until = :was_lease"


class Claims:
    """The claims of all runs."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self._budget = budget

    def take(self, claim: Claim, *, after: Claim | None) -> None:
        """Claim a call and reserve its upper bound, or do neither.

        `after` is the earlier purchase with an unknown outcome, or None. Raises ClaimHeldError if
        another execution was first, and BudgetExceededError.
        """
        action = self._renewal(claim, after) if after else self._table.put_if_absent(to_item(claim))
        bound = claim.reserved_micro_usd
        for _ in range(MAX_TRIES):
            state = self._budget.read(claim.month)
            state.check(bound, purpose=claim.label)
            ours, fits = self._table.write(action, self._budget.reservation(state, bound))
            if not ours:
                raise ClaimHeldError(f"another execution has just claimed {claim.label}")
            if fits:
                gauge(metric_names.BUDGET_USED_PERCENT, state.used_percent(bound))
                return
        raise StorageBusyError(f"the budget of {claim.month} keeps changing")

    def renew(self, claim: ImageRecord, *, until: int, order_number: int) -> bool:
        """Extend the lease of an ordered image's claim, and give it the number of the new batch.

        Return False if another execution now has the claim.
        """
        expression = "SET #lease_until = :until, #order_number = :number"
        values = {":until": until, ":number": order_number}
        return all(self._table.write(self._update(claim, expression, values)))

    def release(self, claim: Claim) -> None:
        """Undo the claim of a call that was certainly not charged.

        An earlier purchase stays counted.
        """
        if claim.purchase == 1:
            undo = self._table.delete(
                claim.item_key, condition=_UNCHANGED, values=_condition_values(claim)
            )
        else:
            values = {":before": claim.purchase - 1, ":over": 0}
            undo = self._update(claim, "SET #purchase = :before, #lease_until = :over", values)
        money = -(claim.reserved_micro_usd or 0)
        self._table.write(undo, self._budget.change(claim.month, committed=money, spent=0))

    def mark_unknown(self, claim: Claim) -> bool:
        """End a claim's lease and count the call as possibly paid: its bound is now spent.

        Return whether this call counted it.
        """
        values = {":over": 0, ":one": 1}
        change = self._update(claim, "SET #lease_until = :over ADD #possibly_paid :one", values)
        spent = claim.reserved_micro_usd or 0
        money = self._budget.change(claim.month, committed=0, spent=spent)
        is_marked = all(self._table.write(change, money))
        if is_marked:
            count(metric_names.POSSIBLY_PAID)
            logger.warning("possibly paid", what=claim.label, purchase=claim.purchase)
        return is_marked

    def waste(self, claim: ChatRecord, *, cost: int) -> ChatRecord:
        """End the claim of a call whose answer is of no use, with its cost in micro-dollars.

        Raises ClaimHeldError if another execution has taken it over.
        """
        wasted = (claim.wasted_micro_usd or 0) + cost
        values = {":over": 0, ":wasted": wasted}
        change = "SET #lease_until = :over, #wasted_micro_usd = :wasted"
        if not all(self._table.write(*self.settlement(claim, change, values, cost=cost))):
            raise ClaimHeldError(f"another execution has taken over {claim.label}")
        return replace(claim, lease_until=0, wasted_micro_usd=wasted)

    def expire(self, claim: C) -> C:
        """Return an earlier claim of a dead function, counted as possibly paid.

        Raises ClaimHeldError until its lease expires.
        """
        if claim.lease_until > time.time():
            end = f"{datetime.fromtimestamp(claim.lease_until, UTC):%H:%M:%S} UTC"
            raise ClaimHeldError(
                f"{claim.label} is being bought, or the function that bought it died; its claim "
                f"expires at {end}"
            )
        if not claim.is_counted:
            if not self.mark_unknown(claim):
                raise ClaimHeldError(f"another execution is recovering {claim.label}")
            claim = replace(claim, lease_until=0, possibly_paid=claim.possibly_paid + 1)
        return claim

    def settlement(
        self, claim: Claim, expression: str, values: dict[str, Any], *, cost: int | None
    ) -> tuple[Item, Item]:
        """Return the actions that end a claim and replace its reservation with the cost.

        An unknown cost counts as the reserved amount.
        """
        reserved = claim.reserved_micro_usd or 0
        spent = reserved if cost is None else cost
        if claim.reserved_micro_usd is not None and spent > reserved:
            logger.warning(
                "a cost exceeds its upper bound",
                what=claim.label,
                bound_usd=dollars(reserved),
                cost_usd=dollars(spent),
            )
        already = reserved if claim.is_counted else 0
        money = self._budget.change(claim.month, committed=spent - reserved, spent=spent - already)
        return self._update(claim, expression, values), money

    def _renewal(self, claim: Claim, after: Claim) -> Item:
        # From now on the image is bought by a separate call, even if it was in an order.
        expression = (
            "SET #purchase = :purchase, #lease_until = :until, #month = :month, "
            "#reserved_micro_usd = :reserved REMOVE #order, #order_number"
        )
        values = {
            ":purchase": claim.purchase,
            ":until": claim.lease_until,
            ":month": claim.month,
            ":reserved": claim.reserved_micro_usd,
        }
        return self._update(after, expression, values)

    def _update(self, claim: Claim, expression: str, values: dict[str, Any]) -> Item:
        return self._table.update(
            claim.item_key,
            expression,
            condition=_UNCHANGED,
            values=values | _condition_values(claim),
        )


def _condition_values(claim: Claim) -> dict[str, Any]:
    return {
        ":was_status": claim.status,
        ":was_purchase": claim.purchase,
        ":was_lease": claim.lease_until,
    }


def check_purchases(claim: Claim) -> None:
    """Raise OutcomeUnknownError if no further purchase of this call is allowed."""
    if claim.purchase >= MAX_PURCHASES:
        raise OutcomeUnknownError(
            f"{claim.label} was bought without a usable answer (purchases: {claim.purchase}); check"
            " OpenAI's usage page, then start a new run to buy it again"
        )
