"""The charges of a month add up to what its budget has spent, to the micro-dollar."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from easel.aws.table import Item, Table
from easel.contract.errors import StorageBusyError
from easel.ledger.attribution import Attribution
from easel.ledger.charges import Charges
from easel.ledger.ledger import Ledger
from easel.ledger.records import ChatRecord
from tests.support.records import image_record

MONTH = "2026-11"
ADS = Attribution(folder="ads", person="1f0c9a2e", trigger="page", model="m", tags=("spring",))


@pytest.fixture
def charges(table: Table) -> Charges:
    return Charges(table)


def listed(table: Table) -> list[Item]:
    return table.query(f"charges#{MONTH}")


def test_each_way_to_spend_is_listed(table: Table, ledger: Ledger, charges: Charges) -> None:
    def take(n: int) -> None:
        record = image_record(n=n, reserved_micro_usd=100, attribution=ADS)
        ledger.claims.take(record, after=None)
        done = replace(record, staged_key="k", bytes=1, sha256="s")
        match n:
            case 1:
                ledger.mark_staged(record, replace(done, cost_micro_usd=70))
            case 2:  # the cost is unknown, so the bound counts
                ledger.mark_staged(record, done)
            case 3:
                ledger.mark_lost(record)
            case 4:
                ledger.mark_refused(record, category="violence")
            case 5:
                ledger.claims.release(record)
            case 6:  # first counted as possibly paid, then found in staging after all
                ledger.claims.mark_unknown(record)
                found = replace(record, lease_until=0)
                ledger.mark_staged(found, replace(done, lease_until=0, cost_micro_usd=60))

    for n in range(1, 7):
        take(n)

    assert sorted(item["micro_usd"] for item in listed(table)) == [-40, 70, 100, 100, 100]
    (spring,) = charges.of(MONTH)
    assert (spring.attribution, spring.micro_usd, spring.charges) == (ADS, 330, 5)
    assert ledger.budget.read(MONTH).spent == 330


def test_second_answer_of_the_chat_model_is_listed(ledger: Ledger, charges: Charges) -> None:
    first = ChatRecord(
        run_id="r", purchase=1, lease_until=1, month=MONTH, reserved_micro_usd=50, attribution=ADS
    )
    ledger.claims.take(first, after=None)
    wasted = ledger.claims.waste(first, cost=20)
    second = wasted.next_claim(until=2, month=MONTH, bound=90, attribution=ADS)
    ledger.claims.take(second, after=wasted)
    ledger.claims.mark_unknown(second)

    (spring,) = charges.of(MONTH)
    assert (spring.micro_usd, ledger.budget.read(MONTH).spent) == (110, 110)


def test_fold_keeps_the_sum_when_deliveries_repeat(
    table: Table, ledger: Ledger, charges: Charges
) -> None:
    seeded = random.Random(7)  # noqa: S311 - not a secret
    for n in range(1, 61):
        attribution = replace(ADS, folder=seeded.choice("abc"), tags=(seeded.choice("xy"),))
        record = image_record(run_id=f"r{n}", reserved_micro_usd=900, attribution=attribution)
        ledger.claims.take(record, after=None)
        cost = seeded.randrange(900)
        done = replace(record, staged_key="k", bytes=1, sha256="s", cost_micro_usd=cost)
        ledger.mark_staged(record, done)
    before = charges.of(MONTH)
    delivered = listed(table)

    counts = [
        charges.fold(delivered[:20]),
        charges.fold(delivered[10:45]),
        charges.fold(delivered[10:45] * 2),
    ]

    assert counts == [20, 25, 0]
    assert len(listed(table)) == 15
    assert charges.of(MONTH) == before
    assert sum(each.micro_usd for each in before) == ledger.budget.read(MONTH).spent
    assert sum(each.charges for each in before) == 60
    by_folder: Counter[str] = Counter()
    for each in before:
        by_folder[each.attribution.folder] += each.charges
    assert set(by_folder) == set("abc")


def test_call_of_an_earlier_month_is_listed_on_its_last_day(table: Table, ledger: Ledger) -> None:
    record = image_record(month="2024-02", reserved_micro_usd=9, attribution=ADS)
    ledger.claims.take(record, after=None)
    ledger.mark_lost(record)

    assert [item["day"] for item in table.query("charges#2024-02")] == ["2024-02-29"]


def test_charges_that_move_meanwhile_are_read_again(
    ledger: Ledger, charges: Charges, table: Table
) -> None:
    record = image_record(reserved_micro_usd=9, attribution=ADS)
    ledger.claims.take(record, after=None)
    ledger.mark_lost(record)

    class FoldingTable(Table):
        """A table in which the charges are added to the sums just before they are read."""

        def get(self, pk: str, sk: str) -> Item | None:
            return table.get(pk, sk)

        def query(self, pk: str) -> list[Item]:
            if pk.startswith("charges#"):
                charges.fold(table.query(pk))
            return table.query(pk)

    reader = Charges(FoldingTable(None, name=""))
    assert [each.micro_usd for each in reader.of(MONTH)] == [9]


def test_new_charges_do_not_delay_a_report(table: Table) -> None:
    class GrowingTable(Table):
        """A table that has one more charge at each read."""

        charges = 0

        def get(self, pk: str, sk: str) -> Item | None:
            return table.get(pk, sk)

        def query(self, pk: str) -> list[Item]:
            if not pk.startswith("charges#"):
                return []
            self.charges += 1
            item = {"day": "2026-11-24", "micro_usd": 5, "folder": "f", "model": "m"}
            return [item] * self.charges

    assert [each.micro_usd for each in Charges(GrowingTable(None, name="")).of(MONTH)] == [5]


def test_charges_that_always_move_are_an_error() -> None:
    class BusyTable(Table):
        folds = 0

        def get(self, pk: str, sk: str) -> Item | None:  # noqa: ARG002 - every item changes
            self.folds += 1
            return {"folds": self.folds}

        def query(self, pk: str) -> list[Item]:  # noqa: ARG002 - nothing is spent
            return []

    with pytest.raises(StorageBusyError, match="2026-11"):
        Charges(BusyTable(None, name="")).of(MONTH)
