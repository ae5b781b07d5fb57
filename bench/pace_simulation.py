"""Simulate many workers that share one rate limit, in virtual time.

The code that ships runs here: `RateLimit`, the calls and waits of `Account`, and the limiter of the
fake OpenAI. DynamoDB is a table in this process. Time is simulated: each worker is a thread, only
one thread runs at a time, and the clock jumps to the time at which the next one wakes. The
durations of calls, networks and DynamoDB are simulated, too, and so is the Retry of the image step,
which calls again after a refusal.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx2
import openai

from bench.item_size import typed_size
from bench.memory_table import TABLE, MemoryTable
from bench.virtual_time import VirtualTime
from easel.aws.table import Table
from easel.contract import naming
from easel.contract.errors import RateLimitedError
from easel.ledger.rate_limit import RateLimit
from easel.openai_client import client as openai_client
from easel.openai_client.client import Account
from easel.request import time_limits
from easel.request.time_limits import STAGING_SECONDS, TURN_SECONDS
from infra.workflows import machine
from infra.workflows.run import RATE_LIMIT_RETRIES
from local.fake_openai.account import SlidingWindow

LIMIT, WORKERS = 250, 100
FUNCTION_SECONDS = time_limits.image_function_seconds(None)
FIRST_WAIT = machine.RATE_LIMIT_INTERVAL.to_seconds()
LONGEST_WAIT = machine.RATE_LIMIT_LONGEST.to_seconds()
# The ranges of random delays in seconds: from the slot to OpenAI, for an image, and for a call of
# DynamoDB.
ON_THE_WAY, PAINTING, DYNAMODB = (0.005, 0.25), (8.0, 25.0), (0.004, 0.012)


class DynamoDB:
    """A client of the table that delays each call.

    It counts the calls, and the write units of the updates.
    """

    def __init__(self, client: Any, clock: VirtualTime, rng: random.Random) -> None:
        self._client, self._clock, self._rng = client, clock, rng
        self.calls: Counter[str] = Counter()
        self.write_units, self._bytes = 0, 0

    def __getattr__(self, name: str) -> Any:
        """Return any operation, with its delay."""

        def call(**parameters: Any) -> Any:
            self.calls[name] += 1
            seconds = self._rng.uniform(*DYNAMODB)
            self._clock.sleep(seconds / 2)
            try:
                answer = getattr(self._client, name)(**parameters)
                self._bytes = typed_size(answer.get("Attributes", {})) or self._bytes
            finally:
                # A refused update costs as much: a unit for each KB of the item.
                if name == "update_item":
                    self.write_units += max(1, -(-self._bytes // 1024))
                self._clock.sleep(seconds / 2)
            return answer

        return call


def refusal(headers: Mapping[str, str] | None = None) -> openai.RateLimitError:
    """Return the SDK's error for a 429 response of OpenAI."""
    call = httpx2.Request("POST", "http://openai.invalid")
    response = httpx2.Response(429, headers=headers, request=call)
    return openai.RateLimitError("slow down", response=response, body=None)


@dataclass(kw_only=True)
class Upstream:
    """OpenAI: a limit of images per minute, a network delay, and a delay for each image."""

    window: SlidingWindow
    painting: tuple[float, float]
    clock: VirtualTime
    rng: random.Random
    accepted: list[float] = field(default_factory=list)
    refused: int = 0

    def paint(self) -> tuple[dict[str, Any], str | None]:
        """Make one call. Raise openai.RateLimitError if it is over the limit."""
        self.clock.sleep(self.rng.uniform(*ON_THE_WAY))
        wait = self.window.admit()
        if wait:
            self.refused += 1
            raise refusal({"Retry-After": str(-int(-wait // 1))})
        self.accepted.append(self.clock.now)
        self.clock.sleep(self.rng.uniform(*self.painting))
        return {}, None


class NoSecret:
    """The secret that the account needs."""

    def value(self) -> str:
        """Return an API key. Any key is accepted."""
        return "any"

    refresh = value


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The counts of a simulation. Seconds are virtual."""

    setting: int
    limit: int
    workers: int
    items: int
    pictures: int
    accepted: Sequence[float]
    refused: int
    no_slot: int
    retries: int
    longest_wait: float
    most_attempts: int
    calls: Counter[str]
    write_units: int

    @property
    def seconds(self) -> float:
        """Return the time from the first accepted call to the last."""
        return self.accepted[-1] - self.accepted[0]

    @property
    def refused_percentage(self) -> float:
        """Return the percentage of calls that OpenAI answered with 429."""
        return 100 * self.refused / (self.refused + len(self.accepted))

    @property
    def throughput_percentage(self) -> float:
        """Return the accepted calls as a percentage of what the limit allows in that time."""
        return 100 * 60 * (len(self.accepted) - 1) / self.seconds / self.limit


def simulate(
    *,
    items: int,
    workers: int = WORKERS,
    at_once: int = WORKERS,
    setting: int = LIMIT,
    limit: int = LIMIT,
    painting: tuple[float, float] = PAINTING,
    seed: int = 1,
) -> Outcome:
    """Simulate this many images.

    `setting` is the limit of RateLimit, and `limit` is OpenAI's limit.

    If the images take less time, fewer workers are enough to reach the limit. That saves real time.
    """
    rng = random.Random(seed)
    random.seed(seed)  # RateLimit uses the global generator
    clock = VirtualTime()
    dynamodb = DynamoDB(MemoryTable(), clock, rng)
    rate_limit = RateLimit(
        Table(dynamodb, name=TABLE, sleep=clock.sleep),
        per_minute=setting,
        at_once=at_once,
        clock=clock,
        sleep=clock.sleep,
    )
    upstream = Upstream(
        window=SlidingWindow(limit, 60, clock), painting=painting, clock=clock, rng=rng
    )
    account = Account(NoSecret(), base_url="http://openai.invalid")
    numbers, counts, waits, attempts = iter(range(items)), Counter[str](), [0.0], [0]

    def visit(number: int) -> None:
        """Simulate one invocation of the image step. Raise RateLimitedError."""
        end, doing = clock.now + FUNCTION_SECONDS, f"call {number}"
        arrived, has_slot = clock.now, False
        try:
            with rate_limit.slot(
                f"{naming.image_id(f'bench-{number}', 1)}-1", until=end, patience=TURN_SECONDS
            ):
                has_slot, waits[0] = True, max(waits[0], clock.now - arrived)
                account.call_within(
                    lambda _: upstream.paint(),
                    end=end - STAGING_SECONDS,
                    parameters={},
                    doing=doing,
                    slow_down=rate_limit.slow_down,
                )
        except RateLimitedError:
            counts["retry" if has_slot else "no slot"] += 1
            raise

    def work() -> None:
        for number in numbers:
            for attempt in range(RATE_LIMIT_RETRIES + 1):
                try:
                    visit(number)
                except RateLimitedError:
                    longest = FIRST_WAIT * machine.RATE_LIMIT_BACKOFF**attempt
                    clock.sleep(rng.uniform(0, min(LONGEST_WAIT, longest)))
                else:
                    counts["image"] += 1
                    attempts[0] = max(attempts[0], attempt + 1)
                    break

    with patch.object(openai_client, "time", clock):
        clock.run(work, threads=workers)
    return Outcome(
        setting=setting,
        limit=limit,
        workers=workers,
        items=items,
        pictures=counts["image"],
        accepted=upstream.accepted,
        refused=upstream.refused,
        no_slot=counts["no slot"],
        retries=counts["retry"],
        longest_wait=waits[0],
        most_attempts=attempts[0],
        calls=dynamodb.calls,
        write_units=dynamodb.write_units,
    )
