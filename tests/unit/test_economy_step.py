"""Orders in economy: each is placed once, even if a function dies.

Its results are staged and settled, and missing images are reported.
"""

import base64
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract.batch_messages import BatchPlan, Order, PlacedOrder
from easel.contract.errors import (
    AuthError,
    BudgetExceededError,
    ClaimHeldError,
    QuotaExhaustedError,
    TransientError,
)
from easel.contract.messages import ImageTask
from easel.contract.status import Status
from easel.ledger.batches import BatchOrders, order_key
from easel.ledger.budget import month_of
from easel.ledger.records import ImageRecord, to_item
from easel.request import models
from easel.request.batch_request import parse
from functions import image
from functions.economy.collect import MAX_QUEUED, look
from functions.economy.place import VISIBLE_SECONDS
from functions.economy.plan import list_staged, plan
from local.fake_openai.batch_input import MAX_PICTURES
from tests.support.images import png
from tests.support.memory_aws import Clients
from tests.support.services import (
    BUCKET,
    CAP,
    TABLE,
    FakePainter,
    FakeServices,
    batch_settings,
    failing,
    reserve,
)
from tests.support.steps import WORK, EconomyStep

ENCODED = base64.b64encode(png()).decode()
USAGE = {"input_tokens": 20, "output_tokens": 430}
COST = (20 * 5 + 430 * 30) // 2


@pytest.fixture
def step(services: FakeServices, s3: Any) -> EconomyStep:
    return EconomyStep(services, s3)


def answer(run_id: str, encoded: str = ENCODED) -> dict[str, Any]:
    body = {"data": [{"b64_json": encoded}], "usage": USAGE}
    return {
        "custom_id": f"{run_id}#1",
        "response": {"status_code": 200, "body": body},
        "error": None,
    }


# Placing orders.


def test_order_states_moderation_and_end_user(step: EconomyStep) -> None:
    step.prompt("a-1", moderation="low", safety_identifier="5e1f")
    placement = step.place(step.order("a-1", "a-2"))
    first, second = (request["body"] for request in step.openai.orders[str(placement.batch)])

    assert (first["moderation"], first["safety_identifier"]) == ("low", "5e1f")
    assert not {"moderation", "safety_identifier"} & set(second)


def test_order_claims_images_at_half_price(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1", "a-2"))
    requests = step.openai.orders[str(placement.batch)]
    assert [request["custom_id"] for request in requests] == ["a-1#1", "a-2#1"]
    assert requests[0]["body"] == {
        "prompt": "A kite for a-1",
        "model": "gpt-image-2.6-flare",
        "size": "1024x1024",
        "quality": "low",
        "output_format": "png",
        "n": 1,
    }

    record = step.record("a-1")
    assert record
    assert (record.status, record.order) == (Status.CLAIMED, placement.order)
    assert record.lease_until > time.time() + 24 * 3_600

    whole = (
        models.estimate_image(
            "gpt-image-2.6-flare", prompt="A kite for a-1", size="1024x1024", quality="low"
        )
        or 0
    )
    assert step.money() == (2 * -(-whole // 2), 0)


def test_order_of_dead_function_is_found_again(step: EconomyStep) -> None:
    order = step.order("a-1", "a-2")
    step.openai.fails = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        step.place(order)
    with pytest.raises(ClaimHeldError):
        step.place(order)  # the dead function's lock has not expired yet

    step.let_lock_expire(order)
    assert step.place(order).batch == f"{order.order}-1"
    assert len(step.openai.orders) == 1
    assert step.place(order).batch == f"{order.order}-1"
    assert step.openai.searched == 1  # the batch is known after the search


def test_lost_answer_is_searched_for_later(step: EconomyStep) -> None:
    order = step.order("a-1")
    step.openai.fails = [TransientError("cut", possibly_paid=True)]
    with pytest.raises(TransientError):
        step.place(order)
    with pytest.raises(ClaimHeldError):
        step.place(order)

    item = step.table.get(f"order#{order.order}", "order") or {}
    assert 30 < item["held_until"] - time.time() <= VISIBLE_SECONDS


@pytest.mark.parametrize("error", [AuthError("no key"), QuotaExhaustedError("no credit")])
def test_refused_order_leaves_no_claim_or_reservation(step: EconomyStep, error: Exception) -> None:
    order, placing = step.order("a-1", "a-2"), step.openai.create
    step.openai.create = failing(error)  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        step.place(order)
    assert step.record("a-1") is step.record("a-2") is None
    assert step.money() == (0, 0)

    step.openai.create = placing  # type: ignore[method-assign]
    step.let_lock_expire(order)
    assert step.place(order).batch == f"{order.order}-1"


def test_failed_order_keeps_its_claims_for_retry(step: EconomyStep) -> None:
    order, placing = step.order("a-1"), step.openai.create
    step.openai.create = failing(TransientError("500"))  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        step.place(order)

    claim = step.record("a-1")
    assert claim
    hour = int(time.time()) + 3_600
    step.ledger.claims.renew(claim, until=hour, order_number=1)  # as if a day had passed
    step.openai.create = placing  # type: ignore[method-assign]
    step.let_lock_expire(order)
    step.place(order)
    record = step.record("a-1")
    assert record
    assert record.lease_until > time.time() + 24 * 3_600
    assert len(step.openai.orders) == 1


def test_images_without_result_are_ordered_again(step: EconomyStep) -> None:
    order = step.order("a-1", "a-2")
    for number in (1, 2):
        placement = step.place(order)
        assert placement.batch == f"{order.order}-{number}"
        step.openai.status = "failed"
        assert step.collect(placement)["unmade"] == 2
    assert step.money() == (0, 0)


def test_separately_bought_image_leaves_its_order(step: EconomyStep) -> None:
    order = step.order("a-1")
    step.place(order)
    ordered = step.record("a-1")
    assert ordered
    step.ledger.claims.mark_unknown(ordered)
    unknown = step.record("a-1")
    assert unknown
    second = ImageRecord(
        **vars(unknown) | {"purchase": 2, "lease_until": int(time.time()) + 60, "order": None}
    )
    step.ledger.claims.take(second, after=unknown)

    now = step.record("a-1")
    assert now
    assert (now.order, now.is_ordered(order.order)) == (None, False)


def test_images_bought_since_planning_are_skipped(step: EconomyStep) -> None:
    order = step.order("a-1", "a-2")
    other = ImageRecord(
        run_id="a-1",
        n=1,
        status=Status.CLAIMED,
        purchase=1,
        possibly_paid=0,
        lease_until=int(time.time()) + 60,
        month="2026-11",
        reserved_micro_usd=10,
    )
    step.ledger.claims.take(other, after=None)
    step.place(order)

    assert [request["custom_id"] for request in step.openai.orders[f"{order.order}-1"]] == ["a-2#1"]


def test_order_size_fits_the_budget(step: EconomyStep) -> None:
    bound = (
        models.estimate_image(
            "gpt-image-2.6-flare",
            prompt="A kite for a-1",
            size="1024x1024",
            quality="low",
            economy=True,
        )
        or 0
    )
    reserve(step.ledger, CAP - 2 * bound - 100, month=month_of(datetime.now(UTC)))
    order = step.order("a-1", "a-2", "a-3")
    step.place(order)
    assert len(step.openai.orders[f"{order.order}-1"]) == 2

    (short,) = step.unmade_lines(f"{order.order}.short")
    assert (short["run_id"], short["error"]) == ("a-3", "BudgetExceededError")
    with pytest.raises(BudgetExceededError):
        step.place(step.order("a-3"))
    assert step.record("a-3") is None


def test_empty_order_is_not_placed(step: EconomyStep) -> None:
    step.place(step.order("a-1"))
    placement = step.place(Order(order="another", pictures=({"run_id": "a-1", "n": 1},), work=WORK))
    assert (placement.batch, placement.done, len(step.openai.orders)) == (None, True, 1)
    assert step.collect(placement)["staged"] == 0


# Collecting results.


def test_results_are_settled_at_half_the_price(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [answer("a-2"), answer("a-1")]
    assert step.collect(placement) == {"order": placement.order, "staged": 2, "unmade": 0}

    record = step.record("a-1")
    assert record
    assert (record.status, record.cost_micro_usd, record.usage) == (Status.STAGED, COST, USAGE)
    assert step.s3.get_object(Bucket=BUCKET, Key=str(record.staged_key))["Body"].read() == png()
    assert step.money() == (2 * COST, 2 * COST)


def test_collecting_again_skips_staged_images(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [answer("a-1"), answer("a-2")]
    step.deadline.left = 61

    class Slow(type(step.bucket)):  # type: ignore[misc]
        def put(inner, *args: Any, **kwargs: Any) -> None:
            step.deadline.sleep(2)
            Bucket.put(inner, *args, **kwargs)

    step.bucket.__class__ = Slow
    with pytest.raises(TransientError, match="1 images are staged"):
        step.collect(placement)

    step.deadline.left = 900
    assert step.collect(placement)["staged"] == 1
    assert step.money() == (2 * COST, 2 * COST)
    assert step.collect(placement) == {"order": placement.order, "staged": 0, "unmade": 0}


def test_unmade_images_are_free_and_reported(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1", "a-2", "a-3", "a-4"))
    step.openai.status = "expired"
    refusal = {"status_code": 400, "body": {"error": {"code": "moderation_blocked"}}}
    expired = {"code": "batch_expired", "message": "no time"}
    step.openai.answers = [answer("a-1")]
    step.openai.errors = [
        {"custom_id": "a-2#1", "response": refusal, "error": None},
        {"custom_id": "a-3#1", "response": None, "error": expired},
        {"custom_id": "somebody-else#1", "response": refusal, "error": None},
    ]
    assert step.collect(placement) == {"order": placement.order, "staged": 1, "unmade": 3}

    refused = step.record("a-2")
    assert refused
    assert (refused.status, refused.refusal) == (Status.REFUSED, "moderation_blocked")
    assert step.record("a-3") is step.record("a-4") is None
    assert step.money() == (COST, COST)

    errors = {line["run_id"]: line["error"] for line in step.unmade_lines(placement.order)}
    assert errors == {"a-2": "ContentRefusedError", "a-3": "NotMade", "a-4": "NotMade"}


def test_unanswered_request_may_have_been_paid(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1"))
    step.collect(placement)
    record = step.record("a-1")
    assert record
    assert (record.status, record.possibly_paid, record.lease_until) == (Status.CLAIMED, 1, 0)
    assert step.money()[1] == record.reserved_micro_usd

    step.collect(placement)
    assert step.record("a-1") == record  # it is counted once, however often the order is collected
    assert step.money()[1] == record.reserved_micro_usd
    assert plan(batch(step, {"run_id": "a-1"}), step.services) == {"orders": 0}
    assert step.place(step.order("a-1")).batch is None  # only the image step may buy it again

    step.openai.answers = [answer("a-1")]
    assert step.collect(placement)["staged"] == 1  # a result that arrives late is used
    assert step.money() == (COST, COST)


def test_invalid_image_is_kept_and_marked(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1"))
    step.openai.answers = [answer("a-1", "no base64!")]

    step.collect(placement)

    record = step.record("a-1")
    assert record
    assert (record.status, record.cost_micro_usd) == (Status.BAD, COST)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": []},
        {"data": None},
        {"data": ["x"]},
        {"data": [{"b64_json": None}]},
        {"data": [{"b64_json": ""}]},
        "x",
        None,
    ],
)
def test_answer_without_image_delays_no_other(step: EconomyStep, body: Any) -> None:
    placement = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [
        {"custom_id": "a-1#1", "response": {"status_code": 200, "body": body}},
        answer("a-2"),
    ]
    step.openai.errors = [{"custom_id": "b#x", "response": "x", "error": "x"}, {"custom_id": 7}]
    assert step.collect(placement) == {"order": placement.order, "staged": 1, "unmade": 1}

    record = step.record("a-1")
    assert record
    assert record.possibly_paid == 1


def test_image_unknown_to_the_plan_is_staged(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [answer("a-1"), answer("a-2")]
    half = PlacedOrder(**vars(placement) | {"pictures": placement.pictures[:1]})
    assert step.collect(half)["staged"] == 2


def test_unsettled_staged_image_costs_half(step: EconomyStep, table: Table) -> None:
    placement = step.place(step.order("a-1"))
    step.openai.answers = [answer("a-1")]
    settle, step.ledger.mark_staged = (  # type: ignore[method-assign]
        step.ledger.mark_staged,
        failing(RuntimeError("killed")),
    )
    with pytest.raises(RuntimeError):
        step.collect(placement)

    step.ledger.mark_staged = settle  # type: ignore[method-assign]
    step.services.image_model = FakePainter()  # type: ignore[assignment]
    image.run(ImageTask(run_id="a-1", n=1), step.services, step.deadline)
    record = step.record("a-1")
    assert record
    assert record.cost_micro_usd == COST


def test_order_settles_only_its_own_claims(step: EconomyStep) -> None:
    step.place(step.order("a-1"))
    other = PlacedOrder(
        order="another",
        pictures=({"run_id": "a-1", "n": 1},),
        work=WORK,
        batch="another",
        done=True,
        looks=1,
    )
    step.openai.answers = [answer("a-1")]
    assert step.collect(other) == {"order": "another", "staged": 0, "unmade": 0}

    record = step.record("a-1")
    assert record
    assert (record.status, record.possibly_paid) == (Status.CLAIMED, 0)


def test_late_collector_leaves_claims_of_next_order(step: EconomyStep) -> None:
    order = step.order("a-1")
    step.openai.status = "expired"
    first = step.place(order)
    step.collect(first)
    assert step.record("a-1") is None
    second = step.place(order)

    assert step.collect(first) == {"order": order.order, "staged": 0, "unmade": 0}
    step.openai.status, step.openai.answers = "completed", [answer("a-1")]
    assert step.collect(second) == {"order": order.order, "staged": 1, "unmade": 0}
    assert step.money() == (COST, COST)


def test_claim_left_by_a_full_queue_is_released(step: EconomyStep) -> None:
    order = step.order("a-1", "a-2")
    step.openai.status, step.openai.problem = "failed", "token_limit_exceeded"
    look(step.place(order), step.services)
    # Another batch shares one of the images, and places the order for that one only.
    step.openai.status, step.openai.problem = "completed", None
    step.place(replace(order, pictures=order.pictures[:1]))

    step.openai.answers = [answer("a-1")]
    assert step.collect(step.place(order)) == {"order": order.order, "staged": 1, "unmade": 1}
    assert step.record("a-2") is None
    assert step.money() == (COST, COST)


def test_failed_line_without_a_code_may_be_paid(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1"))
    step.openai.errors = [{"custom_id": "a-1#1", "response": None, "error": None}]
    step.collect(placement)
    record = step.record("a-1")
    assert record
    assert record.possibly_paid == 1


# Locks of orders.


class Waiting(Table):
    """A table that calls something between a read and the next write."""

    then: Callable[[], object] | None = None

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        item, then = super().get(pk, sk), self.then
        if then:
            self.then = None
            then()
        return item


@pytest.fixture
def waiting(aws: Clients) -> Waiting:
    return Waiting(aws.dynamodb, name=TABLE)


def test_lock_that_arrives_late_is_refused(table: Table, waiting: Waiting) -> None:
    orders, late = BatchOrders(table), BatchOrders(waiting)
    orders.lock("o", until=1)

    def place() -> None:
        orders.mark_placed(orders.lock("o", until=2), batch="first")

    waiting.then = place
    with pytest.raises(ClaimHeldError):
        late.lock("o", until=3)
    assert orders.lock("o", until=4).batch == "first"


def test_batch_of_a_lost_lock_is_not_recorded(table: Table) -> None:
    orders = BatchOrders(table)
    lost, ours = orders.lock("o", until=1), orders.lock("o", until=2)

    orders.mark_placed(lost, batch="late")
    orders.unlock(lost, after=1_000)

    assert orders.lock("o", until=3).batch is None
    assert ours.number == 1


def test_claim_of_older_version_is_collected(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1"))
    claim = step.record("a-1")
    assert claim
    step.table.write(step.table.put(to_item(replace(claim, order_number=None))))

    step.openai.answers = [answer("a-1")]
    state = placement.to_state()
    del state["number"]
    assert step.collect(PlacedOrder.from_state(state))["staged"] == 1


# Planning orders.


def batch(step: EconomyStep, *items: dict[str, Any]) -> BatchPlan:
    lines = [{"line": n, "pictures": 1, "request": {}} | item for n, item in enumerate(items, 1)]
    step.bucket.put_file(
        f"{WORK}todo.jsonl",
        io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode()),
        content_type="x",
    )
    return BatchPlan(
        batch="spring",
        manifest="m",
        version_id="v",
        execution="first",
        started="2026-11-24T03:15:00Z",
        dry_run=False,
        economy=True,
        lines=len(items),
        pictures=1,
        todo=1,
        postponed=0,
        bad=0,
        problems=(),
        problems_key=None,
        estimate_usd=1,
        budget_left_usd=1,
        fits=True,
        refusal=None,
        work=WORK,
        lines_key="l",
        todo_key=f"{WORK}todo.jsonl",
        results_prefix="r",
        max_parallel_images=5,
        tolerated_failure_percentage=10,
        ended_by=None,
    )


def orders(step: EconomyStep) -> list[dict[str, Any]]:
    body = step.s3.get_object(Bucket=BUCKET, Key=f"{WORK}orders.jsonl")["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def test_order_has_limited_size_and_one_model(step: EconomyStep) -> None:
    for n in range(21):
        step.prompt(f"a-{n}")
    step.prompt("b-1", model="gpt-image-2")
    batch_plan = batch(
        step,
        *({"run_id": f"a-{n}", "pictures": 10} for n in range(21)),
        {"run_id": "b-1"},
        {"run_id": "without-a-prompt"},
    )
    assert plan(batch_plan, step.services) == {"orders": 3}
    assert sorted(len(order["pictures"]) for order in orders(step)) == [1, 10, MAX_PICTURES]

    first = orders(step)
    assert plan(batch_plan, step.services) == {"orders": 3}
    assert orders(step) == first  # a second plan finds the same orders


def test_replanning_keeps_orders_and_skips_bought_images(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1", "a-2"))
    step.prompt("a-3")
    step.openai.answers = [answer("a-1")]
    batch_plan = batch(step, *({"run_id": f"a-{n}"} for n in (1, 2, 3)))
    plan(batch_plan, step.services)
    assert {order["order"]: len(order["pictures"]) for order in orders(step)} == {
        placement.order: 2,
        order_key(["a-3#1"]): 1,
    }

    step.openai.status = "in_progress"
    record = step.record("a-1")
    assert record
    step.ledger.mark_staged(
        record,
        ImageRecord(
            **vars(record)
            | {
                "status": Status.STAGED,
                "staged_key": "k",
                "bytes": 1,
                "sha256": "00",
            }
        ),
    )
    plan(batch_plan, step.services)
    assert {order["order"]: len(order["pictures"]) for order in orders(step)} == {
        placement.order: 1,
        order_key(["a-3#1"]): 1,
    }
    assert list_staged(batch_plan, step.services) == {"came": 1}

    (line,) = (
        json.loads(text)
        for text in (
            step.s3.get_object(Bucket=BUCKET, Key=f"{WORK}came.jsonl")["Body"].read().splitlines()
        )
    )
    assert (line["run_id"], line["staged"][0]["key"]) == ("a-1", "k")


def test_economy_applies_to_a_whole_batch() -> None:
    assert parse({"manifest": "batches/a.jsonl", "economy": True}, batch_settings()).economy


# OpenAI's queue is full.


def test_order_waits_for_openais_queue(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1"))
    step.openai.status, step.openai.problem = "failed", "token_limit_exceeded"

    refused = look(placement, step.services)
    assert (refused.done, refused.again, refused.queued) == (False, True, 1)

    step.openai.status, step.openai.problem = "completed", None
    again = step.place(Order.from_state(refused.to_state()))

    assert (again.batch, again.queued, again.again) == (f"{placement.order}-2", 1, False)
    assert len(step.openai.orders) == 2
    record = step.record("a-1")
    assert record is not None
    assert (record.status, record.purchase, record.possibly_paid) == (Status.CLAIMED, 1, 0)


def test_queue_that_stays_full_ends_the_order(step: EconomyStep) -> None:
    placement = replace(step.place(step.order("a-1")), queued=MAX_QUEUED)
    step.openai.status, step.openai.problem = "failed", "token_limit_exceeded"

    refused = look(placement, step.services)
    assert (refused.done, refused.again) == (True, False)

    assert step.collect(placement)["unmade"] == 1
    (line,) = step.unmade_lines(placement.order)
    assert "token_limit_exceeded" in line["message"]
    assert step.money() == (0, 0)


def test_other_failure_of_a_batch_is_named(step: EconomyStep) -> None:
    placement = step.place(step.order("a-1"))
    step.openai.status, step.openai.problem = "failed", "invalid_json_line"

    assert look(placement, step.services).done

    step.collect(placement)
    (line,) = step.unmade_lines(placement.order)
    assert "was not made (invalid_json_line)" in line["message"]
