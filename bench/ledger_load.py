"""The ledger when many calls claim and settle at once, in virtual time (bench/virtual_time.py).

The ledger is the code that ships, and the table is the local AWS's. As on AWS, a transaction holds
its items while it runs, and other writes of these items are refused.
tests/local/test_contention_model.py compares this with the local AWS.
"""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

from bench.memory_table import TABLE, MemoryTable
from bench.virtual_time import VirtualTime
from easel.aws.table import Table
from easel.contract.errors import BudgetExceededError, StorageBusyError
from easel.ledger.attribution import Attribution
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.ledger.records import ChatRecord, ImageRecord

MONTH = "2026-11"
TRANSACTION = 0.025  # seconds, on average
READ, REFUSED = 0.006, 0.006
CHAT, PAINTING = (1.0, 4.0), (10.0, 20.0)  # seconds of the calls between a claim and its end
CHAT_BOUND, IMAGE_BOUND = 600, 13_800  # micro-dollars
ENOUGH = 1_000_000_000


class BusyDynamoDB:
    """A table with delays, in which transactions on one item conflict."""

    def __init__(self, client: Any, clock: VirtualTime, rng: random.Random, seconds: float) -> None:
        self._client, self._clock, self._rng, self._seconds = client, clock, rng, seconds
        self._held_until: dict[tuple[str, str], float] = {}
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        """Return a read, with its delay."""

        def call(**parameters: Any) -> Any:
            self.calls[name] += 1
            self._clock.sleep(READ)
            return getattr(self._client, name)(**parameters)

        return call

    def transact_write_items(self, **parameters: Any) -> Any:
        """Hold the items while the transaction runs, or refuse it."""
        items = [_key(write) for entry in parameters["TransactItems"] for write in entry.values()]
        held = list(map(self._is_held, items))
        if any(held):
            self.calls["conflict"] += 1
            self._clock.sleep(REFUSED)
            codes = ["TransactionConflict" if is_held else "None" for is_held in held]
            answer: Any = {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": code} for code in codes],
            }
            raise ClientError(answer, "TransactWriteItems")
        self.calls["transact_write_items"] += 1
        seconds = self._rng.lognormvariate(0, 0.4) * self._seconds
        try:
            answer = self._client.transact_write_items(**parameters)
        except ClientError:
            self._clock.sleep(REFUSED)  # a failed condition ends it early
            raise
        self._held_until |= dict.fromkeys(items, self._clock.now + seconds)
        self._clock.sleep(seconds)
        return answer

    def update_item(self, **parameters: Any) -> Any:
        """Write one item, or refuse it if a transaction holds the item."""
        self._clock.sleep(READ)
        if self._is_held(_key(parameters)):
            self.calls["conflict"] += 1
            refusal: Any = {"Error": {"Code": "TransactionConflictException"}}
            raise ClientError(refusal, "UpdateItem")
        self.calls["update_item"] += 1
        return self._client.update_item(**parameters)

    def _is_held(self, item: tuple[str, str]) -> bool:
        return self._held_until.get(item, 0) > self._clock.now


@dataclass(kw_only=True)
class Load:
    """The counts of a simulation. Waits are the virtual seconds of each claim and settlement."""

    waits: list[float] = field(default_factory=list)
    gave_up: int = 0
    refused: int = 0
    claimed: int = 0
    conflicts: int = 0
    calls: int = 0
    committed: int = 0
    cap: int = 0

    @contextmanager
    def timing(self, clock: VirtualTime) -> Iterator[None]:
        """Measure one claim or settlement, and count it if it gives up or is refused."""
        start = clock.now
        try:
            yield
        except StorageBusyError:
            self.gave_up += 1
            raise
        except BudgetExceededError:
            self.refused += 1
            raise
        finally:
            self.waits.append(clock.now - start)

    def percentile(self, share: float) -> float:
        """Return the wait that this share of all waits does not exceed."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(share * len(self.waits)))]


def simulate(
    work: Callable[["Worker"], None],
    *,
    workers: int,
    cap: int = ENOUGH,
    seconds: float = TRANSACTION,
    seed: int = 1,
) -> Load:
    """Let workers do the same work at once. Like a process, each has its own ledger."""
    load, clock, rng = Load(cap=cap), VirtualTime(), random.Random(seed)
    random.seed(seed)  # the ledger uses the global generator
    numbers = iter(range(workers))
    client = MemoryTable()
    budget = Budget(Table(client, name=TABLE), setting=cap)
    budget.read(MONTH)
    dynamodb = BusyDynamoDB(client, clock, rng, seconds)

    def run() -> None:
        table = Table(dynamodb, name=TABLE, sleep=clock.sleep)
        ledger = Ledger(table, Budget(table, setting=cap))
        worker = Worker(next(numbers), ledger, clock, rng, load)
        with suppress(StorageBusyError, BudgetExceededError):  # they are counted
            work(worker)

    clock.run(run, threads=workers)
    load.committed = budget.read(MONTH).committed
    load.conflicts, load.calls = dynamodb.calls["conflict"], dynamodb.calls.total()
    return load


@dataclass(frozen=True)
class Worker:
    """One function's process. All of them work in one folder and for one person."""

    number: int
    ledger: Ledger
    clock: VirtualTime
    rng: random.Random
    load: Load

    def make_image(self) -> None:
        """Buy a prompt and an image, as a run does."""
        self.clock.sleep(self.rng.uniform(0, 1))
        chat = self.claim(ChatRecord(run_id=f"run-{self.number}", **self._claim(CHAT_BOUND)))
        self.clock.sleep(self.rng.uniform(*CHAT))
        with self.load.timing(self.clock):
            self.ledger.claims.waste(chat, cost=CHAT_BOUND - 100)
        self.buy(self.rng.uniform(*PAINTING))

    def buy_now(self) -> None:
        """Buy an image at the same time as all others."""
        self.buy(self.rng.uniform(*PAINTING))

    def buy(self, seconds: float) -> None:
        """Claim an image, wait for it, and settle it."""
        image = self.claim(self._image(f"run-{self.number}", 1))
        self.clock.sleep(seconds)
        self.settle(image)

    def order(self, size: int = 200) -> None:
        """Claim an order's images, then settle one after another while their bytes are stored."""
        images = [self._image(f"order-{self.number}", n) for n in range(1, size + 1)]
        self.clock.sleep(self.rng.uniform(0, 1))
        if hasattr(self.ledger.claims, "take_many"):
            with self.load.timing(self.clock):
                errors = self.ledger.claims.take_many(images)
            self.load.claimed += errors.count(None)
        else:  # a version without it
            for image in images:
                self.claim(image)
        for image in images:
            self.clock.sleep(self.rng.uniform(0.05, 0.15))  # the bytes go to staging
            self.settle(image)

    def claim(self, claim: Any) -> Any:
        """Take a claim and return it."""
        with self.load.timing(self.clock):
            self.ledger.claims.take(claim, after=None)
        self.load.claimed += 1
        return claim

    def settle(self, image: ImageRecord) -> None:
        """Settle an image at a little less than its bound."""
        staged = replace(image, staged_key="k", bytes=1, sha256="s", cost_micro_usd=13_300)
        with self.load.timing(self.clock):
            self.ledger.mark_staged(image, staged)

    def _image(self, run_id: str, n: int) -> ImageRecord:
        return ImageRecord(run_id=run_id, n=n, **self._claim(IMAGE_BOUND))

    def _claim(self, bound: int) -> dict[str, Any]:
        attribution = Attribution(folder="ads/spring", person="anna", trigger="page", model="m")
        return claim_fields(bound, attribution)


def claim_fields(bound: int, attribution: Attribution) -> dict[str, Any]:
    """Return the fields of a claim that does not expire during a simulation."""
    return {
        "purchase": 1,
        "lease_until": 9_000_000_000,
        "month": MONTH,
        "reserved_micro_usd": bound,
        "attribution": attribution,
    }


def _key(write: dict[str, Any]) -> tuple[str, str]:
    attributes = write.get("Key") or write["Item"]
    return attributes["pk"]["S"], attributes["sk"]["S"]


LOADS: dict[str, Callable[[], Load]] = {
    "400 runs at once": lambda: simulate(Worker.make_image, workers=400),
    "400 claims in one instant": lambda: simulate(Worker.buy_now, workers=400),
    "400 claims, room for exactly 400": lambda: simulate(
        Worker.buy_now, workers=400, cap=400 * IMAGE_BOUND
    ),
    "400 claims, room for 300": lambda: simulate(
        Worker.buy_now, workers=400, cap=300 * IMAGE_BOUND
    ),
    "50 orders of 200 images": lambda: simulate(Worker.order, workers=50),
}


def main() -> None:
    """Print the outcome of each load as JSON. This also works with a version without shards."""
    logging.disable()
    lines = []
    for name, run in LOADS.items():
        load = run()
        lines.append(
            {
                "load": name,
                "operations": len(load.waits),
                "gave_up": load.gave_up,
                "refused": load.refused,
                "p50": load.percentile(0.5),
                "p99": load.percentile(0.99),
                "longest": load.percentile(1),
                "conflicts": load.conflicts,
                "above_cap": max(0, load.committed - load.cap),
            }
        )
    print(json.dumps(lines))


if __name__ == "__main__":
    main()
