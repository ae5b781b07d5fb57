"""Budgets as the API shows them."""

from easel.contract.money import dollars
from easel.ledger.budget import MonthBudget
from easel.ledger.limits import ScopeBudget
from functions.api import money_schemas as schemas
from functions.api.schemas import Budget


def show_month(month: MonthBudget) -> Budget:
    """Return the month's budget."""
    return Budget(
        month=month.month,
        cap_usd=dollars(month.cap),
        spent_usd=dollars(month.spent),
        reserved_usd=dollars(month.reserved),
        left_usd=dollars(month.left),
    )


def show_scope(state: ScopeBudget, name: str | None) -> schemas.ScopeBudget:
    """Return the budget of a person or a folder. `name` is the person's."""
    kind, _, value = state.scope.partition("#")
    return schemas.ScopeBudget(
        kind="person" if kind == "person" else "folder",
        value=value,
        name=name,
        cap_usd=dollars(state.cap),
        spent_usd=dollars(state.spent),
        reserved_usd=dollars(state.committed - state.spent),
        left_usd=dollars(state.left),
    )
