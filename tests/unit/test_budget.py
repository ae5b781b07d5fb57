"""The monthly cap: set by the deployment, and changed by a person while the stack runs."""

import pytest

from easel.aws.table import Table
from easel.contract.errors import BudgetExceededError
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.ledger.records import ChatRecord, to_item
from tests.support.services import CAP, reserve


def test_month_begins_with_deployed_cap(budget: Budget) -> None:
    assert budget.read("2026-11").cap == CAP


def test_manual_cap_applies_immediately(budget: Budget, ledger: Ledger) -> None:
    reserve(ledger, 700, month="2026-11")
    state = budget.set_cap("2026-11", 500)
    assert (state.cap, state.committed, state.spent) == (500, 700, 0)
    assert budget.read("2026-11") == state


def test_manual_cap_applies_to_later_months(budget: Budget) -> None:
    budget.set_cap("2026-11", 0)
    assert budget.read("2026-12").cap == 0


def test_manual_cap_can_be_changed_again(budget: Budget) -> None:
    budget.set_cap("2026-11", 0)
    budget.set_cap("2026-11", 900)
    assert (budget.read("2026-11").cap, budget.read("2026-12").cap) == (900, 900)


def test_new_deployed_cap_overrides_manual_one(budget: Budget, table: Table) -> None:
    budget.set_cap("2026-11", 0)
    deployed = Budget(table, setting=2 * CAP)
    assert (deployed.read("2026-11").cap, deployed.read("2026-12").cap) == (2 * CAP, 2 * CAP)


def test_reached_cap_error_explains_what_to_do(budget: Budget, ledger: Ledger) -> None:
    reserve(ledger, CAP - 10, month="2026-11")
    with pytest.raises(BudgetExceededError) as exc_info:
        budget.read("2026-11").check(20, purpose="picture 1 of run r")
    message = str(exc_info.value)
    for part in (
        "picture 1 of run r",
        "2026-11",
        "$0.0000 spent",
        "$1.0000 reserved",
        "cap of $1.0000",
        "raise it with `make budget USD=…`",
    ):
        assert part in message


def test_zero_cap_stops_even_unpriced_calls(budget: Budget) -> None:
    with pytest.raises(BudgetExceededError):
        budget.set_cap("2026-11", 0).check(None, purpose="the prompt of run r")


@pytest.mark.parametrize("manual", [None, 0, 900])
def test_peek_equals_read_but_writes_nothing(
    budget: Budget, table: Table, manual: int | None
) -> None:
    if manual is not None:
        budget.set_cap("2026-11", manual)
    later = Budget(table, setting=2 * CAP)

    peeks = [each.peek(month) for each in (budget, later) for month in ("2026-11", "2026-12")]

    assert table.get("budget#2026-12", "budget") is None
    # A read writes what it returns, so the other deployment's reads come last.
    reads = [each.read(month) for each in (budget, later) for month in ("2026-11", "2026-12")]
    assert peeks == reads


def test_exceeded_bound_is_kept_free_for_running_calls(ledger: Ledger, budget: Budget) -> None:
    claim = ChatRecord(
        run_id="a", purchase=1, lease_until=9, month="2026-11", reserved_micro_usd=100
    )
    ledger.claims.take(claim, after=None)

    waste = ledger.claims.waste(claim, cost=140)

    assert waste.is_counted
    month = budget.read("2026-11")
    assert (month.committed, month.spent, month.exceeded) == (140, 140, 40)
    assert month.fits(CAP - 140 - 40)
    assert not month.fits(CAP - 140 - 39)
    with pytest.raises(BudgetExceededError):
        reserve(ledger, CAP - 180 + 1, month="2026-11")
    reserve(ledger, CAP - 180, month="2026-11")


def older_month(table: Table, *, committed: int, spent: int) -> None:
    """Write a month as a version without shards did."""
    money = {"committed": committed, "spent": spent, "cap": CAP, "setting": CAP}
    table.write(table.put({"pk": "budget#2026-11", "sk": "budget"} | money))


def test_month_of_older_version_keeps_what_was_committed(
    ledger: Ledger, budget: Budget, table: Table
) -> None:
    older_month(table, committed=CAP - 100, spent=CAP - 300)
    assert budget.peek("2026-11").left == budget.read("2026-11").left == 100

    with pytest.raises(BudgetExceededError):
        reserve(ledger, 101, month="2026-11")
    reserve(ledger, 60, month="2026-11")

    state = budget.read("2026-11")
    assert (state.committed, state.spent, state.left) == (CAP - 40, CAP - 300, 40)
    # A function of the older version that still runs compares with this cap, and refuses.
    head = table.get("budget#2026-11", "budget")
    assert head
    assert (head["cap"], head["setting"], head["committed"]) == (0, CAP, CAP - 100)


def test_claim_of_older_version_is_settled(ledger: Ledger, budget: Budget, table: Table) -> None:
    older_month(table, committed=100, spent=0)
    claim = ChatRecord(
        run_id="a", purchase=1, lease_until=9, month="2026-11", reserved_micro_usd=100
    )
    table.write(table.put(to_item(claim)))

    ledger.claims.waste(claim, cost=140)  # more than its bound, before anything else is done

    state = budget.read("2026-11")
    assert (state.cap, state.committed, state.spent, state.exceeded) == (CAP, 140, 140, 40)
    assert state.left == CAP - 180
