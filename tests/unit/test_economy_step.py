"""An order is placed once, whatever dies; what came of it is staged and settled, and what did not is told."""

import base64
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

import pytest

from easel.request import models
from easel.ledger import records
from easel.ledger.budget import Budget, month_of
from easel.ledger.claims import CLAIMED
from easel.aws.bucket import ObjectStore
from easel.openai_client.batches import MAX_PICTURES, PlacedBatch
from easel.ledger.batches import Orders, order_key
from easel.ledger.rate_limit import Pace
from easel.ledger.records import ImageRecord, PromptRecord, Records
from easel.aws.table import Table
from easel.request.batch_request import parse
from easel.contract.messages import Batch, Order, PlacedOrder, Variation
from functions.economy.collect import collect
from functions.economy.place import place
from functions.economy.plan import came, plan
from easel.contract.errors import AuthError, BudgetExceededError, ClaimHeldError, QuotaExhaustedError, TransientError
from functions import image as image
from tests.unit.conftest import BUCKET, CAP, FakeDeadline, FakePainter, make_settings, png, reserve

ENCODED = base64.b64encode(png()).decode()
USAGE = {"input_tokens": 20, "output_tokens": 430}
COST = (20 * 5 + 430 * 30) // 2
WORK = "staging/@spring/first/"


@dataclass
class FakeOpenAI:
    """Keeps the batches that were created; dies, or loses its answer, when it is told to."""

    made: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    fails: list[Exception] = field(default_factory=list)
    status: str = "completed"
    answers: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    searched: int = 0

    def find(self, order: str, *, since: datetime) -> PlacedBatch | None:  # noqa: ARG002
        self.searched += 1
        return self.look(order) if order in self.made else None

    def create(self, order: str, requests: IO[bytes]) -> PlacedBatch:
        requests.seek(0)
        assert order not in self.made, "placed twice"
        self.made[order] = [json.loads(line) for line in requests]
        if self.fails:
            raise self.fails.pop()
        return self.look(order)

    def look(self, batch: str) -> PlacedBatch:
        return PlacedBatch(id=batch, status=self.status, answers="answers", errors="errors")

    def lines(self, file: str) -> Iterator[bytes]:
        return iter([json.dumps(line).encode() for line in (self.answers if file == "answers" else self.errors)])


class Step:
    def __init__(self, s3: Any, store: ObjectStore, table: Table, book: Records, budget: Budget) -> None:
        self.s3, self.store, self.table, self.book, self.budget = s3, store, table, book, budget
        self.orders, self.openai = Orders(table), FakeOpenAI()
        self.deadline = FakeDeadline(left=900, now=time.time())

    def prompt(self, run_id: str, **choices: Any) -> None:
        said: dict[str, Any] = {
            "model": "gpt-image-2.6-flare",
            "size": "1024x1024",
            "quality": "low",
            "output_format": "png",
            "folder_name": "f",
        }
        said |= {"background": "auto", "moderation": "auto", "output_compression": None, "file_name": "x", "style": None, "count": 1}
        record = PromptRecord(
            run_id=run_id, digest="d", started="2026-11-24T03:15:00Z", text=f"A kite for {run_id}", title="Kite", alt_text="A kite",
            tags=[], topic="Sport", choices=said | choices, estimate_micro_usd=1, chat_model=None, chat_cost_micro_usd=50, execution=run_id,
        )  # fmt: skip
        self.book.keep_prompt(record, paid=None)

    def order(self, *run_ids: str) -> Order:
        for run_id in run_ids:
            if self.book.prompt(run_id) is None:
                self.prompt(run_id)
        pictures = tuple({"run_id": run_id, "n": 1} for run_id in run_ids)
        return Order(order=order_key(f"{run_id}#1" for run_id in run_ids), pictures=pictures, work=WORK)

    def place(self, order: Order) -> PlacedOrder:
        return place(order, deadline=self.deadline, factory=self.openai, orders=self.orders, book=self.book, store=self.store)

    def collect(self, placed: PlacedOrder) -> dict[str, Any]:
        return collect(placed, deadline=self.deadline, results=self.openai, orders=self.orders, book=self.book, store=self.store)

    def record(self, run_id: str) -> ImageRecord | None:
        return self.book.image(run_id, 1)

    def money(self) -> tuple[int, int]:
        month = self.budget.read(month_of(datetime.now(UTC)))
        return month.committed, month.spent

    def unmade(self, order: str) -> list[dict[str, Any]]:
        body = self.s3.get_object(Bucket=BUCKET, Key=f"{WORK}unmade/{order}.jsonl")["Body"].read()
        return [json.loads(line) for line in body.splitlines()]


@pytest.fixture
def step(s3: Any, store: ObjectStore, table: Table, book: Records, budget: Budget) -> Step:
    return Step(s3, store, table, book, budget)


def answer(run_id: str, encoded: str = ENCODED) -> dict[str, Any]:
    body = {"data": [{"b64_json": encoded}], "usage": USAGE}
    return {"custom_id": f"{run_id}#1", "response": {"status_code": 200, "body": body}, "error": None}


# placing


def test_an_order_says_how_each_is_moderated_and_for_whom_it_is(step: Step) -> None:
    step.prompt("a-1", moderation="low", safety_identifier="5e1f")
    placed = step.place(step.order("a-1", "a-2"))
    first, second = (request["body"] for request in step.openai.made[str(placed.batch)])
    assert (first["moderation"], first["safety_identifier"]) == ("low", "5e1f")
    assert not {"moderation", "safety_identifier"} & set(second)


def test_an_order_claims_its_pictures_at_half_the_price_and_asks_for_each_by_its_name(step: Step) -> None:
    placed = step.place(step.order("a-1", "a-2"))
    requests = step.openai.made[str(placed.batch)]
    assert [one["custom_id"] for one in requests] == ["a-1#1", "a-2#1"]
    assert requests[0]["body"] == {
        "prompt": "A kite for a-1", "model": "gpt-image-2.6-flare", "size": "1024x1024", "quality": "low", "output_format": "png", "n": 1,
    }  # fmt: skip
    record = step.record("a-1")
    assert record
    assert (record.status, record.order) == (CLAIMED, placed.order)
    assert record.lease_until > time.time() + 24 * 3_600
    whole = models.estimate_image("gpt-image-2.6-flare", prompt="A kite for a-1", size="1024x1024", quality="low") or 0
    assert step.money() == (2 * -(-whole // 2), 0)


def test_who_dies_after_openai_took_the_order_finds_it_again(step: Step) -> None:
    order = step.order("a-1", "a-2")
    step.openai.fails = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        step.place(order)
    with pytest.raises(ClaimHeldError):
        step.place(order)  # the dead one's time is not over yet
    step.orders.let_go(order.order, after=-1)
    assert step.place(order).batch == f"{order.order}-1"
    assert len(step.openai.made) == 1
    assert step.place(order).batch == f"{order.order}-1"
    assert step.openai.searched == 1  # from then on it is known


def test_an_answer_that_was_lost_is_looked_for_only_once_it_can_be_seen(step: Step) -> None:
    order = step.order("a-1")
    step.openai.fails = [TransientError("cut", possibly_paid=True)]
    with pytest.raises(TransientError):
        step.place(order)
    with pytest.raises(ClaimHeldError):
        step.place(order)
    item = step.table.get(f"order#{order.order}", "order") or {}
    assert 5 < item["held_until"] - time.time() < 60


@pytest.mark.parametrize("error", [AuthError("no key"), QuotaExhaustedError("no credit")])
def test_an_order_that_openai_refuses_leaves_no_claim_and_no_reservation(step: Step, error: Exception) -> None:
    order, placing = step.order("a-1", "a-2"), step.openai.create
    step.openai.create = lambda *_: (_ for _ in ()).throw(error)  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        step.place(order)
    assert step.record("a-1") is step.record("a-2") is None
    assert step.money() == (0, 0)
    step.openai.create = placing  # type: ignore[method-assign]
    step.orders.let_go(order.order, after=-1)
    assert step.place(order).batch == f"{order.order}-1"


def test_an_order_that_did_not_get_through_keeps_its_claims_for_the_next_try_whose_day_begins_anew(step: Step) -> None:
    order, placing = step.order("a-1"), step.openai.create
    step.openai.create = lambda *_: (_ for _ in ()).throw(TransientError("500"))  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        step.place(order)
    claim = step.record("a-1")
    assert claim
    step.book.claims.renew(claim, until=int(time.time()) + 60)  # a day has passed
    step.openai.create = placing  # type: ignore[method-assign]
    step.orders.let_go(order.order, after=-1)
    step.place(order)
    again = step.record("a-1")
    assert again
    assert again.lease_until > time.time() + 24 * 3_600
    assert len(step.openai.made) == 1


def test_pictures_of_which_nothing_came_are_ordered_anew(step: Step) -> None:
    order = step.order("a-1", "a-2")
    for number in (1, 2):
        placed = step.place(order)
        assert placed.batch == f"{order.order}-{number}"
        step.openai.status = "failed"
        assert step.collect(placed)["unmade"] == 2
    assert step.money() == (0, 0)


def test_a_picture_that_is_bought_by_a_call_of_its_own_is_in_no_order_any_more(step: Step) -> None:
    order = step.order("a-1")
    step.place(order)
    ordered = step.record("a-1")
    assert ordered
    step.book.claims.mark_unknown(ordered)
    unknown = step.record("a-1")
    assert unknown
    second = ImageRecord(**vars(unknown) | {"purchase": 2, "lease_until": int(time.time()) + 60, "order": None})
    step.book.claims.take(second, after=unknown)
    now = step.record("a-1")
    assert now
    assert (now.order, now.is_ordered(order.order)) == (None, False)


def test_what_was_bought_elsewhere_since_the_plan_is_left_out(step: Step) -> None:
    order = step.order("a-1", "a-2")
    other = ImageRecord(
        run_id="a-1", n=1, status=CLAIMED, purchase=1, possibly_paid=0, lease_until=int(time.time()) + 60, month="2026-11",
        reserved_micro_usd=10,
    )  # fmt: skip
    step.book.claims.take(other, after=None)
    step.place(order)
    assert [one["custom_id"] for one in step.openai.made[f"{order.order}-1"]] == ["a-2#1"]


def test_an_order_takes_as_many_pictures_as_the_budget_has_room_for(step: Step) -> None:
    one = models.estimate_image("gpt-image-2.6-flare", prompt="A kite for a-1", size="1024x1024", quality="low", economy=True) or 0
    reserve(step.book, CAP - 2 * one - 100, month=month_of(datetime.now(UTC)))
    order = step.order("a-1", "a-2", "a-3")
    step.place(order)
    assert len(step.openai.made[f"{order.order}-1"]) == 2
    (short,) = step.unmade(f"{order.order}.short")
    assert (short["run_id"], short["error"]) == ("a-3", "BudgetExceededError")
    with pytest.raises(BudgetExceededError):
        step.place(step.order("a-3"))
    assert step.record("a-3") is None


def test_an_order_of_which_nothing_is_left_is_not_placed(step: Step) -> None:
    step.place(step.order("a-1"))
    placed = step.place(Order(order="another", pictures=({"run_id": "a-1", "n": 1},), work=WORK))
    assert (placed.batch, placed.done, len(step.openai.made)) == (None, True, 1)
    assert step.collect(placed)["staged"] == 0


# collecting


def test_what_came_is_staged_and_settled_by_its_usage_at_half_the_price(step: Step) -> None:
    placed = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [answer("a-2"), answer("a-1")]
    assert step.collect(placed) == {"order": placed.order, "staged": 2, "unmade": 0}
    record = step.record("a-1")
    assert record
    assert (record.status, record.cost_micro_usd, record.usage) == (records.STAGED, COST, USAGE)
    assert step.s3.get_object(Bucket=BUCKET, Key=str(record.staged_key))["Body"].read() == png()
    assert step.money() == (2 * COST, 2 * COST)


def test_collecting_again_skips_what_is_staged(step: Step) -> None:
    placed = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [answer("a-1"), answer("a-2")]
    step.deadline.left = 61

    class Slow(type(step.store)):  # type: ignore[misc]
        def put(inner, *given: Any, **how: Any) -> None:
            step.deadline.sleep(2)
            ObjectStore.put(inner, *given, **how)

    step.store.__class__ = Slow
    with pytest.raises(TransientError, match="1 pictures are staged"):
        step.collect(placed)
    step.deadline.left = 900
    assert step.collect(placed)["staged"] == 1
    assert step.money() == (2 * COST, 2 * COST)
    assert step.collect(placed) == {"order": placed.order, "staged": 0, "unmade": 0}


def test_what_openai_refused_or_did_not_make_costs_nothing_and_is_told(step: Step) -> None:
    placed = step.place(step.order("a-1", "a-2", "a-3", "a-4"))
    step.openai.status = "expired"
    refusal = {"status_code": 400, "body": {"error": {"code": "moderation_blocked"}}}
    expired = {"code": "batch_expired", "message": "no time"}
    step.openai.answers = [answer("a-1")]
    step.openai.errors = [
        {"custom_id": "a-2#1", "response": refusal, "error": None},
        {"custom_id": "a-3#1", "response": None, "error": expired},
        {"custom_id": "somebody-else#1", "response": refusal, "error": None},
    ]
    assert step.collect(placed) == {"order": placed.order, "staged": 1, "unmade": 3}
    refused = step.record("a-2")
    assert refused
    assert (refused.status, refused.refusal) == (records.REFUSED, "moderation_blocked")
    assert step.record("a-3") is step.record("a-4") is None
    assert step.money() == (COST, COST)
    told = {one["run_id"]: one["error"] for one in step.unmade(placed.order)}
    assert told == {"a-2": "ContentRefusedError", "a-3": "NotMade", "a-4": "NotMade"}


def test_a_request_that_a_completed_batch_has_no_answer_for_may_have_been_paid(step: Step) -> None:
    placed = step.place(step.order("a-1"))
    step.collect(placed)
    record = step.record("a-1")
    assert record
    assert (record.status, record.possibly_paid, record.lease_until) == (CLAIMED, 1, 0)
    assert step.money()[1] == record.reserved_micro_usd
    step.collect(placed)
    assert step.record("a-1") == record  # counted once, however often it is collected
    assert step.money()[1] == record.reserved_micro_usd
    assert plan(batch(step, {"run_id": "a-1"}), store=step.store, book=step.book) == {"orders": 0}
    assert step.place(step.order("a-1")).batch is None  # nobody but a call of its own buys it again
    step.openai.answers = [answer("a-1")]
    assert step.collect(placed)["staged"] == 1  # and had, where it comes after all
    assert step.money() == (COST, COST)


def test_a_picture_that_is_none_is_kept_and_marked(step: Step) -> None:
    placed = step.place(step.order("a-1"))
    step.openai.answers = [answer("a-1", "no base64!")]
    step.collect(placed)
    record = step.record("a-1")
    assert record
    assert (record.status, record.cost_micro_usd) == (records.BAD, COST)


@pytest.mark.parametrize(
    "body", [{}, {"data": []}, {"data": None}, {"data": ["x"]}, {"data": [{"b64_json": None}]}, {"data": [{"b64_json": ""}]}, "x", None]
)
def test_an_answer_without_a_picture_may_have_been_paid_and_holds_up_no_other(step: Step, body: Any) -> None:
    placed = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [{"custom_id": "a-1#1", "response": {"status_code": 200, "body": body}}, answer("a-2")]
    step.openai.errors = [{"custom_id": "b#x", "response": "x", "error": "x"}, {"custom_id": 7}]
    assert step.collect(placed) == {"order": placed.order, "staged": 1, "unmade": 1}
    record = step.record("a-1")
    assert record
    assert record.possibly_paid == 1


def test_a_picture_of_the_order_that_this_plan_does_not_know_is_staged_too(step: Step) -> None:
    placed = step.place(step.order("a-1", "a-2"))
    step.openai.answers = [answer("a-1"), answer("a-2")]
    half = PlacedOrder(**vars(placed) | {"pictures": placed.pictures[:1]})
    assert step.collect(half)["staged"] == 2


def test_a_picture_that_was_staged_and_not_settled_costs_half_wherever_it_is_found(step: Step, table: Table) -> None:
    placed = step.place(step.order("a-1"))
    step.openai.answers = [answer("a-1")]
    settle, step.book.stage = step.book.stage, lambda *_: (_ for _ in ()).throw(RuntimeError("killed"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        step.collect(placed)
    step.book.stage = settle  # type: ignore[method-assign]
    outside: dict[str, Any] = {"painter": FakePainter(), "pace": Pace(table, per_minute=None, at_once=1)}
    found = image.run(Variation(run_id="a-1", n=1), deadline=step.deadline, book=step.book, store=step.store, **outside)
    assert found.cost_micro_usd == COST


def test_only_what_is_claimed_in_this_order_is_settled_by_it(step: Step) -> None:
    step.place(step.order("a-1"))
    other = PlacedOrder(order="another", pictures=({"run_id": "a-1", "n": 1},), work=WORK, batch="another", done=True, looks=1)
    step.openai.answers = [answer("a-1")]
    assert step.collect(other) == {"order": "another", "staged": 0, "unmade": 0}
    record = step.record("a-1")
    assert record
    assert (record.status, record.possibly_paid) == (CLAIMED, 0)


# planning


def batch(step: Step, *items: dict[str, Any]) -> Batch:
    lines = [{"line": n, "pictures": 1, "request": {}} | item for n, item in enumerate(items, 1)]
    step.store.put_file(f"{WORK}todo.jsonl", io.BytesIO("".join(json.dumps(one) + "\n" for one in lines).encode()), content_type="x")
    return Batch(
        batch="spring", manifest="m", version_id="v", execution="first", started="2026-11-24T03:15:00Z", dry_run=False, economy=True,
        lines=len(items), pictures=1, todo=1, postponed=0, bad=0, problems=(), problems_key=None, estimate_usd=1, budget_left_usd=1,
        fits=True, refusal=None, work=WORK, lines_key="l", todo_key=f"{WORK}todo.jsonl", results_prefix="r", max_parallel_images=5,
        tolerated_failure_percentage=10, ended_by=None,
    )  # fmt: skip


def orders(step: Step) -> list[dict[str, Any]]:
    body = step.s3.get_object(Bucket=BUCKET, Key=f"{WORK}orders.jsonl")["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def test_an_order_holds_at_most_as_many_pictures_as_openai_takes_and_of_one_model(step: Step) -> None:
    for n in range(21):
        step.prompt(f"a-{n}")
    step.prompt("b-1", model="gpt-image-2")
    made = batch(step, *({"run_id": f"a-{n}", "pictures": 10} for n in range(21)), {"run_id": "b-1"}, {"run_id": "without-a-prompt"})
    assert plan(made, store=step.store, book=step.book) == {"orders": 3}
    assert sorted(len(one["pictures"]) for one in orders(step)) == [1, 10, MAX_PICTURES]
    first = orders(step)
    assert plan(made, store=step.store, book=step.book) == {"orders": 3}
    assert orders(step) == first  # who plans again meets the same orders


def test_what_was_ordered_before_stays_in_its_order_and_what_is_bought_in_none(step: Step) -> None:
    placed = step.place(step.order("a-1", "a-2"))
    step.prompt("a-3")
    step.openai.answers = [answer("a-1")]
    made = batch(step, *({"run_id": f"a-{n}"} for n in (1, 2, 3)))
    plan(made, store=step.store, book=step.book)
    assert {one["order"]: len(one["pictures"]) for one in orders(step)} == {placed.order: 2, order_key(["a-3#1"]): 1}
    step.openai.status = "in_progress"
    record = step.record("a-1")
    assert record
    step.book.stage(record, ImageRecord(**vars(record) | {"status": records.STAGED, "staged_key": "k", "bytes": 1, "sha256": "00"}))
    plan(made, store=step.store, book=step.book)
    assert {one["order"]: len(one["pictures"]) for one in orders(step)} == {placed.order: 1, order_key(["a-3#1"]): 1}
    assert came(made, store=step.store, book=step.book, mirror=None) == {"came": 1}
    (line,) = (json.loads(one) for one in step.s3.get_object(Bucket=BUCKET, Key=f"{WORK}came.jsonl")["Body"].read().splitlines())
    assert (line["run_id"], line["staged"][0]["key"]) == ("a-1", "k")


def test_economy_is_said_of_a_whole_batch() -> None:
    assert parse({"manifest": "batches/a.jsonl", "economy": True}, make_settings()).economy
