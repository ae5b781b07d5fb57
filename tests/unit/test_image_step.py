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
from easel.ledger.purchase import PUT_CONNECT_SECONDS, PUT_READ_SECONDS
from easel.openai_client.images import ImageAnswer
from easel.request.time_limits import BY_QUALITY, LEAST_CALL_SECONDS, STAGING_SECONDS
from tests.support.images import png
from tests.support.memory_aws import keys_in
from tests.support.records import prompt_record
from tests.support.services import CAP, FakeServices, reserve
from tests.support.steps import ImageStep

COST = 20 * 5 + 430 * 30


def this_month() -> str:
    return month_of(datetime.now(UTC))


class RefusingStore:
    """A bucket that refuses a number of uploads of image bytes, as S3 sometimes does.

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


def test_image_is_bought_staged_and_settled(step: ImageStep, s3: Any) -> None:
    staged = step.run()
    record = step.record()

    assert staged.key == "staging/run-1/1/1.bytes"
    assert staged.sha256 == hashlib.sha256(png()).hexdigest()
    assert (record.bytes, record.cost_micro_usd) == (len(png()), COST)
    assert s3.get_object(Bucket="pictures", Key=staged.key)["Body"].read() == png()
    assert step.record().status == Status.STAGED
    assert step.money() == (COST, COST)
    assert keys_in(s3) == ["staging/run-1/1/1.bytes", "staging/run-1/1/1.json"]


def test_auto_values_are_left_to_openai(step: ImageStep) -> None:
    step.run()
    request = step.painter.requests[0]

    assert "background" not in request
    assert (request["prompt"], request["size"], request["quality"]) == (
        "A kite",
        "1024x1024",
        "medium",
    )
    assert request["timeout"] == BY_QUALITY["medium"]


def test_setting_limits_the_call_and_its_lease(step: ImageStep) -> None:
    step.services.configure(image_seconds=90)
    step.run()

    (request,) = step.painter.requests
    assert request["timeout"] == 90
    end = step.record().lease_until - int(step.deadline.now)
    assert end == 90 + STAGING_SECONDS


def test_every_given_parameter_is_requested(step: ImageStep) -> None:
    choices = {
        "output_format": "webp",
        "output_compression": 0,
        "background": "transparent",
        "moderation": "low",
        "safety_identifier": "5e1f",
    }
    request = prompt_record(choices=choices).image_call()
    assert {name: request[name] for name in choices} == choices


def test_run_without_user_is_still_bought() -> None:
    assert "safety_identifier" not in prompt_record().choices
    assert "safety_identifier" not in prompt_record().image_call()


def test_retry_uses_staged_image_for_free(step: ImageStep) -> None:
    assert step.run() == step.run()
    assert len(step.painter.requests) == 1


def test_concurrent_purchase_is_awaited(step: ImageStep) -> None:
    step.painter.error = RuntimeError("still painting")
    with pytest.raises(RuntimeError):
        step.run()
    with pytest.raises(ClaimHeldError, match="being bought"):
        step.run()
    assert len(step.painter.requests) == 1


def test_crash_is_counted_and_image_rebought_once(step: ImageStep) -> None:
    step.crash()
    staged = step.run()
    assert staged.key == "staging/run-1/1/2.bytes"
    assert step.record().possibly_paid == 1

    reserved = step.record().reserved_micro_usd or 0
    assert step.money() == (reserved + COST, reserved + COST)


def test_person_decides_after_two_unknown_outcomes(step: ImageStep) -> None:
    step.crash()
    step.crash()

    with pytest.raises(OutcomeUnknownError, match=r"purchases: 2"):
        step.run()
    assert len(step.painter.requests) == 2
    assert step.record().possibly_paid == 2


def test_crash_after_staging_pays_nothing_again(step: ImageStep) -> None:
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
    assert len(step.painter.requests) == 1
    assert step.money() == (COST, COST)
    assert step.record().possibly_paid == 0


def test_late_bytes_of_given_up_purchase_are_used(step: ImageStep) -> None:
    step.painter.error = TransientError("read timeout", possibly_paid=True)
    with pytest.raises(TransientError):
        step.run()
    reserved = step.record().reserved_micro_usd or 0
    assert step.money() == (reserved, reserved)

    step.bucket.put(
        "staging/run-1/1/1.bytes",
        png(),
        content_type="x/y",
        metadata={"sha256": "s", "usage": '{"input_tokens": 20, "output_tokens": 430}'},
    )
    step.run()
    assert len(step.painter.requests) == 1
    assert step.money() == (COST, COST)


@pytest.mark.parametrize(
    "error",
    [
        RateLimitedError("slow down"),
        TransientError("refused connection"),
        ConfigError("no such model"),
    ],
)
def test_uncharged_call_releases_the_claim(step: ImageStep, error: Any) -> None:
    step.painter.error = error
    with pytest.raises(type(error)):
        step.run()
    assert step.money() == (0, 0)
    assert step.ledger.image("run-1", 1) is None

    step.painter.error = None
    step.run()
    assert step.record().possibly_paid == 0


def test_uncharged_second_purchase_keeps_the_first_count(step: ImageStep) -> None:
    step.crash()
    step.painter.error = RateLimitedError("slow down")
    with pytest.raises(RateLimitedError):
        step.run()

    step.painter.error = None
    assert step.run().key == "staging/run-1/1/2.bytes"
    assert step.record().possibly_paid == 1


def test_read_timeout_expires_lease_and_is_counted(step: ImageStep) -> None:
    step.painter.error = TransientError("read timeout", possibly_paid=True)
    with pytest.raises(TransientError):
        step.run()
    assert (step.record().possibly_paid, step.record().lease_until) == (1, 0)

    step.painter.error = None
    step.run()
    assert len(step.painter.requests) == 2


def test_refused_image_is_free_and_stays_refused(step: ImageStep) -> None:
    step.painter.error = ContentRefusedError("no", category="violence")

    for _ in range(2):
        with pytest.raises(ContentRefusedError):
            step.run()
    assert len(step.painter.requests) == 1
    assert (step.record().status, step.record().refusal) == (Status.REFUSED, "violence")
    assert step.money() == (0, 0)


@pytest.mark.parametrize(
    "error", [StorageBusyError("slow down"), StorageDeniedError("no"), ConfigError("gone")]
)
def test_put_of_paid_bytes_is_repeated(step: ImageStep, bucket: Bucket, error: Exception) -> None:
    step.bucket = RefusingStore(bucket, 40, error)
    assert step.run().sha256 == hashlib.sha256(png()).hexdigest()
    assert len(step.painter.requests) == 1


def test_unstorable_image_is_lost_and_counted(step: ImageStep, bucket: Bucket) -> None:
    step.bucket = RefusingStore(bucket, 10_000, StorageBusyError("slow down"))
    with pytest.raises(OutcomeUnknownError, match="did not accept it"):
        step.run()
    assert step.record().status == Status.LOST

    committed, spent = step.money()
    assert committed == spent > 0
    with pytest.raises(OutcomeUnknownError, match="lost"):
        step.run()
    assert len(step.painter.requests) == 1


def test_lost_image_is_found_after_late_put(step: ImageStep, bucket: Bucket) -> None:
    step.bucket = RefusingStore(bucket, 10_000, StorageBusyError("no answer"))
    with pytest.raises(OutcomeUnknownError):
        step.run()

    step.bucket = bucket
    bucket.put(
        "staging/run-1/1/1.bytes",
        png(),
        content_type="x/y",
        metadata={"sha256": "s", "usage": '{"input_tokens": 20, "output_tokens": 430}'},
    )
    assert step.run().key == "staging/run-1/1/1.bytes"
    assert (step.record().status, step.record().possibly_paid) == (Status.STAGED, 0)
    assert step.money() == (COST, COST)
    assert len(step.painter.requests) == 1


def test_old_bytes_are_ignored_during_a_purchase(step: ImageStep) -> None:
    step.crash()
    step.painter.error = RuntimeError("still painting")
    with pytest.raises(RuntimeError):
        step.run()

    step.bucket.put("staging/run-1/1/1.bytes", png(), content_type="x/y", metadata={"sha256": "s"})
    with pytest.raises(ClaimHeldError):
        step.run()


def test_old_bytes_are_used_before_giving_up(step: ImageStep) -> None:
    step.crash()
    step.crash()
    step.bucket.put(
        "staging/run-1/1/1.bytes",
        png(),
        content_type="x/y",
        metadata={"sha256": "s", "usage": '{"input_tokens": 20, "output_tokens": 430}'},
    )
    assert step.run().key == "staging/run-1/1/1.bytes"
    assert step.record().possibly_paid == 2

    committed, spent = step.money()
    assert committed == spent


def test_hanging_put_leaves_time_to_record_loss(step: ImageStep, bucket: Bucket) -> None:
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
    "text", ["not base64!", "data:image/png;base64,iVBO*w0=", "QUJD\n?UJD", "QUJDQ"]
)
def test_invalid_base64_is_staged_and_never_rebought(step: ImageStep, s3: Any, text: str) -> None:
    step.painter.base64 = text

    for _ in range(2):
        with pytest.raises(BadImageError, match=r"staging/run-1/1/1\.bytes"):
            step.run()
    assert (
        s3.get_object(Bucket="pictures", Key="staging/run-1/1/1.bytes")["Body"].read()
        == text.encode()
    )
    assert (step.record().status, step.record().cost_micro_usd) == (Status.BAD, COST)
    assert len(step.painter.requests) == 1


def test_short_remaining_time_buys_nothing(step: ImageStep, s3: Any) -> None:
    step.deadline.left = STAGING_SECONDS + LEAST_CALL_SECONDS - 1
    with pytest.raises(TransientError, match="not enough for the call"):
        step.run()
    assert step.painter.requests == []
    assert step.ledger.image("run-1", 1) is None


def test_invalid_count_does_not_block_settling(step: ImageStep) -> None:
    step.painter.usage = {"input_tokens": 10**40, "output_tokens": 10**40 + 1}
    step.run()
    assert step.record().cost_micro_usd is None
    assert step.record().status == Status.STAGED


def test_long_usage_keeps_counts_for_the_cost(step: ImageStep) -> None:
    step.painter.usage = {
        "notes": {f"n{n}": n for n in range(500)},
        "input_tokens": 20,
        "output_tokens": 430,
    }
    step.run()

    head = step.bucket.head("staging/run-1/1/1.bytes")
    assert head
    assert usage_in(head.metadata) == {"input_tokens": 20, "output_tokens": 430}


def test_missing_staging_rights_prevent_the_call(step: ImageStep) -> None:
    class Denied:
        def put(self, *_: Any, **__: Any) -> None:
            raise StorageDeniedError("no")

    step.bucket = Denied()

    with pytest.raises(StorageDeniedError):
        step.run()
    assert step.painter.requests == []
    assert step.money() == (0, 0)


def test_call_over_the_cap_is_prevented(step: ImageStep) -> None:
    month = this_month()
    reserve(step.ledger, CAP - 1_000, month=month)

    with pytest.raises(BudgetExceededError, match=f"{month} has"):
        step.run()
    assert step.painter.requests == []
    assert step.ledger.image("run-1", 1) is None


def test_lowered_cap_is_detected_before_claiming(step: ImageStep) -> None:
    month = this_month()
    reserve(step.ledger, 1_000, month=month)  # this process now knows the month
    step.ledger.budget.set_cap(month, 1_001)

    with pytest.raises(BudgetExceededError, match=f"{month} has"):
        step.run()
    assert step.painter.requests == []


def test_answer_without_usage_costs_its_estimate(step: ImageStep) -> None:
    step.painter.usage = None
    step.run()
    assert step.record().cost_micro_usd is None

    committed, spent = step.money()
    assert committed == spent == step.record().reserved_micro_usd


def test_missing_prompt_record_is_named(step: ImageStep) -> None:
    with pytest.raises(ConfigError, match="no prompt record"):
        step.run(run_id="other")


def test_settlement_uses_the_month_of_the_reservation(step: ImageStep, table: Any) -> None:
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


def test_call_holds_its_slot_until_it_ends(step: ImageStep, table: Table) -> None:
    seen: list[Any] = []
    paint = step.painter.paint

    def slowly(parameters: Any, *, slow_down: Any, **more: Any) -> ImageAnswer:
        seen.append(table.get("pace", "images"))
        slow_down(30)
        return paint(parameters, slow_down=slow_down, **more)

    step.painter.paint = slowly  # type: ignore[method-assign]
    step.run()
    (until,) = seen[0]["calls"].values()
    # The slot is taken before the claim, and waiting for it may take a part of the time.
    assert step.record().lease_until <= until <= step.deadline.epoch()

    after = table.get("pace", "images") or {}
    assert after["calls"] == {}
    assert after["paused_until"] - time.time() * 1_000_000 > 20_000_000
