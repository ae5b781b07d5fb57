"""The shapes of the responses about people, spending and budgets.

Money is in dollars. `micro_usd` is the same sum in whole micro-dollars.
"""

from dataclasses import dataclass
from typing import Literal

from easel.contract.messages import api_field
from functions.api.roles import Role
from functions.api.schemas import Budget

By = Literal["day", "folder", "tag", "person", "model", "trigger"]


@dataclass(frozen=True, kw_only=True)
class ScopeBudget:
    """What a person or a folder committed and spent in a month, and their limit."""

    kind: Literal["person", "folder"]
    value: str = api_field("the person's id, or the folder, which includes the folders inside")
    name: str | None = api_field("the person's name, if it is known")
    cap_usd: float | None = api_field("null if there is no limit")
    spent_usd: float
    reserved_usd: float
    left_usd: float | None


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """The budgets of the month, of people and of folders."""

    month: Budget
    scopes: list[ScopeBudget]


@dataclass(frozen=True, kw_only=True)
class SpendingRow:
    """What was spent for one day, folder, tag, person, model or trigger."""

    value: str | None = api_field("null for what has none, such as images without a tag")
    name: str | None = api_field("the person's name, if it is known")
    usd: float
    micro_usd: int
    charges: int = api_field("how many charges it is the sum of; a corrected one counts twice")


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What was spent in a month, by one attribute, in the order of days or else of money.

    An image with several tags counts in the row of each of them.
    """

    month: str
    by: By
    rows: list[SpendingRow]
    total_usd: float
    total_micro_usd: int
    spent_usd: float = api_field("what the month's budget has spent")
    unattributed_usd: float = api_field(
        "what the budget has spent without an attribution, in a version before it was recorded; "
        "with a filter it is 0"
    )


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who is signed in. The role `make` includes `look`, and `administer` includes both."""

    person: str
    name: str | None
    role: Role
    budget: ScopeBudget | None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who has signed in or has a budget."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class People:
    """Everybody who has signed in or has a budget."""

    people: list[Person]
