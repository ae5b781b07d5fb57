"""Errors name the images that are paid and not delivered."""

from typing import Any

import pytest

from easel.aws.table import Table
from easel.contract.errors import (
    AuthError,
    BadImageError,
    ClaimHeldError,
    ContentRefusedError,
    EaselError,
    OutcomeUnknownError,
    StorageBusyError,
)
from easel.ledger.ledger import Ledger
from easel.ledger.unfinished import mention_unfinished
from tests.support.records import claimed


def described_error(ledger: Ledger, error: EaselError) -> str:
    with pytest.raises(type(error)) as exc_info, mention_unfinished("run-1", ledger):
        raise error
    return str(exc_info.value)


def test_error_lists_unstored_images_and_remedy(ledger: Ledger) -> None:
    for n in (1, 2):
        claim = claimed(ledger, n=n)
        ledger.mark_staged(claim, claim)
    claimed(ledger, n=3)
    message = described_error(ledger, AuthError("the key is wrong"))

    assert message.startswith(
        "the key is wrong; run run-1, bought but not stored yet: image 1, 2; still being bought: "
        "image 3; "
    )
    assert "pays only for what is missing" in message


def test_error_without_purchases_is_unchanged(ledger: Ledger) -> None:
    ledger.mark_refused(claimed(ledger, n=1), category="x")
    assert described_error(ledger, AuthError("the key is wrong")) == "the key is wrong"


@pytest.mark.parametrize(
    "error",
    [
        ClaimHeldError("wait"),
        ContentRefusedError("no", category="x"),
        BadImageError("no"),
        OutcomeUnknownError("no"),
    ],
)
def test_retried_error_mentions_no_images(ledger: Ledger, error: EaselError) -> None:
    claimed(ledger, n=1)
    assert described_error(ledger, error) == str(error)


def test_unavailable_table_hides_no_error(ledger: Ledger, table: Table) -> None:
    class Broken(Ledger):
        def run(self, run_id: str) -> None:  # type: ignore[override]
            raise StorageBusyError(f"no records of {run_id}")

    broken: Any = Broken(table, None)  # type: ignore[arg-type]
    assert described_error(broken, AuthError("the key is wrong")) == "the key is wrong"
