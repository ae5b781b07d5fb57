"""A small model of the budget's shards, with every interleaving of its steps.

The steps are those of easel/ledger/shards.py, where each read and each transaction is one step. A
process may stop for ever after any step, which stands for its death. So the states that are reached
here include each one in which something has died.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

SHARDS = 2


@dataclass(frozen=True)
class Process:
    """A process: what it does (`kind`), where it is (`at`), and what it has read."""

    kind: str
    amount: int
    at: str = "start"
    version: int = 0
    cap: int = 0
    seen: tuple[tuple[int, int], ...] = ()  # (free, committed) of the shards read so far


@dataclass(frozen=True)
class World:
    """The table and the processes.

    `highest` is what may be committed while a new cap is not in force yet. Without `versioned`, the
    model has the mistake that versions prevent.
    """

    cap: int
    version: int
    shards: tuple[tuple[int, int], ...]
    processes: tuple[Process, ...]
    highest: int
    versioned: bool = True

    @property
    def committed(self) -> int:
        return sum(committed for _, committed in self.shards)

    @property
    def free(self) -> int:
        return sum(free for free, _ in self.shards)


Then = Callable[..., World]  # returns a world with a changed process


def with_shard(world: World, shard: int, *, free: int = 0, committed: int = 0) -> World:
    """Return the world with amounts added to one shard."""
    shards = list(world.shards)
    shards[shard] = (shards[shard][0] + free, shards[shard][1] + committed)
    return replace(world, shards=tuple(shards))


def moves(world: World) -> Iterator[World]:
    """Yield the world after each step that a process may do next."""
    for number, process in enumerate(world.processes):

        def then(world: World, *, number: int = number, **changes: Any) -> World:
            processes = list(world.processes)
            processes[number] = replace(processes[number], **changes)
            return replace(world, processes=tuple(processes))

        if process.kind == "claim":
            yield from claim_moves(world, process, then)
        elif process.kind == "settle" and process.at == "start":
            for shard in range(SHARDS):  # the reservation ends below its bound, in any shard
                yield then(with_shard(world, shard, committed=-process.amount), at="end")
        elif process.kind == "set cap":
            yield from cap_moves(world, process, then)


def claim_moves(world: World, process: Process, then: Then) -> Iterator[World]:
    """Yield the steps of a claim: try a shard, or read all, then deal or gather."""
    bound, do = process.amount, then
    if process.at == "start":
        for shard, (free, _) in enumerate(world.shards):
            if free >= bound:
                after = with_shard(world, shard, free=-bound, committed=bound)
                yield do(after, at="claimed", version=0, cap=0, seen=())
            else:
                yield do(world, at="head")
    elif process.at == "head":
        yield do(world, at="read", version=world.version, cap=world.cap, seen=())
    elif process.at == "read" and len(process.seen) < SHARDS:
        seen = (*process.seen, world.shards[len(process.seen)])
        yield do(world, seen=seen)
    elif process.at == "read":
        undealt = process.cap - sum(map(sum, process.seen))
        if undealt + sum(free for free, _ in process.seen) < bound:
            yield do(world, at="refused", seen=())
        elif any(free >= bound for free, _ in process.seen):
            yield do(world, at="start", seen=())
        else:
            for shard in range(SHARDS):
                yield gathered(world, process, shard, undealt, do)


def gathered(world: World, process: Process, shard: int, undealt: int, do: Then) -> World:
    """Return the world after a transaction that moves money to a shard, if its conditions hold."""
    others = [other for other in range(SHARDS) if other != shard]
    holds = world.version == process.version and all(
        world.shards[other][0] >= process.seen[other][0] for other in others
    )
    if not holds:
        return do(world, at="head", seen=())
    gain = undealt
    for other in others:
        gain += process.seen[other][0]
        world = with_shard(world, other, free=-process.seen[other][0])
    if gain > 0:
        world = with_shard(world, shard, free=gain)
    world = replace(world, version=world.version + world.versioned)
    return do(world, at="start", seen=())


def cap_moves(world: World, process: Process, then: Then) -> Iterator[World]:
    """Yield the steps of a changed cap: write the head, then take the shards' money back."""
    if process.at == "start":
        world = replace(world, cap=process.amount, version=world.version + 1)
        yield then(world, at="0")
    elif process.at.isdigit():
        shard = int(process.at)
        world = with_shard(world, shard, free=-world.shards[shard][0])
        at = str(shard + 1) if shard + 1 < SHARDS else "end"
        if at == "end":  # from now on, the new cap holds
            world = replace(world, highest=max(world.cap, world.committed))
        yield then(world, at=at)


def reachable(start: World) -> set[World]:
    """Return every state that some interleaving reaches."""
    known, waiting = {start}, [start]
    while waiting:
        for world in moves(waiting.pop()):
            if world not in known:
                known.add(world)
                waiting.append(world)
    return known


CLAIMS = (Process("claim", 2), Process("claim", 1), Process("claim", 2))


@pytest.mark.parametrize(
    ("processes", "cap", "shards"),
    [
        (CLAIMS, 3, ((2, 0), (1, 0))),
        (CLAIMS, 5, ((1, 0), (1, 0))),
        ((*CLAIMS[:2], Process("settle", 2)), 4, ((0, 2), (1, 1))),
        ((*CLAIMS[:2], Process("set cap", 1)), 4, ((2, 0), (2, 0))),
        ((*CLAIMS[:2], Process("set cap", 6)), 2, ((1, 1), (0, 0))),
        ((CLAIMS[0], Process("settle", 1), Process("set cap", 2)), 5, ((2, 1), (1, 1))),
    ],
)
def test_no_interleaving_exceeds_the_cap(
    processes: tuple[Process, ...], cap: int, shards: tuple[tuple[int, int], ...]
) -> None:
    start = World(cap=cap, version=1, shards=shards, processes=processes, highest=cap)
    worlds = reachable(start)

    assert len(worlds) > 100
    for world in worlds:
        changing = any(each.kind == "set cap" and each.at != "end" for each in world.processes)
        assert all(free >= 0 for free, _ in world.shards)
        limit = max(world.highest, world.cap) if changing else world.highest
        assert world.committed <= max(limit, start.committed)
        if not changing:
            assert world.free <= max(0, world.cap - world.committed)


def test_claims_that_fit_are_never_refused() -> None:
    start = World(cap=5, version=1, shards=((1, 0), (1, 0)), processes=CLAIMS, highest=5)
    worlds = reachable(start)

    assert not any(each.at == "refused" for world in worlds for each in world.processes)
    assert any(all(each.at == "claimed" for each in world.processes) for world in worlds)


def test_model_finds_the_mistake_that_versions_prevent() -> None:
    start = World(
        cap=3, version=1, shards=((0, 0), (0, 0)), processes=CLAIMS, highest=3, versioned=False
    )

    assert any(world.committed > world.cap for world in reachable(start))
