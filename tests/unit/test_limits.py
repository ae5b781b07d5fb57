"""Budgets of people and folders, which hold however many runs claim at the same time."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from easel.aws.table import Table
from easel.contract.errors import BudgetExceededError
from easel.ledger.attribution import Attribution, folder_scopes
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.ledger.limits import Limits
from easel.ledger.records import ImageRecord
from tests.support.records import image_record
from tests.support.services import CAP

MONTH = "2026-11"
ANNA, SPRING, PARENT = "person#1f0c9a2e", "folder#ads/spring", "folder#ads"
ADS = Attribution(folder="ads/spring", person="1f0c9a2e", trigger="page", model="m", tags=("x",))


@pytest.fixture
def limits(table: Table) -> Limits:
    return Limits(table)


def claim(ledger: Ledger, bound: int | None, *, run_id: str = "run-1", n: int = 1) -> ImageRecord:
    record = image_record(run_id=run_id, n=n, reserved_micro_usd=bound, attribution=ADS)
    ledger.claims.take(record, after=None)
    return record


@pytest.mark.parametrize("scope", [ANNA, SPRING, PARENT])
def test_claim_stops_at_each_limit(ledger: Ledger, limits: Limits, scope: str) -> None:
    limits.set(MONTH, scope, 100)
    claim(ledger, 60)

    with pytest.raises(BudgetExceededError, match=scope.replace("#", " ")) as exc_info:
        claim(ledger, 41, n=2)
    assert "$0.0001 reserved of its budget of $0.0001 in 2026-11" in str(exc_info.value)
    assert ledger.image("run-1", 2) is None
    assert ledger.budget.read(MONTH).committed == 60

    claim(ledger, 40, n=2)
    assert [state.committed for state in limits.peek(MONTH, ADS.scopes)] == [100, 100, 100]


def test_limit_counts_what_was_spent_before_it_was_set(ledger: Ledger, limits: Limits) -> None:
    claim(ledger, 60)

    assert limits.set(MONTH, ANNA, 80).left == 20
    with pytest.raises(BudgetExceededError):
        claim(ledger, 21, n=2)


def test_limit_applies_to_later_months_until_it_is_removed(limits: Limits, ledger: Ledger) -> None:
    limits.set(MONTH, ANNA, 0)
    later = replace(image_record(attribution=ADS), month="2026-12", reserved_micro_usd=None)
    with pytest.raises(BudgetExceededError, match="an unknown price"):
        ledger.claims.take(later, after=None)

    assert limits.set("2026-12", ANNA, None).left is None
    ledger.claims.take(later, after=None)
    assert limits.set("2026-12", ANNA, None).cap is None  # removed twice


def test_costs_and_unpaid_calls_free_what_they_reserved(ledger: Ledger, limits: Limits) -> None:
    limits.set(MONTH, SPRING, 100)
    ledger.claims.release(claim(ledger, 100))
    paid = claim(ledger, 100)

    ledger.mark_staged(paid, replace(paid, staged_key="k", bytes=1, sha256="s", cost_micro_usd=30))

    (state,) = limits.peek(MONTH, [SPRING])
    assert (state.committed, state.spent, state.left) == (30, 30, 70)


def test_cost_above_its_bound_narrows_the_limit(ledger: Ledger, limits: Limits) -> None:
    limits.set(MONTH, SPRING, 100)
    paid = claim(ledger, 40)
    ledger.mark_staged(paid, replace(paid, staged_key="k", bytes=1, sha256="s", cost_micro_usd=50))

    # Other running calls may exceed their bounds as well, so the same sum is kept free.
    (state,) = limits.read(MONTH, [SPRING])
    assert state.left == 40
    with pytest.raises(BudgetExceededError):
        claim(ledger, 41, n=2)
    claim(ledger, 40, n=2)


def test_claim_of_older_version_changes_no_scope(ledger: Ledger, limits: Limits) -> None:
    old = image_record(reserved_micro_usd=9)
    ledger.claims.take(old, after=None)
    ledger.claims.release(old)

    assert limits.month(MONTH) == []


def test_processes_that_know_the_old_limit_follow_a_new_one(
    table: Table, ledger: Ledger, limits: Limits
) -> None:
    claim(ledger, 10)  # from now on this process knows that there is no limit

    limits.set(MONTH, ANNA, 15)
    with pytest.raises(BudgetExceededError):
        claim(ledger, 10, n=2)

    limits.set(MONTH, ANNA, None)
    claim(ledger, 10, n=2)
    (state,) = limits.peek(MONTH, [ANNA])
    assert (state.cap, state.committed) == (None, 20)


def test_no_cent_above_limits_with_fifty_runs_at_once(table: Table, limits: Limits) -> None:
    """Half of the runs use one folder and half another, in one folder with a limit of its own."""
    limits.set(MONTH, "folder#ads/spring", 700)
    limits.set(MONTH, PARENT, 1_000)
    seeded = random.Random(1)  # noqa: S311 - not a secret
    bounds = [seeded.randrange(20, 60) for _ in range(50)]

    def run(number: int) -> int:
        folder = "ads/spring" if number % 2 else "ads/summer"
        ledger = Ledger(table, Budget(table, setting=CAP))
        record = image_record(
            run_id=f"run-{number}",
            reserved_micro_usd=bounds[number],
            attribution=replace(ADS, folder=folder),
        )
        try:
            ledger.claims.take(record, after=None)
        except BudgetExceededError:
            return 0
        ledger.mark_staged(
            record,
            replace(record, staged_key="k", bytes=1, sha256="s", cost_micro_usd=bounds[number] - 5),
        )
        return bounds[number] - 5

    with ThreadPoolExecutor(16) as pool:
        paid = list(pool.map(run, range(50)))

    spring, parent = limits.read(MONTH, ["folder#ads/spring", PARENT])
    assert spring.spent == sum(paid[1::2]) <= 700
    assert parent.spent == sum(paid) <= 1_000
    assert 0 in paid
    assert parent.committed == parent.spent


@pytest.mark.parametrize(
    ("folder", "scopes"),
    [
        ("ads", ("folder#ads",)),
        ("a/b/c", ("folder#a", "folder#a/b", "folder#a/b/c")),
        ("1/2/3/4/5/6", tuple(f"folder#{'/'.join('12345'[:n])}" for n in range(1, 6))),
    ],
)
def test_budget_of_a_folder_covers_folders_inside(folder: str, scopes: tuple[str, ...]) -> None:
    assert folder_scopes(folder) == scopes


def test_limit_of_older_version_holds(table: Table, ledger: Ledger, limits: Limits) -> None:
    table.write(table.put({"pk": "limits", "sk": ANNA, "cap": 100}))
    money = {"committed": 60, "spent": 60, "cap": 100}
    table.write(table.put({"pk": f"budget#{MONTH}", "sk": ANNA} | money))

    with pytest.raises(BudgetExceededError, match="person"):
        claim(ledger, 41)
    claim(ledger, 40)

    (state,) = limits.peek(MONTH, [ANNA])
    assert (state.cap, state.committed, state.left) == (100, 100, 0)


def test_cost_above_its_bound_follows_a_limit_set_meanwhile(
    table: Table, ledger: Ledger, limits: Limits
) -> None:
    paid = claim(ledger, 40)  # this process remembers that there is no limit
    Limits(table).set(MONTH, SPRING, 200)

    ledger.mark_staged(paid, replace(paid, staged_key="k", bytes=1, sha256="s", cost_micro_usd=50))

    (state,) = limits.read(MONTH, [SPRING])
    assert (state.committed, state.left) == (50, 140)
    (funds,) = limits.funds(MONTH, [SPRING])
    assert sum(funds.free) <= 140
