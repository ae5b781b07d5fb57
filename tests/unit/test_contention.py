"""The ledger when many processes claim, settle, die and change caps at once, in virtual time.

The code is the one that ships. The schedule is random, and transactions conflict as on AWS.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.ledger_load import IMAGE_BOUND, MONTH, BusyDynamoDB, Load, Worker, simulate
from bench.memory_table import TABLE, MemoryTable
from bench.virtual_time import VirtualTime
from easel.aws.table import Table
from easel.contract.errors import BudgetExceededError, ClaimHeldError, StorageBusyError
from easel.contract.status import Status
from easel.ledger.attribution import Attribution
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.ledger.limits import Limits
from easel.ledger.records import ImageRecord, from_item
from easel.ledger.shards import MONTH as WHOLE
from easel.ledger.shards import SHARDS, Funds, Shards

CAP, FOLDER, PERSON = 3_000, "folder#ads", "person#anna"
ADS = Attribution(folder="ads", person="anna", trigger="page", model="m")


class Killed(BaseException):
    """The process has died."""


class Mortal(BusyDynamoDB):
    """A table whose callers die before or after one call in a hundred."""

    def __init__(self, *arguments: Any, deaths: bool, check: Any) -> None:
        super().__init__(*arguments)
        self._deaths, self._check = deaths, check

    def transact_write_items(self, **parameters: Any) -> Any:
        """Do it, and check the table's state when it is done."""
        self._die_sometimes()
        answer = super().transact_write_items(**parameters)
        self._check()
        self._die_sometimes()
        return answer

    def update_item(self, **parameters: Any) -> Any:
        """Do it, or die before or after."""
        self._die_sometimes()
        answer = super().update_item(**parameters)
        self._die_sometimes()
        return answer

    def _die_sometimes(self) -> None:
        if self._deaths and self._rng.random() < 0.01:
            raise Killed


@dataclass
class Office:
    """Twelve processes that buy images at once, and one that changes caps."""

    seed: int
    deaths: bool
    changes: bool
    client: MemoryTable = field(default_factory=MemoryTable)
    clock: VirtualTime = field(default_factory=VirtualTime)
    caps: dict[str, list[int]] = field(default_factory=dict)  # that may hold now, by budget
    refused: int = 0

    def run(self) -> None:
        """Let all of them work."""
        self.rng = random.Random(self.seed)  # noqa: S311 - not a secret
        random.seed(self.seed)  # the ledger uses the global generator
        self.real = Table(self.client, name=TABLE)
        Budget(self.real, setting=CAP).read(MONTH)
        Limits(self.real).set(MONTH, FOLDER, 2_000)
        self.caps = {WHOLE: [CAP], FOLDER: [2_000]}
        self.table = Mortal(
            *(self.client, self.clock, self.rng, 0.025), deaths=self.deaths, check=self.check
        )
        numbers = iter(range(13))

        def work() -> None:
            number = next(numbers)
            with suppress(Killed):
                self.change_caps() if number == 12 else self.buy(number)

        self.clock.run(work, threads=13)

    def buy(self, number: int) -> None:
        """Claim images and end each claim in one of several ways, again after each death."""
        for n in range(1, 6):
            bound = self.rng.randrange(20, 120)
            image = ImageRecord(
                run_id=f"run-{number}", n=n, purchase=1, lease_until=9, month=MONTH,
                reserved_micro_usd=bound, attribution=ADS,
            )  # fmt: skip
            ledger = self.ledger()
            try:
                ledger.claims.take(image, after=None)
            except BudgetExceededError:
                self.refused += 1
                continue
            except (ClaimHeldError, StorageBusyError, Killed):
                continue
            self.clock.sleep(self.rng.uniform(0, 0.3))
            cost = self.rng.choice([bound, bound - 5, bound // 2, bound // 2])
            staged = replace(image, staged_key="k", bytes=1, sha256="s", cost_micro_usd=cost)
            with suppress(StorageBusyError, Killed):
                end = self.rng.randrange(4)
                if end == 0:
                    ledger.claims.release(image)
                elif end == 1:
                    ledger.claims.mark_unknown(image)
                else:
                    ledger.mark_staged(image, staged)

    def change_caps(self) -> None:
        """Lower and raise the caps. A lower one holds as soon as the change has returned."""
        if not self.changes:
            return
        for _ in range(4):
            self.clock.sleep(self.rng.uniform(0, 0.4))
            scope, cap = self.rng.choice([WHOLE, FOLDER]), self.rng.randrange(0, 4_000)
            self.caps[scope].append(cap)
            budget, table = self.budget(), Table(self.table, name=TABLE, sleep=self.clock.sleep)
            with suppress(StorageBusyError):
                if scope == WHOLE:
                    budget.set_cap(MONTH, cap)
                else:
                    Limits(table).set(MONTH, scope, cap)
                self.caps[scope] = [max(cap, self.funds(scope).committed)]

    def check(self) -> None:
        """Check that nothing above a cap is committed."""
        for scope, caps in self.caps.items():
            funds = self.funds(scope)
            assert funds.committed <= max(caps), (scope, funds.committed, caps)
            assert min(funds.free) >= 0

    def funds(self, scope: str) -> Funds:
        """Return a budget's state, without a delay."""
        return Shards(self.real).read(MONTH, [scope])[0]

    def ledger(self) -> Ledger:
        """Return the ledger of a new process."""
        table = Table(self.table, name=TABLE, sleep=self.clock.sleep)
        return Ledger(table, Budget(table, setting=CAP))

    def budget(self) -> Budget:
        """Return the budget of a new process."""
        return self.ledger().budget

    def images(self) -> Iterator[ImageRecord]:
        """Yield all images that are claimed or bought."""
        for number in range(12):
            for item in self.real.query(f"run#run-{number}"):
                yield from_item(ImageRecord, item)


def owed(image: ImageRecord) -> int:
    """Return the cost of an image, or its bound if it has no cost yet."""
    cost = image.cost_micro_usd if image.status == Status.STAGED else None
    return (image.reserved_micro_usd or 0) if cost is None else cost


@pytest.mark.parametrize("deaths", [False, True])
@pytest.mark.parametrize("changes", [False, True])
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9))
def test_caps_hold_and_every_cent_is_counted(seed: int, deaths: bool, changes: bool) -> None:
    office = Office(seed=seed, deaths=deaths, changes=changes)
    office.run()

    counted = sum(map(owed, office.images()))
    for scope in (WHOLE, FOLDER, PERSON):
        assert office.funds(scope).committed == counted
    # The next read of the budgets completes the changes of dead processes.
    for scope, funds in {
        WHOLE: Budget(office.real, setting=CAP).funds(MONTH),
        FOLDER: Limits(office.real).funds(MONTH, [FOLDER])[0],
    }.items():
        assert sum(funds.free) <= max(0, (funds.cap or 0) - funds.committed), scope


def test_random_schedules_reach_the_limit() -> None:
    office = Office(seed=1, deaths=False, changes=False)
    office.run()

    assert office.refused


def image(n: int, bound: int) -> ImageRecord:
    return ImageRecord(
        run_id="run-1", n=n, purchase=1, lease_until=9, month=MONTH, reserved_micro_usd=bound,
        attribution=ADS,
    )  # fmt: skip


def staged(claim: ImageRecord, cost: int) -> ImageRecord:
    return replace(claim, staged_key="k", bytes=1, sha256="s", cost_micro_usd=cost)


@pytest.mark.parametrize(("cost", "left"), [(1_000, 1_250), (2_000, 0)])
def test_cost_above_its_bound_stops_other_claims(cost: int, left: int) -> None:
    table = Table(MemoryTable(), name=TABLE)
    ledger = Ledger(table, Budget(table, setting=3_200))
    ledger.claims.take(image(1, 50), after=None)

    assert ledger.mark_staged(image(1, 50), staged(image(1, 50), cost))

    # As much as the cost exceeds its bound is kept free for the other running calls.
    taken = 0
    with suppress(BudgetExceededError):
        for n in range(2, 66):
            ledger.claims.take(image(n, 50), after=None)
            taken += 1
    assert taken == left // 50


@dataclass
class Interrupted:
    """A client that lets another process act once, before a transaction or within a read."""

    client: MemoryTable
    within: str
    act: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def transact_write_items(self, **parameters: Any) -> Any:
        if self.within == "transact_write_items":
            self._let_act()
        return self.client.transact_write_items(**parameters)

    def batch_get_item(self, **parameters: Any) -> Any:
        keys = parameters["RequestItems"][TABLE]["Keys"]
        if self.within != "batch_get_item" or len(keys) < SHARDS:
            return self.client.batch_get_item(**parameters)
        answers = []
        for part in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
            request = {TABLE: {"Keys": part, "ConsistentRead": True}}
            answers.append(self.client.batch_get_item(RequestItems=request))
            self._let_act()
        items = [item for answer in answers for item in answer["Responses"][TABLE]]
        return {"Responses": {TABLE: items}, "UnprocessedKeys": {}}

    def _let_act(self) -> None:
        act, self.act = self.act, None
        if act:
            act()


def test_money_that_moves_within_a_read_is_not_dealt_twice() -> None:
    client = Interrupted(MemoryTable(), within="batch_get_item")
    table = Table(client, name=TABLE)
    ledger = Ledger(table, Budget(table, setting=64))
    ledger.budget.begin(MONTH)
    pk = f"budget#{MONTH}"

    def move() -> None:
        """Move money from a shard that is not read yet to one that is."""
        changes = (("#20", "ADD #free :some", -2), ("#03", "ADD #free :some", 2))
        shards = [
            table.update((f"{pk}{shard}", WHOLE), change, values={":some": some})
            for shard, change, some in changes
        ]
        head = table.update((pk, WHOLE), "ADD #version :one", values={":one": 1})
        assert all(table.write(head, *shards))

    client.act = move

    ledger.claims.take(image(1, 50), after=None)

    assert client.act is None
    funds = ledger.budget.funds(MONTH)
    assert (funds.committed, sum(funds.free)) == (50, 14)


def test_limit_that_is_set_during_a_settlement_holds() -> None:
    client = Interrupted(MemoryTable(), within="transact_write_items")
    table = Table(client, name=TABLE)
    ledger = Ledger(table, Budget(table, setting=100_000))
    ledger.claims.take(image(1, 40), after=None)
    client.act = lambda: Limits(Table(client.client, name=TABLE)).set(MONTH, FOLDER, 200)

    assert ledger.mark_staged(image(1, 40), staged(image(1, 40), 50))

    (funds,) = Shards(table).read(MONTH, [FOLDER])
    assert (funds.committed, funds.exceeded) == (50, 10)
    assert sum(funds.free) <= 200 - 50 - 10


def test_order_claims_what_fits_and_is_free() -> None:
    table = Table(MemoryTable(), name=TABLE)
    ledger = Ledger(table, Budget(table, setting=150 * 100))
    images = [
        ImageRecord(
            run_id=f"run-{n}", n=1, purchase=1, lease_until=9, month=MONTH,
            reserved_micro_usd=100, attribution=replace(ADS, folder=f"ads/{n % 3}"),
        )
        for n in range(200)
    ]  # fmt: skip
    ledger.claims.take(images[7], after=None)

    errors = ledger.claims.take_many(images)

    assert isinstance(errors[7], ClaimHeldError)
    assert errors.count(None) == 149
    assert sum(isinstance(error, BudgetExceededError) for error in errors) == 50
    assert ledger.budget.read(MONTH).left == 0


@pytest.mark.parametrize(("room", "refused"), [(400, 0), (300, 100)])
def test_400_claims_in_one_instant_neither_give_up_nor_wait(room: int, refused: int) -> None:
    load = simulate(Worker.buy_now, workers=400, cap=room * IMAGE_BOUND)

    assert (load.gave_up, load.refused, load.claimed) == (0, refused, 400 - refused)
    assert load.percentile(0.99) <= 1


def test_50_orders_neither_give_up_nor_wait() -> None:
    load: Load = simulate(lambda worker: worker.order(60), workers=50)

    assert (load.gave_up, load.refused, load.claimed) == (0, 0, 3_000)
    assert load.percentile(0.99) <= 1
