import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract.errors import (
    BadImageError,
    BudgetExceededError,
    ClaimHeldError,
    ConfigError,
    ContentRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    StorageBusyError,
    StorageDeniedError,
    TransientError,
)
from easel.contract.status import Status
from easel.ledger import records
from easel.ledger.budget import month_of
from easel.ledger.paid_image import usage_in
from easel.ledger.purchase import (
    LEAST_CALL_SECONDS,
    PUT_CONNECT_SECONDS,
    PUT_READ_SECONDS,
    STAGING_SECONDS,
)
from easel.openai_client.images import ImageAnswer
from tests.support.images import png
from tests.support.memory_aws import keys_in
from tests.support.records import prompt_record
from tests.support.services import CAP, FakeServices, reserve
from tests.support.steps import ImageStep

COST = 20 * 5 + 430 * 30


def this_month() -> str:
    return month_of(datetime.now(UTC))


class RefusingStore:
    """A bucket that refuses a number of puts of picture bytes, as S3 does on a bad day.

    `hang` runs before each refusal.
    """

    def __init__(
        self,
        bucket: Bucket,
        refusals: int,
        error: Exception,
        *,
        hang: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self.left, self._error, self._hang = bucket, refusals, error, hang

    def put(self, key: str, body: bytes, **how: Any) -> None:
        if key.endswith(".bytes") and self.left:
            self.left -= 1
            self._hang()
            raise self._error
        self._store.put(key, body, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def step(services: FakeServices) -> ImageStep:
    return ImageStep(services)


def test_buys_stages_and_settles(step: ImageStep, s3: Any) -> None:
    staged = step.run()
    record = step.record()
    assert staged.key == "staging/run-1/1/1.bytes"
    assert staged.sha256 == hashlib.sha256(png()).hexdigest()
    assert (record.bytes, record.cost_micro_usd) == (len(png()), COST)
    assert s3.get_object(Bucket="pictures", Key=staged.key)["Body"].read() == png()
    assert step.record().status == Status.STAGED
    assert step.money() == (COST, COST)
    assert keys_in(s3) == ["staging/run-1/1/1.bytes", "staging/run-1/1/1.json"]


def test_leaves_what_is_auto_to_openai_and_gives_it_time(step: ImageStep) -> None:
    step.run()
    asked = step.painter.asked[0]
    assert "background" not in asked
    assert (asked["prompt"], asked["size"], asked["quality"]) == ("A kite", "1024x1024", "medium")
    assert asked["timeout"] == 300 - STAGING_SECONDS


def test_asks_for_every_parameter_that_was_said(step: ImageStep) -> None:
    said = {
        "output_format": "webp",
        "output_compression": 0,
        "background": "transparent",
        "moderation": "low",
        "safety_identifier": "5e1f",
    }
    asked = prompt_record(choices=said).image_call()
    assert {name: asked[name] for name in said} == said


def test_a_run_from_before_users_were_told_is_bought_all_the_same() -> None:
    assert "safety_identifier" not in prompt_record().choices
    assert "safety_identifier" not in prompt_record().image_call()


def test_a_retry_finds_the_staged_picture_and_pays_nothing(step: ImageStep) -> None:
    assert step.run() == step.run()
    assert len(step.painter.asked) == 1


def test_waits_while_another_execution_buys_the_same_picture(step: ImageStep) -> None:
    step.painter.error = RuntimeError("still painting")
    with pytest.raises(RuntimeError):
        step.run()
    with pytest.raises(ClaimHeldError, match="being bought"):
        step.run()
    assert len(step.painter.asked) == 1


def test_a_crash_is_counted_as_possibly_paid_and_bought_again_once(step: ImageStep) -> None:
    step.crash()
    staged = step.run()
    assert staged.key == "staging/run-1/1/2.bytes"
    assert step.record().possibly_paid == 1
    reserved = step.record().reserved_micro_usd or 0
    assert step.money() == (reserved + COST, reserved + COST)


def test_after_two_unknown_outcomes_a_person_decides(step: ImageStep) -> None:
    step.crash()
    step.crash()
    with pytest.raises(OutcomeUnknownError, match="2 times"):
        step.run()
    assert len(step.painter.asked) == 2
    assert step.record().possibly_paid == 2


def test_a_crash_after_the_bytes_were_staged_pays_nothing_keeps_the_cost_and_waits_for_no_lease(
    step: ImageStep,
) -> None:
    class Dying:
        def __getattr__(self, name: str) -> Any:
            if name == "mark_staged":
                raise RuntimeError("killed")
            return getattr(own, name)

    own, step.services.ledger = step.ledger, Dying()  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        step.run()
    step.services.ledger = own
    staged = step.run()
    assert staged.key == "staging/run-1/1/1.bytes"
    assert step.record().cost_micro_usd == COST
    assert len(step.painter.asked) == 1
    assert step.money() == (COST, COST)
    assert step.record().possibly_paid == 0


def test_bytes_that_come_late_are_used_though_they_were_given_up(step: ImageStep) -> None:
    step.painter.error = TransientError("read timeout", possibly_paid=True)
    with pytest.raises(TransientError):
        step.run()
    reserved = step.record().reserved_micro_usd or 0
    assert step.money() == (reserved, reserved)
    step.bucket.put(
        "staging/run-1/1/1.bytes",
        png(),
        content_type="x/y",
        metadata={"sha256": "s", "usage": '{"output_tokens": 430}'},
    )
    step.run()
    assert len(step.painter.asked) == 1
    assert step.money() == (430 * 30, 430 * 30)


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("slow down"),
        TransientError("refused connection"),
        ConfigError("no such model"),
    ],
)
def test_a_call_that_was_certainly_not_charged_gives_the_claim_back(
    step: ImageStep, error: Any
) -> None:
    step.painter.error = error
    with pytest.raises(type(error)):
        step.run()
    assert step.money() == (0, 0)
    assert step.ledger.image("run-1", 1) is None
    step.painter.error = None
    step.run()
    assert step.record().possibly_paid == 0


def test_a_second_purchase_that_was_not_charged_leaves_the_first_counted(step: ImageStep) -> None:
    step.crash()
    step.painter.error = RateLimitedError("slow down")
    with pytest.raises(RateLimitedError):
        step.run()
    step.painter.error = None
    assert step.run().key == "staging/run-1/1/2.bytes"
    assert step.record().possibly_paid == 1


def test_a_read_timeout_ends_the_lease_at_once_and_counts(step: ImageStep) -> None:
    step.painter.error = TransientError("read timeout", possibly_paid=True)
    with pytest.raises(TransientError):
        step.run()
    assert (step.record().possibly_paid, step.record().lease_until) == (1, 0)
    step.painter.error = None
    step.run()
    assert len(step.painter.asked) == 2


def test_a_refused_picture_costs_nothing_and_stays_refused(step: ImageStep) -> None:
    step.painter.error = ContentRefusedError("no", category="violence")
    for _ in range(2):
        with pytest.raises(ContentRefusedError):
            step.run()
    assert len(step.painter.asked) == 1
    assert (step.record().status, step.record().refusal) == (Status.REFUSED, "violence")
    assert step.money() == (0, 0)


@pytest.mark.parametrize(
    "error", [StorageBusyError("slow down"), StorageDeniedError("no"), ConfigError("gone")]
)
def test_the_put_of_paid_bytes_is_repeated_until_it_works(
    step: ImageStep, bucket: Bucket, error: Exception
) -> None:
    step.bucket = RefusingStore(bucket, 40, error)
    assert step.run().sha256 == hashlib.sha256(png()).hexdigest()
    assert len(step.painter.asked) == 1


def test_a_picture_that_s3_refuses_until_the_deadline_is_lost_and_counted_as_spent(
    step: ImageStep, bucket: Bucket
) -> None:
    step.bucket = RefusingStore(bucket, 10_000, StorageBusyError("slow down"))
    with pytest.raises(OutcomeUnknownError, match="did not accept it"):
        step.run()
    assert step.record().status == Status.LOST
    committed, spent = step.money()
    assert committed == spent > 0
    with pytest.raises(OutcomeUnknownError, match="lost"):
        step.run()
    assert len(step.painter.asked) == 1


def test_a_lost_picture_whose_last_put_arrived_after_all_is_found_again(
    step: ImageStep, bucket: Bucket
) -> None:
    step.bucket = RefusingStore(bucket, 10_000, StorageBusyError("no answer"))
    with pytest.raises(OutcomeUnknownError):
        step.run()
    step.bucket = bucket
    bucket.put(
        "staging/run-1/1/1.bytes",
        png(),
        content_type="x/y",
        metadata={"sha256": "s", "usage": '{"output_tokens": 430}'},
    )
    assert step.run().key == "staging/run-1/1/1.bytes"
    assert (step.record().status, step.record().possibly_paid) == (Status.STAGED, 0)
    assert step.money() == (430 * 30, 430 * 30)
    assert len(step.painter.asked) == 1


def test_bytes_of_an_earlier_purchase_are_not_taken_while_another_is_being_paid(
    step: ImageStep,
) -> None:
    step.crash()
    step.painter.error = RuntimeError("still painting")
    with pytest.raises(RuntimeError):
        step.run()
    step.bucket.put("staging/run-1/1/1.bytes", png(), content_type="x/y", metadata={"sha256": "s"})
    with pytest.raises(ClaimHeldError):
        step.run()


def test_bytes_of_an_earlier_purchase_are_used_before_anything_is_given_up(step: ImageStep) -> None:
    step.crash()
    step.crash()
    step.bucket.put(
        "staging/run-1/1/1.bytes",
        png(),
        content_type="x/y",
        metadata={"sha256": "s", "usage": '{"output_tokens": 430}'},
    )
    assert step.run().key == "staging/run-1/1/1.bytes"
    assert step.record().possibly_paid == 2
    committed, spent = step.money()
    assert committed == spent


def test_a_put_that_hangs_leaves_time_to_write_down_that_the_picture_is_lost(
    step: ImageStep, bucket: Bucket
) -> None:
    step.bucket = RefusingStore(
        bucket,
        10_000,
        StorageBusyError("no answer"),
        hang=lambda: step.deadline.sleep(PUT_CONNECT_SECONDS + PUT_READ_SECONDS),
    )
    with pytest.raises(OutcomeUnknownError, match="did not accept it"):
        step.run()
    assert step.record().status == Status.LOST
    assert step.deadline.left >= 5


@pytest.mark.parametrize(
    "text", ["not base64!", "data:image/png;base64,iVBORw0=", "QUJD\nQUJD", "QUJ"]
)
def test_what_is_no_base64_stays_in_staging_and_is_never_bought_again(
    step: ImageStep, s3: Any, text: str
) -> None:
    step.painter.base64 = text
    for _ in range(2):
        with pytest.raises(BadImageError, match=r"staging/run-1/1/1\.bytes"):
            step.run()
    assert (
        s3.get_object(Bucket="pictures", Key="staging/run-1/1/1.bytes")["Body"].read()
        == text.encode()
    )
    assert (step.record().status, step.record().cost_micro_usd) == (Status.BAD, COST)
    assert len(step.painter.asked) == 1


def test_a_try_with_too_little_time_left_buys_nothing(step: ImageStep, s3: Any) -> None:
    step.deadline.left = STAGING_SECONDS + LEAST_CALL_SECONDS - 1
    with pytest.raises(TransientError, match="not enough for the call"):
        step.run()
    assert step.painter.asked == []
    assert step.ledger.image("run-1", 1) is None


def test_a_count_that_is_none_does_not_stand_in_the_way_of_settling(step: ImageStep) -> None:
    step.painter.usage = {"input_tokens": 10**40, "output_tokens": 10**40 + 1}
    step.run()
    assert step.record().cost_micro_usd is None
    assert step.record().status == Status.STAGED


def test_a_long_usage_keeps_the_counts_that_the_cost_is_made_of(step: ImageStep) -> None:
    step.painter.usage = {
        "notes": {f"n{n}": n for n in range(500)},
        "input_tokens": 20,
        "output_tokens": 430,
    }
    step.run()
    found = step.bucket.head("staging/run-1/1/1.bytes")
    assert found
    assert usage_in(found.metadata) == {"input_tokens": 20, "output_tokens": 430}


def test_no_call_without_rights_to_staging(step: ImageStep) -> None:
    class Denied:
        def put(self, *_: Any, **__: Any) -> None:
            raise StorageDeniedError("no")

    step.bucket = Denied()
    with pytest.raises(StorageDeniedError):
        step.run()
    assert step.painter.asked == []
    assert step.money() == (0, 0)


def test_no_call_that_does_not_fit_under_the_cap(step: ImageStep) -> None:
    month = this_month()
    reserve(step.ledger, CAP - 1_000, month=month)
    with pytest.raises(BudgetExceededError, match=f"{month} has"):
        step.run()
    assert step.painter.asked == []
    assert step.ledger.image("run-1", 1) is None


def test_a_cap_lowered_between_reading_and_claiming_is_seen(step: ImageStep, table: Any) -> None:
    """The claim's condition names the cap that was read, so that a change of it never slips by."""
    month = this_month()
    stale = step.ledger.budget.read(month)
    assert all(
        table.write(
            table.update((f"budget#{month}", "budget"), "SET #cap = :cap", values={":cap": 1})
        )
    )
    assert table.write(step.ledger.budget.reservation(stale, 500)) == [False]


def test_an_answer_without_usage_costs_its_estimate_and_is_reported_unknown(
    step: ImageStep,
) -> None:
    step.painter.usage = None
    step.run()
    assert step.record().cost_micro_usd is None
    committed, spent = step.money()
    assert committed == spent == step.record().reserved_micro_usd


def test_a_run_without_a_prompt_record_is_named(step: ImageStep) -> None:
    with pytest.raises(ConfigError, match="no prompt record"):
        step.run(run_id="other")


def test_settles_in_the_month_that_it_reserved_in(step: ImageStep, table: Any) -> None:
    claim = records.ImageRecord(
        run_id="run-1",
        n=9,
        status=Status.CLAIMED,
        purchase=1,
        possibly_paid=0,
        lease_until=5,
        month="2020-01",
        reserved_micro_usd=100,
    )
    step.ledger.claims.take(claim, after=None)
    assert step.ledger.mark_staged(
        claim, replace(claim, staged_key="k", bytes=1, sha256="s", cost_micro_usd=60)
    )
    assert (
        step.ledger.budget.read("2020-01").committed,
        step.ledger.budget.read("2020-01").spent,
    ) == (60, 60)


def test_a_call_holds_its_place_while_it_goes_on_and_openai_s_pace_holds_for_all(
    step: ImageStep, table: Table
) -> None:
    seen: list[Any] = []
    paint = step.painter.paint

    def slowly(parameters: Any, *, timeout: float, slow_down: Any) -> ImageAnswer:
        seen.append(table.get("pace", "images"))
        slow_down(30)
        return paint(parameters, timeout=timeout, slow_down=slow_down)

    step.painter.paint = slowly  # type: ignore[method-assign]
    step.run()
    (until,) = seen[0]["calls"].values()
    assert until == step.record().lease_until
    after = table.get("pace", "images") or {}
    assert after["calls"] == {}
    assert after["paused_until"] - time.time() * 1_000_000 > 20_000_000
