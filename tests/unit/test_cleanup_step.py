from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from easel.aws.bucket import Bucket
from easel.contract.errors import (
    BadImageError,
    ConfigError,
    EaselError,
    OutcomeUnknownError,
    StorageBusyError,
    StorageDeniedError,
)
from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.records import ImageRecord
from tests.support.images import png
from tests.support.memory_aws import keys_in
from tests.support.services import FakeServices
from tests.support.steps import CleanupStep

LATER = "2999-01-01T00:00:00Z"  # later than all objects that a test has stored


@pytest.fixture
def step(services: FakeServices) -> CleanupStep:
    return CleanupStep(services)


def test_report_lists_images_costs_and_totals(step: CleanupStep) -> None:
    key = step.stored()
    report = step.finish()
    assert (report.stored, report.refused, report.possibly_paid) == (1, 0, 0)
    assert (report.chat_cost_usd, report.image_cost_usd, report.cost_usd) == (
        0.00013,
        0.013,
        0.01313,
    )

    picture = report.pictures[0]
    assert (picture.n, picture.status, picture.key, picture.cost_usd) == (1, "stored", key, 0.013)
    assert picture.console_url is not None
    assert "ap-southeast-1.console.aws.amazon.com/s3/object/pictures" in picture.console_url


def test_only_finished_images_leave_staging(step: CleanupStep, s3: Any) -> None:
    step.stored(1)
    step.upload.staged(png(), n=2)
    step.bucket.put("staging/run-1/1/1.json", b"{}", content_type="application/json")
    step.bucket.put("staging/run-10/1/1.bytes", b"other run", content_type="x/y")
    step.finish()

    assert [key for key in keys_in(s3) if key.startswith("staging/")] == [
        "staging/run-1/2/1.bytes",
        "staging/run-10/1/1.bytes",
    ]


def test_refused_image_is_reported_with_its_category(step: CleanupStep) -> None:
    claim = ImageRecord(
        run_id="run-1",
        n=2,
        status=Status.CLAIMED,
        purchase=1,
        possibly_paid=0,
        lease_until=9,
        month="2026-11",
        reserved_micro_usd=9,
    )
    step.ledger.claims.take(claim, after=None)
    step.ledger.mark_refused(claim, category="violence")
    step.stored(1)
    report = step.finish()

    assert (report.stored, report.refused) == (1, 1)
    assert (report.pictures[1].refusal, report.pictures[1].cost_usd) == ("violence", 0.0)
    assert report.cost_usd == 0.01313


@pytest.mark.parametrize(
    ("end", "error", "expected"),
    [
        (
            lambda ledger, claim: ledger.claims.mark_unknown(claim),
            OutcomeUnknownError,
            "image 2 of run run-1 was bought without a usable answer",
        ),
        (
            lambda ledger, claim: ledger.mark_lost(claim),
            OutcomeUnknownError,
            "image 2 of run run-1 was paid for and lost",
        ),
        (
            lambda ledger, claim: (
                ledger.mark_staged(claim, claim)
                and ledger.mark_bad(claim, problem="it is not a PNG")
            ),
            BadImageError,
            "it is not a PNG",
        ),
    ],
    ids=["unknown", "lost", "bad"],
)
def test_unobtainable_image_fails_run_at_the_end(
    step: CleanupStep,
    end: Callable[[Ledger, ImageRecord], object],
    error: type[EaselError],
    expected: str,
) -> None:
    claim = ImageRecord(
        run_id="run-1",
        n=2,
        status=Status.CLAIMED,
        purchase=1,
        possibly_paid=0,
        lease_until=9,
        month="2026-11",
        reserved_micro_usd=9,
    )
    step.ledger.claims.take(claim, after=None)
    end(step.ledger, claim)
    step.stored(1)

    with pytest.raises(error, match="1 of 2 images are stored; .*" + expected):
        step.finish()


def test_unknown_cost_makes_total_unknown(step: CleanupStep, table: Any) -> None:
    step.stored()
    values = {":none": None}
    table.write(
        table.update(("run#run-1", "image#1"), "SET #cost_micro_usd = :none", values=values)
    )
    report = step.finish()

    assert report.image_cost_usd is None
    assert report.cost_usd is None


def test_dry_run_reports_the_estimate(step: CleanupStep) -> None:
    report = step.finish(run_id="dry", variations=(), dry_run=True)
    assert (report.estimate_usd, report.pictures, report.cost_usd) == (0.03, (), 0.0)


@pytest.mark.parametrize(
    ("code", "error"), [("InternalError", StorageBusyError), ("AccessDenied", StorageDeniedError)]
)
def test_object_kept_despite_200_is_an_error(code: str, error: type[Exception]) -> None:
    class HalfHearted:
        def delete_objects(self, **_: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": "f/b.png", "Code": code, "Message": "no"}]}

    with pytest.raises(error, match=r"f/b\.png.*1 of 2"):
        Bucket(HalfHearted(), name="b", owner="1").delete(["f/a.png", "f/b.png"])


def test_a_client_error_keeps_its_cause(step: CleanupStep) -> None:
    gone = Bucket(step.bucket._client, name="another-bucket", owner="123456789012")
    with pytest.raises(ConfigError) as exc_info:
        gone.get("x", limit=1)
    assert isinstance(exc_info.value.__cause__, ClientError)
