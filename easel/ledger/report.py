"""Reports about spending: what was spent, added up by one attribute and filtered by others."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Literal

from easel.contract.money import MICRO
from easel.ledger.charges import Spending

By = Literal["day", "folder", "tag", "person", "model", "trigger"]
COLUMNS = ("month", "by", "value", "name", "usd", "charges")
# A spreadsheet takes a cell that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
UNATTRIBUTED = "(unattributed)"
BY: tuple[By, ...] = ("day", "folder", "tag", "person", "model", "trigger")


@dataclass(frozen=True, kw_only=True)
class Only:
    """The filters of a report. None means all."""

    day: str | None = None
    folder: str | None = None
    tag: str | None = None
    person: str | None = None
    model: str | None = None
    trigger: str | None = None

    @property
    def is_set(self) -> bool:
        """Return whether anything is left out."""
        return any(value is not None for value in astuple(self))

    def includes(self, spending: Spending) -> bool:
        """Return whether spending passes all filters."""
        filters = {by: getattr(self, by) for by in BY}
        return all(value is None or value in _values(spending, by) for by, value in filters.items())


@dataclass(frozen=True, kw_only=True)
class Row:
    """The sum for one value of the attribute, or for None if something has no value."""

    value: str | None
    micro_usd: int
    charges: int


@dataclass(frozen=True, kw_only=True)
class SpendingReport:
    """The sums by one attribute. `total_micro_usd` counts everything once, also with tags."""

    by: By
    rows: list[Row]
    total_micro_usd: int


def report(spending: Iterable[Spending], *, by: By, only: Only) -> SpendingReport:
    """Add up spending by one attribute.

    Days are sorted by date, and other attributes by amount, the largest first.
    """
    money: dict[str | None, int] = {}
    charges: dict[str | None, int] = {}
    total = 0
    for each in spending:
        if not only.includes(each):
            continue
        total += each.micro_usd
        for value in _values(each, by):
            money[value] = money.get(value, 0) + each.micro_usd
            charges[value] = charges.get(value, 0) + each.charges
    rows = [Row(value=value, micro_usd=money[value], charges=charges[value]) for value in money]
    rows.sort(key=lambda row: row.value or "" if by == "day" else (-row.micro_usd, row.value or ""))
    return SpendingReport(by=by, rows=rows, total_micro_usd=total)


def to_csv(
    spending_report: SpendingReport, *, month: str, names: Mapping[str, str], unattributed: int
) -> str:
    """Return a report as CSV with a header.

    `names` maps the ids of people to their names. `unattributed` is what the month has spent
    without an attribution, in micro-dollars.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in spending_report.rows:
        cells = (row.value or "", names.get(row.value or "", ""))
        usd = f"{row.micro_usd / MICRO:.6f}"
        writer.writerow([month, spending_report.by, *map(_cell, cells), usd, row.charges])
    if unattributed:
        usd = f"{unattributed / MICRO:.6f}"
        writer.writerow([month, spending_report.by, UNATTRIBUTED, "", usd, ""])
    return text.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _values(spending: Spending, by: By) -> tuple[str | None, ...]:
    """Return the values of an attribute. Only tags may have several."""
    if by == "day":
        return (spending.day,)
    if by == "tag":
        return spending.attribution.tags or (None,)
    return (getattr(spending.attribution, by),)
