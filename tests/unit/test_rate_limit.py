"""The limit of image calls.

Calls are spread evenly below it, a bounded number runs concurrently, and a 429 slows down everyone.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from easel.aws.table import Table
from easel.contract.errors import QuotaExhaustedError, RateLimitedError, TransientError
from easel.ledger.rate_limit import LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, RateLimit


class Clock:
    """A clock that advances only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(table: Table, clock: Clock) -> Callable[..., RateLimit]:
    def rate_limit(per_minute: int | None = None, at_once: int = 5) -> RateLimit:
        return RateLimit(
            table, per_minute=per_minute, at_once=at_once, clock=clock, sleep=clock.sleep
        )

    return rate_limit


def begin(limit: RateLimit, clock: Clock, call: str = "a-1-1", *, patience: float = 60) -> float:
    """Return the time at which a call begins. The call itself takes no time."""
    with limit.slot(call, until=clock.now + 300, patience=patience):
        return clock.now


def test_without_limit_nobody_waits(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit, start = make(), clock.now
    assert [begin(limit, clock, f"a-1-{n}") for n in range(20)] == [start] * 20


def test_without_limit_nobody_waits_for_fast_clocks(
    make: Callable[..., RateLimit], table: Table, clock: Clock
) -> None:
    fast, start = Clock(), clock.now
    fast.now += 30
    begin(RateLimit(table, per_minute=None, at_once=5, clock=fast, sleep=fast.sleep), fast)

    assert begin(make(), clock, "b-1-1") == start


@pytest.mark.parametrize("per_minute", [5, 40])
def test_no_minute_exceeds_the_limit(
    make: Callable[..., RateLimit], clock: Clock, per_minute: int
) -> None:
    limit = make(per_minute)
    begins = [begin(limit, clock, f"a-1-{n}", patience=600) for n in range(3 * per_minute)]
    clock.now += 3_600

    begins += [begin(limit, clock, f"b-1-{n}", patience=600) for n in range(per_minute)]

    for first in begins:
        assert sum(first <= other < first + 60 for other in begins) <= per_minute
    assert begins[3 * per_minute - 1] - begins[0] <= 3 * 60 / 0.95  # and hardly a slot is wasted


def test_slot_beyond_patience_is_refused(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make(5)
    begin(limit, clock)
    with pytest.raises(RateLimitedError, match="no free slot"):
        begin(limit, clock, "a-1-2", patience=5)

    start = clock.now
    assert begin(limit, clock, "a-1-3") - start < 60 / 5 / 0.95


def test_concurrent_calls_are_limited(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make(at_once=2)
    with ExitStack() as going_on:
        for call in ("a-1-1", "a-2-1"):
            going_on.enter_context(limit.slot(call, until=clock.now + 300, patience=0))
        with pytest.raises(RateLimitedError, match="2 of 2 slots are in use"):
            begin(limit, clock, "a-3-1", patience=10)
        assert sum(clock.slept) == pytest.approx(10, abs=0.01)
    begin(limit, clock, "a-3-1", patience=0)


def test_one_function_waits_for_a_used_slot(
    make: Callable[..., RateLimit], table: Table, clock: Clock
) -> None:
    limit = make(at_once=1)
    refused: list[float] = []
    real_sleep = clock.sleep

    def sleep(seconds: float) -> None:
        """Let another function come while this one waits."""
        clock.sleep = real_sleep  # type: ignore[method-assign]
        arrived = clock.now
        with pytest.raises(RateLimitedError):
            begin(make(at_once=1), clock, "a-3-1", patience=5)
        refused.append(clock.now - arrived)
        limit._leave("a-1-1")
        real_sleep(seconds)

    limit._enter("a-1-1", until=round(clock.now) + 300, patience=0)
    clock.sleep = sleep  # type: ignore[method-assign]
    waiting = make(at_once=1)
    start = clock.now

    assert begin(waiting, clock, "a-2-1", patience=5) - start < 1
    assert refused == [0]
    assert "waits_until" not in (table.get("pace", "images") or {})


class OrderedBounds:
    """A table that refuses a BETWEEN whose bounds are the wrong way round, as DynamoDB does."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def change(self, key: Any, expression: str, *, values: Any, **how: Any) -> Any:
        if ":latest" in values:
            assert values[":earliest"] <= values[":latest"]
        return self._table.change(key, expression, values=values, **how)


def test_slot_lost_at_the_last_look_is_refused(table: Table, clock: Clock) -> None:
    """The slot is free when the function looks, and taken again when it wants to take it."""
    ordered: Any = OrderedBounds(table)
    limit = RateLimit(ordered, per_minute=None, at_once=1, clock=clock, sleep=clock.sleep)
    limit._enter("a-1-1", until=round(clock.now) + 300, patience=0)

    assert limit._take("a-2-1", until=0, latest=round((clock.now - 0.1) * 1_000_000)) is None


def test_wait_of_a_dead_function_expires(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make(at_once=1)
    limit._enter("a-1-1", until=round(clock.now) + 300, patience=0)
    assert limit._begin_to_wait(round((clock.now + 5) * 1_000_000))
    assert not limit._begin_to_wait(round((clock.now + 6) * 1_000_000))
    clock.now += 5.1

    assert limit._begin_to_wait(round((clock.now + 5) * 1_000_000))


def test_slot_of_dead_function_expires(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make(at_once=1)
    limit._enter("a-1-1", until=round(clock.now) + 30, patience=0)
    with pytest.raises(RateLimitedError):
        begin(limit, clock, "a-2-1", patience=20)
    assert begin(limit, clock, "a-2-1", patience=20) == pytest.approx(clock.now)


def test_rate_refusal_slows_everybody(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit, other, start = make(), make(), clock.now
    begin(limit, clock)
    limit.slow_down(12)
    assert begin(other, clock, "b-1-1") == start + 12

    other.slow_down(None)
    assert begin(limit, clock, "a-1-2") == start + 12 + PAUSE_SECONDS
    limit.slow_down(3_600)
    with pytest.raises(RateLimitedError):
        begin(limit, clock, "a-1-3", patience=LONGEST_PAUSE_SECONDS - 1)


def test_refusal_delays_waiting_calls(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make(50)
    for n in range(3):
        begin(limit, clock, f"a-1-{n}")
    interrupted: list[bool] = []
    real_sleep = clock.sleep

    def sleep(seconds: float) -> None:
        if not interrupted:
            interrupted.append(True)
            limit.slow_down(20)
        real_sleep(seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    waiting = make(50, at_once=1)
    start = clock.now

    assert 20 <= begin(waiting, clock, "b-1-1") - start < 25


def test_concurrent_waiters_get_different_slots(table: Table, clock: Clock) -> None:
    limit = RateLimit(table, per_minute=250, at_once=100, clock=clock, sleep=lambda _: None)
    begin(limit, clock)
    turns = [
        limit._take(f"a-{n}-1", until=0, latest=round((clock.now + 600) * 1_000_000))
        for n in range(60)
    ]

    assert None not in turns
    assert len(set(turns)) == 60


# Refusals without end.


def refuse(limit: RateLimit, clock: Clock, *, call: str = "a-1-1") -> None:
    """Let a call be refused by rate, as the image step does."""
    error = RateLimitedError("the server answered 429")
    try:
        with limit.slot(call, until=clock.now + 300, patience=60):
            limit.slow_down(1)
            raise error
    except RateLimitedError:
        limit.check_patience(error)


def test_endless_refusals_end_the_run(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make()
    for _ in range(8):
        refuse(limit, clock)
        clock.now += 240

    with pytest.raises(QuotaExhaustedError, match=r"answered 429; .* for 3\d minutes"):
        refuse(limit, clock)


def refused_since(table: Table) -> float | None:
    """Return the time of the first refusal that counts, in seconds."""
    since = (table.get("pace", "images") or {}).get("refused_since")
    return since and since / 1_000_000


def test_success_ends_the_refusals(
    make: Callable[..., RateLimit], table: Table, clock: Clock
) -> None:
    limit = make()
    for _ in range(40):
        refuse(limit, clock)
        assert refused_since(table) is not None
        clock.now += 240
        begin(limit, clock, "b-1-1")
        assert refused_since(table) is None


def test_refusals_of_another_day_do_not_count(
    make: Callable[..., RateLimit], table: Table, clock: Clock
) -> None:
    limit = make()
    refuse(limit, clock)
    clock.now += 86_400

    refuse(limit, clock)

    since = refused_since(table)
    assert since is not None
    assert since > clock.now - 60


def test_other_errors_need_no_patience(make: Callable[..., RateLimit], clock: Clock) -> None:
    limit = make()
    for _ in range(20):
        refuse(limit, clock)
        clock.now += 90
    clock.now += 300
    limit.check_patience(TransientError("no answer"))
    with pytest.raises(QuotaExhaustedError):
        limit.check_patience(RateLimitedError("the server answered 429"))
