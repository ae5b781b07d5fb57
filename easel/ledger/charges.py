"""The charges: what was spent, by day, folder, person, trigger, model and tags.

Each transaction that spends money adds one charge. Charges are unique items, so concurrent runs
never wait for each other. Later, `fold` adds them to sums with the same attribution. A charge is
removed in the transaction that adds it, so each one counts once, and the charges and sums of a
month always add up to what its budget has spent.
"""

import calendar
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import uuid4

from easel.aws.table import Item, Key, Table
from easel.contract.errors import StorageBusyError
from easel.ledger.attribution import Attribution

PREFIX = "charges#"
FOLDS = "folds"
AT_ONCE = 40  # charges in one transaction, which has at most 100 actions
MAX_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What was spent on one day for one attribution: micro-dollars, and the number of charges."""

    day: str
    attribution: Attribution
    micro_usd: int
    charges: int


def charge(table: Table, month: str, attribution: Attribution, micro_usd: int) -> Item:
    """Return the action that lists what was spent now. A correction may be negative."""
    day = _day(month, datetime.now(UTC))
    item = {"pk": f"{PREFIX}{month}", "sk": uuid4().hex, "day": day, "micro_usd": micro_usd}
    return table.put(item | asdict(attribution))


class Charges:
    """The charges and the sums of all months."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def fold(self, charges: Iterable[Item]) -> int:
        """Add charges of the table to the sums, each one once. Return how many were added."""
        by_month: dict[str, list[Item]] = {}
        for item in charges:
            by_month.setdefault(item["pk"].removeprefix(PREFIX), []).append(item)
        return sum(
            self._fold(month, items[start : start + AT_ONCE])
            for month, items in by_month.items()
            for start in range(0, len(items), AT_ONCE)
        )

    def of(self, month: str) -> list[Spending]:
        """Return what was spent in a month, by day and attribution.

        Raises StorageBusyError if charges are moved faster than they can be read.
        """
        for _ in range(MAX_TRIES):
            folds = self._folds(month)
            sums = [item for item in self._table.query(_sums(month)) if item["sk"] != FOLDS]
            charges = self._table.query(f"{PREFIX}{month}")
            if folds == self._folds(month):  # no charge was moved meanwhile
                return _merge(sums, charges)
        raise StorageBusyError(f"the charges of {month} change too fast; try again in a minute")

    def _folds(self, month: str) -> int:
        """Return how often charges of a month were added to its sums."""
        item = self._table.get(_sums(month), FOLDS)
        return item["folds"] if item else 0

    def _fold(self, month: str, items: Sequence[Item]) -> int:
        remaining = list({item["sk"]: item for item in items}.values())
        while remaining:
            actions = [self._removal(item) for item in remaining]
            # A delivery of the stream may be repeated. A charge that is gone is in the sums.
            counted = self._table.update(
                (_sums(month), FOLDS), "ADD #folds :one", values={":one": 1}
            )
            results = self._table.write(*actions, *self._additions(month, remaining), counted)
            if all(results):
                return len(remaining)
            is_there = results[: len(remaining)]
            remaining = [item for item, there in zip(remaining, is_there, strict=True) if there]
        return 0

    def _removal(self, item: Item) -> Item:
        key = (item["pk"], item["sk"])
        return self._table.delete(key, condition="attribute_exists(pk)", values={})

    def _additions(self, month: str, items: Sequence[Item]) -> list[Item]:
        return [
            self._table.update(
                _sum_key(month, sum_.day, sum_.attribution),
                "SET #day = :day, #attribution = :attribution "
                "ADD #micro_usd :micro_usd, #charges :charges",
                values={
                    ":day": sum_.day,
                    ":attribution": asdict(sum_.attribution),
                    ":micro_usd": sum_.micro_usd,
                    ":charges": sum_.charges,
                },
            )
            for sum_ in _merge([], items)
        ]


def _merge(sums: Iterable[Item], charges: Iterable[Item]) -> list[Spending]:
    """Return sums and charges, added up by day and attribution, sorted by these."""
    totals: dict[tuple[str, Attribution], tuple[int, int]] = {}
    entries = [
        (each["day"], each["attribution"], each["micro_usd"], each["charges"]) for each in sums
    ]
    entries += [(each["day"], each, each["micro_usd"], 1) for each in charges]
    for day, attribution, micro_usd, count in entries:
        key = (day, Attribution.from_item(attribution))
        money, number = totals.get(key, (0, 0))
        totals[key] = (money + micro_usd, number + count)
    return [
        Spending(day=day, attribution=attribution, micro_usd=money, charges=number)
        for (day, attribution), (money, number) in sorted(
            totals.items(), key=lambda pair: (pair[0][0], str(pair[0][1]))
        )
    ]


def _day(month: str, now: datetime) -> str:
    """Return today, or the month's last day if the call was reserved in an earlier month."""
    if f"{now:%Y-%m}" == month:
        return f"{now:%Y-%m-%d}"
    year, number = int(month[:4]), int(month[5:])
    return f"{month}-{calendar.monthrange(year, number)[1]:02}"


def _sums(month: str) -> str:
    return f"spending#{month}"


def _sum_key(month: str, day: str, attribution: Attribution) -> Key:
    words = json.dumps(asdict(attribution), sort_keys=True)
    return _sums(month), f"{day}#{hashlib.sha256(words.encode()).hexdigest()[:32]}"
