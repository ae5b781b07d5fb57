"""The processes of a function in the emulator, and the calls that queue for them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from local.ministack.awslambda.workers import PATIENCE_S, START_S, Pool
from tests.support.emulator import CLOSED, STEP, Emulator, happens_within, until


def test_calls_queue_for_limited_processes(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def processes(emulator: Emulator, event: dict[str, Any]) -> list[int]:
        function = emulator.create_function(STEP)
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda _: emulator.invoke(function, event), range(8)))
        return [answer["process"] for answer in answers]

    assert len(set(processes(plain_emulator, {"seconds": 0.5}))) > 3, CLOSED

    answered = processes(patched_emulator, {"seconds": 0.1})
    assert len(answered) == 8
    assert len(set(answered)) <= 3


def test_slow_calls_get_all_allowed_processes(patched_emulator: Emulator, tmp_path: Path) -> None:
    function = patched_emulator.create_function(STEP, timeout=60)
    present, released = tmp_path / "present", tmp_path / "released"
    present.mkdir()
    event = {"present": str(present), "wait_for": str(released)}

    with ThreadPoolExecutor(8) as callers:
        answers = [callers.submit(patched_emulator.invoke, function, event) for _ in range(8)]
        try:
            until(lambda: len(list(present.iterdir())) == 3)
            # More processes would start now if there were no limit.
            assert not happens_within(2 * START_S, lambda: len(list(present.iterdir())) > 3)
        finally:
            released.touch()
    processes = {str(answer.result()["process"]) for answer in answers}

    assert processes == {process.name for process in present.iterdir()}
    assert len(list(present.iterdir())) == 3


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Process:
    in_use: bool = True


def pool_of(processes: list[Process], clock: Clock) -> Pool:
    """Return a pool on a machine with two cores. Its processes have all started and are busy."""
    pool = Pool(4, cores=2, clock=clock)
    for process in processes:
        pool.lease(list, lambda process=process: (process, "spawn"))  # type: ignore[misc]
        pool.on_start(process)
    return pool


def test_call_takes_free_process_or_starts_one() -> None:
    assert Pool(4).may_proceed([], since=0)
    clock, processes = Clock(), [Process(), Process(in_use=False)]
    assert pool_of([Process()], clock).may_proceed(processes, since=clock.now)


def test_extra_processes_start_after_long_waits() -> None:
    for busy, patience in (([Process()], PATIENCE_S), ([Process(), Process()], START_S)):
        clock = Clock()
        pool, since = pool_of(busy, clock), clock.now
        clock.now += patience * 0.9
        assert not pool.may_proceed(busy, since)
        clock.now += patience * 0.2
        assert pool.may_proceed(busy, since)
        assert not pool.may_proceed(busy, clock.now), "each call has a patience of its own"


def test_processes_start_one_at_a_time() -> None:
    busy, clock = [Process()], Clock()
    pool, since = pool_of(busy, clock), clock.now
    clock.now += 100
    busy.append(started := Process())
    pool.lease(list, lambda: (started, "spawn"))
    clock.now += 100
    assert not pool.may_proceed(busy, since)

    pool.on_start(started)  # it runs its first call
    assert not pool.may_proceed(busy, since)
    clock.now += START_S
    assert pool.may_proceed(busy, since)


def test_slow_calls_never_exceed_allowed_processes() -> None:
    busy, clock = [Process() for _ in range(4)], Clock()
    pool = pool_of(busy, clock)
    clock.now += 100

    assert pool.may_proceed(busy[:3], since=0)
    assert not pool.may_proceed(busy, since=0)


def test_calls_are_served_in_order() -> None:
    process, pool, served = Process(), Pool(1), list[int]()
    pool.lease(list, lambda: (process, "warm"))

    def call(number: int) -> None:
        pool.lease(lambda: [process], lambda: (process, "warm"))
        served.append(number)

    callers = []
    for number in range(5):
        callers.append(Thread(target=call, args=(number,)))
        callers[-1].start()
        until(lambda: len(pool.waiting) == number + 1)  # noqa: B023  it ends before the next
    process.in_use = False
    pool.on_release()
    for caller in callers:
        caller.join()

    assert served == list(range(5))


def test_recursive_function_does_not_queue_behind_itself(
    patched_emulator: Emulator, tmp_path: Path
) -> None:
    function = patched_emulator.create_function(STEP, timeout=60)
    present, released = tmp_path / "present", tmp_path / "released"
    present.mkdir()
    event = {"present": str(present), "wait_for": str(released), "call_itself": True}
    with ThreadPoolExecutor(3) as callers:
        answers = [callers.submit(patched_emulator.invoke, function, event) for _ in range(3)]
        try:
            until(lambda: len(list(present.iterdir())) == 3)  # every allowed process is busy
        finally:
            released.touch()
        assert all("process" in answer.result() for answer in answers)
