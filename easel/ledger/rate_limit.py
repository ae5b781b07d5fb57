"""The pace of paid image calls, one item for all runs and batches together: who may begin a call, and when.

`next_at` is the moment of the next free turn (microseconds since 1970); `calls` has each call that goes on, with the end of its
function: a function that died holds its place no longer than it could have lived. Turns are handed out by adding to `next_at`, so
however many ask at once, none has to ask again. OpenAI's 429 moves `next_at` for everybody.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from functions.adapters.table import Table, table
from functions.errors import EaselError, RateLimitedError
from functions.settings import settings

PK, SK = "pace", "images"
SECOND = 1_000_000
# A little below the limit: calls do not arrive as evenly as they leave.
SHARE = 0.97
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
LOOK_SECONDS = 1.0  # between two looks for a place


class Pace:
    """How many image calls may begin a minute (`per_minute`, None for no limit of ours), and how many may go on `at_once`."""

    def __init__(
        self,
        table: Table,
        *,
        per_minute: int | None,
        at_once: int,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table, self._clock, self._sleep = table, clock, sleep
        self._at_once = at_once
        self._interval = round(60 * SECOND / (per_minute * SHARE)) if per_minute else 0
        # What an idle while may give at once; with the rest of a minute it stays under the limit.
        self._burst = round(60 * SECOND * (1 - SHARE)) if per_minute else 0

    @contextmanager
    def turn(self, call: str, *, until: float, patience: float) -> Iterator[None]:
        """Wait for a turn and hold a place for one call; `until` is the end of its function in epoch seconds.

        Raises RateLimitedError where no turn comes within `patience` seconds: then nothing is held.
        """
        try:
            self._enter(call, until=round(until), patience=patience)
            yield
        finally:
            with suppress(EaselError):  # the place ends with `until`
                self._leave(call)

    def slow_down(self, seconds: float | None) -> None:
        """Let nobody begin for so long, after OpenAI refused a call for its pace; None where it does not say for how long."""
        pause = min(PAUSE_SECONDS if seconds is None else seconds, LONGEST_PAUSE_SECONDS)
        values, paused = {":until": self._now() + round(pause * SECOND)}, {"#paused": "paused_until"}
        both, names = "SET #next = :until, #paused = :until", paused | {"#next": "next_at"}
        if self._table.change(PK, SK, both, condition="#next < :until", names=names, values=values) is None:
            # The queue is longer than that; those who wait in it look at the pause before they begin.
            longer = "attribute_not_exists(#paused) OR #paused < :until"
            self._table.change(
                PK, SK, "SET #paused = :until", condition=f"attribute_exists(pk) AND ({longer})", names=paused, values=values
            )

    def _enter(self, call: str, *, until: int, patience: float) -> None:
        end = self._now() + round(patience * SECOND)
        while True:
            begin = self._taken(call, until=until, latest=end)
            if begin is None:
                self._make_room(end)
                continue
            if begin <= self._now():
                return
            self._sleep((begin - self._now()) / SECOND)
            item = self._table.get(PK, SK)
            if item is None or item.get("paused_until", 0) <= self._now():
                return
            self._leave(call)

    def _taken(self, call: str, *, until: int, latest: int) -> int | None:
        """The moment of the turn that was taken, with a place; None where there is none until `latest`."""
        earliest = self._now() - self._burst
        names = {"#next": "next_at", "#calls": "calls", "#call": call}
        held = {":until": until, ":at_once": self._at_once}
        idle = self._table.change(
            PK,
            SK,
            "SET #next = :next, #calls.#call = :until",
            condition="#next < :earliest AND size(#calls) < :at_once",
            names=names,
            values=held | {":next": earliest + self._interval, ":earliest": earliest},
        )
        if idle is not None:
            return earliest
        queued = self._table.change(
            PK,
            SK,
            "SET #next = #next + :interval, #calls.#call = :until",
            condition="#next BETWEEN :earliest AND :latest AND size(#calls) < :at_once",
            names=names,
            values=held | {":interval": self._interval, ":earliest": earliest, ":latest": latest},
        )
        return None if queued is None else int(queued["next_at"]) - self._interval

    def _make_room(self, end: int) -> None:
        """Return once the next try may succeed: looking costs less than trying. Raises RateLimitedError."""
        while True:
            item = self._table.get(PK, SK)
            if item is None:
                self._table.write(self._table.put_if_absent({"pk": PK, "sk": SK, "next_at": 0, "calls": {}}))
                return
            dead = [(call, until) for call, until in item["calls"].items() if until * SECOND < self._now()]
            for call, until in dead:
                self._leave(call, until)
            free = self._at_once - len(item["calls"]) + len(dead)
            if free > 0 and item["next_at"] <= end:
                return
            left = (end - self._now()) / SECOND
            if left <= 0 or free > 0:
                raise RateLimitedError(
                    f"no turn for another image call: {len(item['calls'])} of {self._at_once} go on, the next is free in "
                    f"{max(0, item['next_at'] - self._now()) / SECOND:.0f} s; this one is tried again"
                )
            self._sleep(min(random.uniform(0.5, 1.5) * LOOK_SECONDS, left))  # noqa: S311 - jitter, no secret

    def _leave(self, call: str, until: int | None = None) -> None:
        names = {"#calls": "calls", "#call": call}
        condition, values = ("attribute_exists(#calls.#call)", {}) if until is None else ("#calls.#call = :until", {":until": until})
        self._table.change(PK, SK, "REMOVE #calls.#call", condition=condition, names=names, values=values)

    def _now(self) -> int:
        return round(self._clock() * SECOND)


@cache
def pace() -> Pace:
    """That of this stack."""
    return Pace(table(), per_minute=settings().images_per_minute, at_once=settings().max_parallel_images)
