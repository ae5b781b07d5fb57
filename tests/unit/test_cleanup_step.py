from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from easel.ledger.claims import CLAIMED
from easel.aws.bucket import ObjectStore
from easel.ledger.records import ImageRecord, Records
from functions.cleanup import handler as cleanup
from functions.cleanup.deletes import fulfil
from easel.contract.messages import Prompt, Removal, Report, Restoration, Start
from easel.contract.errors import BadImageError, ConfigError, EaselError, OutcomeUnknownError, StorageBusyError, StorageDeniedError
from tests.unit.conftest import NOW, FakeDeadline, keys_in, make_settings, png
from tests.unit.test_upload_step import Step as UploadStep

LATER = "2999-01-01T00:00:00Z"  # what a test has stored is older than an execution that starts then


class Step:
    """The cleanup step, with the steps before it where a test needs pictures."""

    def __init__(self, book: Records, store: ObjectStore) -> None:
        self.book, self.store = book, store
        self.upload = UploadStep(book, store)

    def stored(self, n: int = 1) -> str:
        return str(self.upload.run(self.upload.staged(png(colour=f"#0000{n:02d}"), n=n)).key)

    def finish(self, **message: Any) -> Report:
        values: dict[str, Any] = {"run_id": "run-1", "variations": (1, 2), "dry_run": False, "estimate_micro_usd": 30_000}
        return cleanup.finish(Prompt(**values | message), settings=make_settings(), book=self.book, store=self.store)

    def delete(self, **request: Any) -> Removal:
        done = self.fulfil(request)
        assert isinstance(done, Removal)
        return done

    def restore(self, **request: Any) -> Restoration:
        done = self.fulfil(request)
        assert isinstance(done, Restoration)
        return done

    def fulfil(self, request: Any, *, started: str = LATER, **outside: Any) -> Removal | Restoration:
        start = Start(request=request, execution_name="e", started=started)
        usual: dict[str, Any] = {"deadline": FakeDeadline(), "settings": make_settings(), "book": self.book, "store": self.store}
        return fulfil(start, now=NOW, **usual | outside)

    def status(self, n: int = 1) -> str:
        found = self.book.image("run-1", n)
        assert found is not None
        return found.status


@pytest.fixture
def step(book: Records, store: ObjectStore) -> Step:
    return Step(book, store)


def test_reports_each_picture_with_its_key_link_and_cost_and_the_totals(step: Step) -> None:
    key = step.stored()
    made = step.finish()
    assert (made.stored, made.refused, made.possibly_paid) == (1, 0, 0)
    assert (made.chat_cost_usd, made.image_cost_usd, made.cost_usd) == (0.00013, 0.013, 0.01313)
    picture = made.pictures[0]
    assert (picture.n, picture.status, picture.key, picture.cost_usd) == (1, "stored", key, 0.013)
    assert picture.console_url is not None
    assert "ap-southeast-1.console.aws.amazon.com/s3/object/pictures" in picture.console_url


def test_empties_the_staging_of_finished_pictures_and_keeps_that_of_others(step: Step, s3: Any) -> None:
    step.stored(1)
    step.upload.staged(png(), n=2)
    step.store.put("staging/run-1/1/1.json", b"{}", content_type="application/json")
    step.store.put("staging/run-10/1/1.bytes", b"other run", content_type="x/y")
    step.finish()
    assert [key for key in keys_in(s3) if key.startswith("staging/")] == ["staging/run-1/2/1.bytes", "staging/run-10/1/1.bytes"]


def test_a_refused_picture_is_in_the_report_with_its_category_and_no_cost(step: Step) -> None:
    claim = ImageRecord(
        run_id="run-1", n=2, status=CLAIMED, purchase=1, possibly_paid=0, lease_until=9, month="2026-11", reserved_micro_usd=9
    )
    step.book.claims.take(claim, after=None)
    step.book.refuse(claim, category="violence")
    step.stored(1)
    made = step.finish()
    assert (made.stored, made.refused) == (1, 1)
    assert (made.pictures[1].refusal, made.pictures[1].cost_usd) == ("violence", 0.0)
    assert made.cost_usd == 0.01313


@pytest.mark.parametrize(
    ("end", "error", "said"),
    [
        (
            lambda book, claim: book.claims.mark_unknown(claim),
            OutcomeUnknownError,
            "picture 2 of run run-1 was bought 1 times and no usable answer came",
        ),
        (lambda book, claim: book.lose(claim), OutcomeUnknownError, "picture 2 of run run-1 was paid and lost"),
        (lambda book, claim: book.stage(claim, claim) and book.spoil(claim, problem="it is no PNG"), BadImageError, "it is no PNG"),
    ],
    ids=["unknown", "lost", "bad"],
)
def test_a_picture_that_can_t_be_had_fails_the_run_at_its_end_and_says_what_is_stored(
    step: Step, end: Callable[[Records, ImageRecord], object], error: type[EaselError], said: str
) -> None:
    claim = ImageRecord(
        run_id="run-1", n=2, status=CLAIMED, purchase=1, possibly_paid=0, lease_until=9, month="2026-11", reserved_micro_usd=9
    )
    step.book.claims.take(claim, after=None)
    end(step.book, claim)
    step.stored(1)
    with pytest.raises(error, match="1 of 2 pictures are stored; .*" + said):
        step.finish()


def test_one_unknown_cost_makes_the_total_unknown_and_not_smaller(step: Step, table: Any) -> None:
    step.stored()
    values = {":none": None}
    table.write(table.update("run#run-1", "image#1", "SET #cost_micro_usd = :none", values=values))
    made = step.finish()
    assert made.image_cost_usd is None
    assert made.cost_usd is None


def test_a_dry_run_reports_the_estimate(step: Step) -> None:
    made = step.finish(run_id="dry", variations=(), dry_run=True)
    assert (made.estimate_usd, made.pictures, made.cost_usd) == (0.03, (), 0.0)


@pytest.mark.parametrize(("code", "error"), [("InternalError", StorageBusyError), ("AccessDenied", StorageDeniedError)])
def test_an_object_that_s3_keeps_in_spite_of_its_200_is_an_error(code: str, error: type[Exception]) -> None:
    class HalfHearted:
        def delete_objects(self, **_: Any) -> dict[str, Any]:
            return {"Errors": [{"Key": "f/b.png", "Code": code, "Message": "no"}]}

    with pytest.raises(error, match=r"f/b\.png.*1 of 2"):
        ObjectStore(HalfHearted(), bucket="b", owner="1").delete(["f/a.png", "f/b.png"])


def test_a_client_error_keeps_its_cause(step: Step) -> None:
    gone = ObjectStore(step.store._client, bucket="another-bucket", owner="123456789012")
    with pytest.raises(ConfigError) as caught:
        gone.get("x", limit=1)
    assert isinstance(caught.value.__cause__, ClientError)
