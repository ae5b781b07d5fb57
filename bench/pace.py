"""A simulation of the pace of image calls, in virtual time.

Many workers share one limit and run the code that ships: `python -m bench.pace`.

`RateLimit`, the calls and waits of `Account`, and the stand-in's limiter are real. DynamoDB is
moto's. Time is simulated: each worker is a thread, only one of them runs at a time, and the clock
jumps to the time at which the next one wakes. Also simulated are the seconds that calls, networks
and DynamoDB take, and the Retry of the image step, which calls again after a refusal.
"""

import argparse
import heapq
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import boto3
import httpx2
import openai
from moto import mock_aws
from rich.console import Console
from rich.table import Table as Grid

from easel.aws.table import Table
from easel.contract import naming
from easel.contract.errors import RateLimitedError
from easel.ledger.rate_limit import RateLimit
from easel.openai_client import client as openai_client
from easel.openai_client.client import Account
from easel.request import time_limits
from easel.request.time_limits import SLOT_SECONDS, STAGING_SECONDS
from infra.workflows.run import RATE_LIMIT_RETRIES
from local.fake_openai.account import SlidingWindow

TABLE, REGION = "records", "ap-southeast-1"
LIMIT, TOO_HIGH, WORKERS = 250, 400, 100
FUNCTION_SECONDS = time_limits.image_function_seconds(None)
# These values are those in infra/workflows/machine.py.
FIRST_WAIT, LONGEST_WAIT = 20.0, 300.0
# The ranges of random delays in seconds: from the slot to OpenAI, for an image, and for a call of
# DynamoDB.
ON_THE_WAY, PAINTING, DYNAMODB = (0.005, 0.25), (8.0, 25.0), (0.004, 0.012)


class VirtualTime:
    """A clock for threads that jumps. Only one thread runs at a time, until it sleeps."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self._order = itertools.count()
        self._sleeping: list[tuple[float, int, threading.Semaphore]] = []
        self._error: BaseException | None = None

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self.now

    monotonic = __call__

    def sleep(self, seconds: float) -> None:
        """Let other threads run for this long."""
        wakeup = self._schedule(seconds)
        self._wake_next()
        wakeup.acquire()

    def run(self, work: Callable[[], None], *, threads: int) -> None:
        """Do the same work in this many threads, and return when all are done.

        Raise the first error.
        """
        ended = threading.Semaphore(0)

        def run_thread(wakeup: threading.Semaphore) -> None:
            wakeup.acquire()
            try:
                work()
            except BaseException as error:
                self._error = self._error or error
            if self._sleeping:
                self._wake_next()
            else:
                ended.release()

        for _ in range(threads):
            threading.Thread(target=run_thread, args=(self._schedule(0),), daemon=True).start()
        self._wake_next()
        ended.acquire()
        if self._error:
            raise self._error

    def _schedule(self, seconds: float) -> threading.Semaphore:
        wakeup = threading.Semaphore(0)
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._order), wakeup))
        return wakeup

    def _wake_next(self) -> None:
        self.now, _, wakeup = heapq.heappop(self._sleeping)
        wakeup.release()


class DynamoDB:
    """Moto's client, with a delay for each call.

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
                self._bytes = _size(answer.get("Attributes", {})) or self._bytes
            finally:
                if (
                    name == "update_item"
                ):  # a refused update costs as much: a unit for each KB of the item
                    self.write_units += max(1, -(-self._bytes // 1024))
                self._clock.sleep(seconds / 2)
            return answer

        return call


def _size(item: Any) -> int:
    """Return the bytes of an item, about as DynamoDB counts them.

    Names and texts count their length, and a number counts 1 to 21 bytes.
    """
    if not isinstance(item, dict):
        return len(str(item))
    return sum(len(name) + _size(value) for name, value in item.items())


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
            headers = {"Retry-After": str(-int(-wait // 1))}
            response = httpx2.Response(
                429, headers=headers, request=httpx2.Request("POST", "http://openai.invalid")
            )
            raise openai.RateLimitError("slow down", response=response, body=None)
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
    client: Any,
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

    `setting` is RateLimit's limit, and `limit` is the one that OpenAI enforces. `client` has an
    empty table TABLE.

    With shorter images, fewer workers are enough to reach the limit, which saves real time: moto
    spends time on each call in progress.
    """
    rng = random.Random(seed)
    random.seed(seed)  # RateLimit uses the global generator
    clock = VirtualTime()
    dynamodb = DynamoDB(client, clock, rng)
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
                f"{naming.image_id(f'bench-{number}', 1)}-1", until=end, patience=SLOT_SECONDS
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
            counts["came again" if has_slot else "no turn"] += 1
            raise

    def work() -> None:
        for number in numbers:
            for attempt in range(RATE_LIMIT_RETRIES + 1):
                try:
                    visit(number)
                except RateLimitedError:
                    clock.sleep(rng.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)))
                else:
                    counts["made"] += 1
                    attempts[0] = max(attempts[0], attempt + 1)
                    break

    with patch.object(openai_client, "time", clock):
        clock.run(work, threads=workers)
    return Outcome(
        setting=setting,
        limit=limit,
        workers=workers,
        items=items,
        pictures=counts["made"],
        accepted=upstream.accepted,
        refused=upstream.refused,
        no_slot=counts["no turn"],
        retries=counts["came again"],
        longest_wait=waits[0],
        most_attempts=attempts[0],
        calls=dynamodb.calls,
        write_units=dynamodb.write_units,
    )


def main() -> None:
    """Print the outcomes of a correct setting and of one that is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument(
        "--workers", type=int, default=WORKERS, help="lines that go on at once, of all batches"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=WORKERS,
        help="calls at once that RateLimit allows: max_parallel_images",
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcomes = []
    for setting in (LIMIT, TOO_HIGH):
        started = time.perf_counter()
        with aws() as client:
            outcomes.append(
                simulate(
                    client,
                    items=options.items,
                    workers=options.workers,
                    at_once=options.at_once,
                    setting=setting,
                    seed=options.seed,
                )
            )
        print(
            f"setting {setting}: {outcomes[-1].seconds / 60:.1f} virtual minutes in "
            f"{time.perf_counter() - started:.0f} s",
            flush=True,
        )
    _print(outcomes)


def aws() -> "_Aws":
    """Return an AWS in memory with an empty table."""
    return _Aws()


class _Aws:
    def __enter__(self) -> Any:
        self._mock = mock_aws()
        self._mock.start()
        naming = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client: Any = boto3.client("dynamodb", region_name=REGION, **naming)  # type: ignore[call-overload]
        client.create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        return client

    def __exit__(self, *_: object) -> None:
        self._mock.stop()


def _print(outcomes: Sequence[Outcome]) -> None:
    title = (
        f"{outcomes[0].items:,} image calls by {outcomes[0].workers} workers against "
        f"{outcomes[0].limit} a minute"
    )
    grid = Grid(title=title, title_justify="left")
    grid.add_column("")
    for outcome in outcomes:
        grid.add_column(f"setting {outcome.setting}", justify="right")
    rows: dict[str, Callable[[Outcome], str]] = {
        "pictures made": lambda outcome: f"{outcome.pictures:,}",
        "calls accepted": lambda outcome: f"{len(outcome.accepted):,}",
        "calls refused (429)": lambda outcome: (
            f"{outcome.refused:,}, {outcome.refused_percentage:.2f} %"
        ),
        "throughput, of the limit": lambda outcome: f"{outcome.throughput_percentage:.1f} %",
        "minutes, first to last call": lambda outcome: f"{outcome.seconds / 60:.1f}",
        "longest wait for a turn": lambda outcome: f"{outcome.longest_wait:.1f} s",
        "turns refused": lambda outcome: f"{outcome.no_slot:,}",
        "came again after a 429": lambda outcome: f"{outcome.retries:,}",
        "invocations of one picture, most": lambda outcome: f"{outcome.most_attempts}",
        "DynamoDB updates a picture": lambda outcome: (
            f"{outcome.calls['update_item'] / outcome.items:.2f}"
        ),
        "DynamoDB reads a picture": lambda outcome: (
            f"{outcome.calls['get_item'] / outcome.items:.2f}"
        ),
        "DynamoDB write units a picture": lambda outcome: (
            f"{outcome.write_units / outcome.items:.1f}"
        ),
    }
    for name, show in rows.items():
        grid.add_row(name, *map(show, outcomes))
    Console().print(grid)


if __name__ == "__main__":
    main()
