"""A claim stands for one paid call.

One transaction takes the claim and reserves the money before the call. The call's result ends the
claim. If a claim was not ended and its lease has expired, its function has died, and OpenAI may
have charged for the call. The purchase is then counted as possibly paid, and repeated at most once.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from easel.aws.observability import count, logger
from easel.aws.table import Item, Table
from easel.contract import metric_names
from easel.contract.errors import (
    BudgetExceededError,
    ClaimHeldError,
    EaselError,
    OutcomeUnknownError,
)
from easel.contract.money import dollars
from easel.ledger.attribution import Attribution
from easel.ledger.budget import Budget
from easel.ledger.charges import charge
from easel.ledger.records import ChatRecord, Claim, ImageRecord, to_item
from easel.ledger.reservations import Reservations
from easel.ledger.shards import MONTH

MAX_PURCHASES = 2
MAX_ACTIONS = 100  # the limit of one transaction
C = TypeVar("C", bound=Claim)

# A lease of 0 means that the claim's money is already counted as spent. A change therefore requires
# the lease that was read.
_UNCHANGED = "#status = :was_status AND #purchase = :was_purchase AND #lease_until = :was_lease"


class Claims:
    """The claims of all runs."""

    def __init__(self, table: Table, budget: Budget) -> None:
        self._table = table
        self._reservations = Reservations(table, budget)

    def check(self, month: str, attribution: Attribution, bound: int | None, purpose: str) -> None:
        """Raise BudgetExceededError unless an upper bound fits into all budgets it counts in."""
        self._reservations.check(month, attribution.scopes, bound, purpose)

    def take(self, claim: Claim, *, after: Claim | None) -> None:
        """Claim a call and reserve its upper bound in all its budgets, or do nothing.

        `after` is the earlier purchase with an unknown outcome, or None. Raises ClaimHeldError if
        another execution was first, and BudgetExceededError.
        """
        action = self._renewal(claim, after) if after else self._table.put_if_absent(to_item(claim))
        self._take([claim], [action])

    def take_many(self, claims: Sequence[Claim]) -> list[EaselError | None]:
        """Claim calls of one month that were never claimed, many in one transaction.

        The result has one entry for each claim: None, ClaimHeldError if another execution was
        first, or BudgetExceededError.
        """
        return [error for group in _groups(claims) for error in self._take_group(group)]

    def _take_group(self, claims: Sequence[Claim]) -> list[EaselError | None]:
        try:
            self._take(claims, [self._table.put_if_absent(to_item(claim)) for claim in claims])
        except (ClaimHeldError, BudgetExceededError) as error:
            if len(claims) == 1:
                return [error]
            half = len(claims) // 2
            return self._take_group(claims[:half]) + self._take_group(claims[half:])
        return [None] * len(claims)

    def _take(self, claims: Sequence[Claim], actions: Sequence[Item]) -> None:
        """Do the actions and reserve all bounds, or do nothing."""
        purpose = claims[0].label
        if not self._reservations.reserve(claims[0].month, _bounds(claims), actions, purpose):
            raise ClaimHeldError(f"another execution has just claimed {purpose}")

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
        self._write(claim, undo, committed=-(claim.reserved_micro_usd or 0), spent=0)

    def mark_unknown(self, claim: Claim) -> bool:
        """End a claim's lease and count the call as possibly paid: its bound is now spent.

        Return whether this call counted it.
        """
        values = {":over": 0, ":one": 1}
        change = self._update(claim, "SET #lease_until = :over ADD #possibly_paid :one", values)
        is_marked = self._write(claim, change, committed=0, spent=claim.reserved_micro_usd or 0)
        if is_marked:
            count(metric_names.POSSIBLY_PAID)
            logger.warning("possibly paid", what=claim.label, purchase=claim.purchase)
        return is_marked

    def waste(self, claim: ChatRecord, *, cost: int) -> ChatRecord:
        """End the claim of a call with a useless response, at its cost in micro-dollars.

        Raises ClaimHeldError if another execution has taken it over.
        """
        wasted = (claim.wasted_micro_usd or 0) + cost
        values = {":over": 0, ":wasted": wasted}
        change = "SET #lease_until = :over, #wasted_micro_usd = :wasted"
        if not self.settle(claim, change, values, cost=cost):
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

    def settle(
        self, claim: Claim, expression: str, values: dict[str, Any], *more: Item, cost: int | None
    ) -> bool:
        """End a claim, replace its reservation with the cost, and do `more` actions.

        An unknown cost counts as the reserved amount. If the claim has changed, or a condition of
        the other actions does not hold, change nothing and return False.
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
        change = self._update(claim, expression, values)
        return self._write(claim, change, *more, committed=spent - reserved, spent=spent - already)

    def _write(self, claim: Claim, *actions: Item, committed: int, spent: int) -> bool:
        """Do the actions, change a claim's budgets, and write its charge, or do nothing."""
        if spent and claim.attribution:
            actions += (charge(self._table, claim.month, claim.attribution, spent),)
        scopes = (MONTH, *_scopes(claim))
        return self._reservations.settle(
            claim.month, scopes, actions, committed=committed, spent=spent
        )

    def _renewal(self, claim: Claim, after: Claim) -> Item:
        # From now on the image is bought by a separate call, even if it was in an order.
        expression = (
            "SET #purchase = :purchase, #lease_until = :until, #month = :month, "
            "#reserved_micro_usd = :reserved, #attribution = :attribution "
            "REMOVE #order, #order_number"
        )
        values = {
            ":attribution": to_item(claim)["attribution"],
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


def _groups(claims: Sequence[C]) -> Iterator[Sequence[C]]:
    """Yield claims in groups, each of which fits into one transaction with its budgets."""
    group: list[C] = []
    for claim in claims:
        if group and len(group) + 1 + len(_bounds([*group, claim])) > MAX_ACTIONS:
            yield group
            group = []
        group.append(claim)
    if group:
        yield group


def _bounds(claims: Iterable[Claim]) -> dict[str, int]:
    """Return the sum of the upper bounds in each budget. An unknown price reserves nothing."""
    bounds: Counter[str] = Counter()
    for claim in claims:
        for scope in (MONTH, *_scopes(claim)):
            bounds[scope] += claim.reserved_micro_usd or 0
    return bounds


def _scopes(claim: Claim) -> tuple[str, ...]:
    return claim.attribution.scopes if claim.attribution else ()


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
