"""The life of a purchase when two executions work on the same image."""

import time
from dataclasses import dataclass, replace
from typing import Any

from easel.aws.bucket import Bucket
from easel.contract import naming
from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.purchase import Purchases
from tests.support.records import claimed, prompt_record
from tests.support.services import FakeDeadline


@dataclass(frozen=True)
class LateAnswer:
    """The late answer to a purchase that was given up. It is not an image."""

    data: bytes = b"not base64"
    sha256: str = "ab"
    intact: bool = False
    usage: dict[str, Any] | None = None


def test_late_bad_answer_leaves_newer_image(ledger: Ledger, bucket: Bucket) -> None:
    purchases = Purchases(ledger, bucket, FakeDeadline())
    first = claimed(ledger, purchase=1)
    expired = ledger.claims.expire(first)
    until, attribution = int(time.time()) + 60, prompt_record().attribution
    second = purchases.claim(expired, bound=9, attribution=attribution, until=until)
    good = replace(
        second,
        status=Status.STAGED,
        staged_key=naming.staged_key("run-1", 1, 2),
        bytes=4,
        sha256="cd",
    )
    assert ledger.mark_staged(second, good)

    staged = purchases.stage(first, prompt_record(), LateAnswer())

    assert (staged.status, staged.staged_key) == (Status.STAGED, good.staged_key)
    image = ledger.image("run-1", 1)
    assert image
    assert (image.status, image.staged_key) == (Status.STAGED, good.staged_key)


def test_own_bad_answer_is_marked(ledger: Ledger, bucket: Bucket) -> None:
    purchases = Purchases(ledger, bucket, FakeDeadline())
    claim = claimed(ledger, purchase=1)

    staged = purchases.stage(claim, prompt_record(), LateAnswer())

    assert staged.status == Status.BAD
    assert "not valid base64" in (staged.problem or "")
