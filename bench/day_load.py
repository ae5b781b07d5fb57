"""The runs of some seconds of a busy day, in virtual time, with the code that ships.

Each run claims its prompt, waits for the chat model, settles, waits for a slot of the rate limit,
claims its image, waits for the image model, and settles. An image without a slot is retried like in
the state machine.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from bench.ledger_load import (
    CHAT,
    CHAT_BOUND,
    IMAGE_BOUND,
    MONTH,
    TRANSACTION,
    BusyDynamoDB,
    Load,
    claim_fields,
)
from bench.memory_table import TABLE, MemoryTable
from bench.pace_simulation import refusal
from bench.virtual_time import VirtualTime
from easel.aws.table import Table
from easel.contract.errors import RateLimitedError, StorageBusyError
from easel.ledger.attribution import Attribution
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from easel.ledger.rate_limit import KEY, RateLimit
from easel.ledger.records import ChatRecord, ImageRecord
from easel.request.time_limits import TURN_SECONDS
from infra.workflows import machine
from local.fake_openai.account import SlidingWindow

CAP = 10**12
PEOPLE, FOLDERS = 40, 200


@dataclass(frozen=True, kw_only=True)
class Day:
    """The parameters of a day. `images_per_minute` is both OpenAI's limit and the setting."""

    images_per_minute: int
    at_once: int = 400
    painting: tuple[float, float] = (10.0, 20.0)


@dataclass(kw_only=True)
class Window:
    """The counts of a window. `seconds` is from its first run until the last image was made."""

    runs: int
    images: int = 0
    retries: int = 0
    refused: int = 0  # by OpenAI, with 429
    seconds: float = 0
    most_at_once: int = 0
    slots_bytes: int = 0
    ledger: Load = field(default_factory=Load)


def simulate(day: Day, *, per_second: float, seconds: float, seed: int = 1) -> Window:
    """Simulate the runs that begin in some seconds, until all have ended."""
    rng, clock, client = random.Random(seed), VirtualTime(), MemoryTable()
    random.seed(seed)  # the ledger uses the global generator
    Budget(Table(client, name=TABLE), setting=CAP).read(MONTH)
    dynamodb = BusyDynamoDB(client, clock, rng, TRANSACTION)
    starts = [rng.uniform(0, seconds) for _ in range(round(per_second * seconds))]
    window, numbers = Window(runs=len(starts)), iter(range(len(starts)))
    upstream = SlidingWindow(day.images_per_minute, 60, clock)
    began, busy = clock.now, [0]

    def run() -> None:
        number = next(numbers)
        clock.sleep(starts[number])
        table = Table(dynamodb, name=TABLE, sleep=clock.sleep)
        ledger = Ledger(table, Budget(table, setting=CAP))
        pace = RateLimit(
            table,
            per_minute=day.images_per_minute,
            at_once=day.at_once,
            clock=clock,
            sleep=clock.sleep,
        )
        worker = _Worker(number, day, ledger, pace, clock, rng, window, upstream, busy)
        with suppress(StorageBusyError):  # it is counted
            worker.write_prompt()
            worker.make_image()
        window.seconds = clock.now - began

    clock.run(run, threads=len(starts))
    calls = client.get_item(TableName=TABLE, Key={"pk": {"S": KEY[0]}, "sk": {"S": KEY[1]}})
    assert not calls["Item"]["calls"]["M"]
    window.ledger.conflicts = dynamodb.calls["conflict"]
    return window


@dataclass(frozen=True)
class _Worker:
    number: int
    day: Day
    ledger: Ledger
    pace: RateLimit
    clock: VirtualTime
    rng: random.Random
    window: Window
    upstream: SlidingWindow
    busy: list[int]

    def write_prompt(self) -> None:
        chat = ChatRecord(run_id=f"run-{self.number}", **self._claim(CHAT_BOUND))
        with self.window.ledger.timing(self.clock):
            self.ledger.claims.take(chat, after=None)
        self.clock.sleep(self.rng.uniform(*CHAT))
        with self.window.ledger.timing(self.clock):
            self.ledger.claims.waste(chat, cost=CHAT_BOUND - 100)

    def make_image(self) -> None:
        """Buy the image, again after each wait of the state machine."""
        wait = machine.RATE_LIMIT_INTERVAL.to_seconds()
        while True:
            try:
                self._buy()
            except RateLimitedError:
                self.window.retries += 1
                self.clock.sleep(self.rng.uniform(0, wait))
                longest = machine.RATE_LIMIT_LONGEST.to_seconds()
                wait = min(longest, wait * machine.RATE_LIMIT_BACKOFF)
            else:
                self.window.images += 1
                return

    def _buy(self) -> None:
        image = ImageRecord(run_id=f"run-{self.number}", n=1, **self._claim(IMAGE_BOUND))
        name, until = f"{self.number:016x}-0", self.clock.now + 600
        with self.pace.slot(name, until=until, patience=TURN_SECONDS):
            with self.window.ledger.timing(self.clock):
                self.ledger.claims.take(image, after=None)
            self.busy[0] += 1
            self.window.most_at_once = max(self.window.most_at_once, self.busy[0])
            try:
                self._paint(image)
            finally:
                self.busy[0] -= 1
        staged = replace(image, staged_key="k", bytes=1, sha256="s", cost_micro_usd=13_300)
        with self.window.ledger.timing(self.clock):
            self.ledger.mark_staged(image, staged)

    def _paint(self, image: ImageRecord) -> None:
        if self.upstream.admit():
            self.window.refused += 1
            self.ledger.claims.release(image)
            self.pace.slow_down(None)
            raise RateLimitedError("OpenAI refused the call by rate") from refusal()
        self.clock.sleep(self.rng.uniform(*self.day.painting))

    def _claim(self, bound: int) -> dict[str, Any]:
        attribution = Attribution(
            folder=f"campaign/{self.number % FOLDERS}",
            person=f"p{self.number % PEOPLE}",
            trigger="api",
            model="m",
        )
        return claim_fields(bound, attribution)
