"""The commands about money: budgets, and what a month cost."""

import argparse
import re
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from cli import screen
from cli.sign_in import find_subject
from cli.target import Target
from easel.contract import money
from easel.contract.money import micro_dollars
from easel.ledger.attribution import person_scope
from easel.ledger.budget import month_of
from easel.ledger.charges import Charges
from easel.ledger.limits import MAX_USD, Limits, check_folder_scope
from easel.ledger.people import People, Person
from easel.ledger.report import BY, UNATTRIBUTED, Only, SpendingReport, report, to_csv

MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def add_budget_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `budget`."""
    parser.add_argument(
        "usd", nargs="?", type=_usd, help="the new cap in dollars; 0 stops all spending"
    )
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--folder", help="the budget of a folder, and of the folders inside")
    whose.add_argument("--person", help="the budget of a person: their mail address or id")
    parser.add_argument("--no-limit", action="store_true", help="remove the limit of one of these")


def add_spending_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `spending`."""
    parser.add_argument("--month", type=_month, help="such as 2026-11; this month by default")
    parser.add_argument("--by", choices=BY, default="folder")
    for by in BY:
        parser.add_argument(f"--{by}", help="only this one")
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table")


def budget(target: Target, options: argparse.Namespace) -> int:
    """Show this month's budget, or one of a person or a folder, or change it."""
    month = month_of(datetime.now(UTC))
    if options.folder is not None or options.person is not None:
        return _scope_budget(target, options, month)
    if options.no_limit:
        raise LookupError("the month's budget always has a limit; give a number of dollars")
    capped = target.ledger.budget
    state = (
        capped.read(month)
        if options.usd is None
        else capped.set_cap(month, micro_dollars(options.usd))
    )
    screen.show_budget(state, Console())
    return 0


def spending(target: Target, options: argparse.Namespace) -> int:
    """Show what a month cost."""
    month = options.month or month_of(datetime.now(UTC))
    only = Only(**{by: getattr(options, by) for by in BY})
    spending_report = report(Charges(target.records).of(month), by=options.by, only=only)
    names = {person.id: person.name for person in People(target.records).all()}
    spent = target.ledger.budget.peek(month).spent
    rest = 0 if only.is_set else spent - spending_report.total_micro_usd
    if options.csv:
        print(to_csv(spending_report, month=month, names=names, unattributed=rest), end="")
    else:
        _show(spending_report, month, names, rest)
    return 0


def _scope_budget(target: Target, options: argparse.Namespace, month: str) -> int:
    limits = Limits(target.records)
    if options.folder is not None:
        scope = name = check_folder_scope(options.folder, "--folder")
    else:
        person = _find_person(target, options.person)
        scope, name = person_scope(person.id), person.name
    if options.no_limit:
        state = limits.set(month, scope, None)
    elif options.usd is None:
        (state,) = limits.read(month, [scope])
    else:
        state = limits.set(month, scope, micro_dollars(options.usd))
    spent, reserved = money.show(state.spent), money.show(state.committed - state.spent)
    cap = "no limit" if state.cap is None else f"limit {money.show(state.cap)}"
    line = f"{month}, {name.replace('#', ' ')}: {spent} spent, {reserved} reserved, {cap}"
    screen.say(Console(), screen.escape(line))
    return 0


def _find_person(target: Target, value: str) -> Person:
    def subject_of(email: str) -> str | None:
        return find_subject(target, email)

    person = People(target.records).look_up(value, subject_of)
    if person is None:
        raise LookupError(
            f"no person has the id or mail address {value}; `easel user {value}` adds a user"
        )
    return person


def _show(spending_report: SpendingReport, month: str, names: dict[str, str], rest: int) -> None:
    table = Table(title=f"Spending of {month}", title_justify="left")
    table.add_column(spending_report.by)
    table.add_column("dollars", justify="right")
    table.add_column("charges", justify="right")
    for row in spending_report.rows:
        name = names.get(row.value or "", row.value or "(none)")
        table.add_row(screen.escape(name), _exact(row.micro_usd), f"{row.charges:,}")
    if rest:
        table.add_row(UNATTRIBUTED, _exact(rest), "")
    table.add_section()
    table.add_row("total", _exact(spending_report.total_micro_usd + rest), "")
    Console().print(table)


def _exact(micro_usd: int) -> str:
    return f"${micro_usd / money.MICRO:.6f}"


def _month(text: str) -> str:
    if not MONTH.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: a year and a month such as 2026-11")
    return text


def _usd(text: str) -> float:
    try:
        usd = float(text)
    except ValueError:
        usd = -1
    # An amount that rounds to 0 would stop all spending by mistake.
    if not 0 <= usd < MAX_USD or (usd > 0) != (micro_dollars(usd) > 0):
        allowed = f"a number of dollars from 0 to {MAX_USD:,}, such as 25"
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: {allowed}")
    return usd
