"""What the table says of a run and of the month's money, also where a run has failed and has no report."""

from datetime import UTC, datetime

from easel.ledger.budget import Budget, MonthBudget, month_of
from easel.ledger.records import ChatRecord, ImageRecord, PromptRecord, Records
from easel.aws.table import Table
from cli.target import Target

MICRO = 1_000_000


def of_run(target: Target, run_id: str) -> tuple[PromptRecord | None, ChatRecord | None, list[ImageRecord]]:
    """A run's records: prompt, chat call, pictures."""
    return book(target).run(run_id)


def book(target: Target) -> Records:
    """The records of all runs, to be read."""
    table = _table(target)
    return Records(table, Budget(table, setting=0))


def budget(target: Target) -> MonthBudget:
    """This month's money."""
    return _budget(target).read(month_of(datetime.now(UTC)))


def set_budget(target: Target, usd: float) -> MonthBudget:
    """Change the cap, in dollars, from now on; 0 stops all spending."""
    return _budget(target).set_cap(month_of(datetime.now(UTC)), round(usd * MICRO))


def _budget(target: Target) -> Budget:
    return Budget(_table(target), setting=round(float(target.output("MonthlyBudgetUsd")) * MICRO))


def _table(target: Target) -> Table:
    return Table(target.client("dynamodb"), name=target.table)
