"""What an error says of the pictures that are paid and not delivered."""

import pytest

from easel.ledger import purchase
from easel.ledger.claims import CLAIMED
from easel.ledger.records import ImageRecord, Records
from easel.aws.table import Table
from easel.contract.errors import AuthError, BadImageError, ClaimHeldError, ContentRefusedError, EaselError, OutcomeUnknownError, StorageBusyError


def claimed(book: Records, n: int) -> ImageRecord:
    claim = ImageRecord(
        run_id="run-1", n=n, status=CLAIMED, purchase=1, possibly_paid=0, lease_until=5, month="2026-11", reserved_micro_usd=100
    )
    book.claims.take(claim, after=None)
    return claim


def told(book: Records, error: EaselError) -> str:
    with pytest.raises(type(error)) as caught, purchase.told("run-1", book=book):
        raise error
    return str(caught.value)


def test_an_error_says_what_is_bought_and_not_stored_and_how_to_go_on(book: Records) -> None:
    for n in (1, 2):
        claim = claimed(book, n)
        book.stage(claim, claim)
    claimed(book, 3)
    said = told(book, AuthError("the key is wrong"))
    assert said.startswith("the key is wrong; run run-1, bought and not stored yet: picture 1, 2; still being bought then: picture 3; ")
    assert "`make redrive RUN=run-1`" in said


def test_an_error_of_a_run_that_bought_nothing_is_left_as_it_is(book: Records) -> None:
    book.refuse(claimed(book, 1), category="x")
    assert told(book, AuthError("the key is wrong")) == "the key is wrong"


@pytest.mark.parametrize(
    "error", [ClaimHeldError("wait"), ContentRefusedError("no", category="x"), BadImageError("no"), OutcomeUnknownError("no")]
)
def test_what_does_not_end_the_run_says_nothing_of_it(book: Records, error: EaselError) -> None:
    claimed(book, 1)
    assert told(book, error) == str(error)


def test_a_table_that_does_not_answer_hides_no_error(book: Records, table: Table) -> None:
    class Broken(Records):
        def run(self, run_id: str) -> None:  # type: ignore[override]
            raise StorageBusyError(f"no records of {run_id}")

    assert told(Broken(table, None), AuthError("the key is wrong")) == "the key is wrong"  # type: ignore[arg-type]
