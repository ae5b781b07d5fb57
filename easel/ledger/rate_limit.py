"""The rate limit of paid image calls: one item for all runs and batches.

`next_at` is the time of the next free slot (microseconds since 1970). `calls` maps each running
call to its function's end, so the slot of a dead function expires at that function's timeout. A
slot is taken by adding to `next_at`, so concurrent callers need no retry. A 429 from OpenAI moves
`next_at` for all of them. `refused_since` and `refused_at` are the first and the latest 429 since
the last call that succeeded. `waits_until` is set while a function waits although all slots are in
use: only one may.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from easel.aws.table import Key, Table
from easel.contract.errors import EaselError, QuotaExhaustedError, RateLimitedError

KEY: Key = ("pace", "images")
SECOND = 1_000_000
# The rate is a little below the limit, because calls do not arrive as evenly as they are sent.
SHARE = 0.97
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
# A retry waits at most a minute, so refusals that are further apart do not belong together.
PATIENCE_MINUTES, RECENT_MINUTES = 30, 10
LOOK_SECONDS = 0.3  # between two reads while waiting for a slot


class RateLimit:
    """How many image calls may start per minute (None: no limit) and run at the same time."""

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
        # The burst after a pause, in time: the calls of this many seconds may start immediately.
        # Together with the calls of the rest of the minute they stay within the limit.
        self._burst = round(60 * SECOND * (1 - SHARE)) if per_minute else 0

    @contextmanager
    def slot(self, call: str, *, until: float, patience: float) -> Iterator[None]:
        """Wait for a slot and hold it for one call. `until` is its function's end (epoch seconds).

        Raises RateLimitedError, and holds no slot, if none is free within `patience` seconds, or if
        all are in use and another function waits already.
        """
        expression = "REMOVE #calls.#call"
        try:
            self._enter(call, until=round(until), patience=patience)
            yield
            expression += ", #refused_since, #refused_at"  # a call has succeeded
        finally:
            with suppress(EaselError):  # the slot expires at `until` anyway
                self._leave(call, expression=expression)

    def slow_down(self, seconds: float | None) -> None:
        """Pause all calls, after OpenAI refused one with a rate limit.

        `seconds` is None if OpenAI gives no time.
        """
        pause = min(PAUSE_SECONDS if seconds is None else seconds, LONGEST_PAUSE_SECONDS)
        values = {":until": self._now() + round(pause * SECOND)}
        both = "SET #next_at = :until, #paused_until = :until"
        if self._table.change(KEY, both, condition="#next_at < :until", values=values) is None:
            # The queue already reaches beyond the pause. Waiting calls check `paused_until` before
            # they start.
            longer = "attribute_not_exists(#paused_until) OR #paused_until < :until"
            condition = f"attribute_exists(pk) AND ({longer})"
            pause_only = "SET #paused_until = :until"
            self._table.change(KEY, pause_only, condition=condition, values=values)
        self._note_refusal()

    def check_patience(self, error: EaselError) -> None:
        """Raise QuotaExhaustedError if OpenAI refuses calls by rate for too long.

        A gateway may report an empty account or a wrong limit as a rate limit, which no wait ends.
        """
        item = self._table.get(*KEY) if isinstance(error, RateLimitedError) else None
        since = item.get("refused_since") if item else None
        minutes = (self._now() - since) / SECOND / 60 if since else 0
        if minutes > PATIENCE_MINUTES:
            raise QuotaExhaustedError(
                f"{error}; no image call has succeeded for {minutes:.0f} minutes: check the "
                "account's credit and its limits, then resume the run"
            ) from error

    def _note_refusal(self) -> None:
        """Record since when OpenAI has refused calls without a success in between."""
        now = self._now()
        values = {":now": now, ":recent": now - RECENT_MINUTES * 60 * SECOND}
        again, first = "SET #refused_at = :now", "SET #refused_since = :now, #refused_at = :now"
        if self._table.change(KEY, again, condition="#refused_at > :recent", values=values) is None:
            # No earlier refusal counts, so the minutes start now.
            condition = "attribute_exists(pk)"
            self._table.change(KEY, first, condition=condition, values={":now": now})

    def _enter(self, call: str, *, until: int, patience: float) -> None:
        end = self._now() + round(patience * SECOND)
        while True:
            begin = self._take(call, until=until, latest=end)
            if begin is None:
                self._wait_for_room(end)
                continue
            if begin <= self._now():
                return
            self._sleep((begin - self._now()) / SECOND)
            item = self._table.get(*KEY)
            if item is None or item.get("paused_until", 0) <= self._now():
                return
            self._leave(call)

    def _take(self, call: str, *, until: int, latest: int) -> int | None:
        """Take a slot and return its start, or None if no slot is free before `latest`."""
        earliest = self._now() - self._burst
        # Without a rate, only a pause moves `next_at`, so nobody waits for a clock that is ahead.
        following = earliest + self._interval if self._interval else 0
        names, held = {"#call": call}, {":until": until, ":at_once": self._at_once}
        idle = self._table.change(
            KEY,
            "SET #next_at = :next, #calls.#call = :until",
            condition="#next_at < :earliest AND size(#calls) < :at_once",
            names=names,
            values=held | {":next": following, ":earliest": earliest},
        )
        if idle is not None:
            return earliest
        # A waiting function looks once more when its patience has ended, so `latest` may be past.
        # DynamoDB refuses a BETWEEN whose lower bound is above the upper one.
        latest = max(latest, earliest)
        bounds = {":interval": self._interval, ":earliest": earliest, ":latest": latest}
        queued = self._table.change(
            KEY,
            "SET #next_at = #next_at + :interval, #calls.#call = :until",
            condition="#next_at BETWEEN :earliest AND :latest AND size(#calls) < :at_once",
            names=names,
            values=held | bounds,
        )
        return None if queued is None else int(queued["next_at"]) - self._interval

    def _wait_for_room(self, end: int) -> None:
        """Return when a slot may be free. A read is cheaper than a failed write.

        If all slots are in use, one function waits for the next, which would be unused otherwise.
        If more waited, they would take the places of functions that have something to do. Raises
        RateLimitedError.
        """
        waits = False
        try:
            while True:
                item = self._table.get(*KEY)
                if item is None:
                    new = {"pk": KEY[0], "sk": KEY[1], "next_at": 0, "calls": {}}
                    self._table.write(self._table.put_if_absent(new))
                    return
                calls = item["calls"].items()
                dead = [(call, until) for call, until in calls if until * SECOND < self._now()]
                for call, until in dead:
                    self._leave(call, until)
                used, left = len(calls) - len(dead), (end - self._now()) / SECOND
                is_soon = item["next_at"] <= end
                if used < self._at_once and is_soon:
                    return
                waits = waits or (is_soon and left > 0 and self._begin_to_wait(end))
                if not waits or not is_soon or left <= 0:
                    wait = max(0, item["next_at"] - self._now()) / SECOND
                    raise RateLimitedError(
                        f"no free slot for an image call: {used} of {self._at_once} slots are in "
                        f"use, the next is free in {wait:.0f} s; retrying"
                    )
                pause = random.uniform(0.5, 1.5) * LOOK_SECONDS  # noqa: S311 - not a secret
                self._sleep(min(pause, left))
        finally:
            if waits:
                with suppress(EaselError):  # it expires at `end` anyway
                    self._end_wait(end)

    def _begin_to_wait(self, end: int) -> bool:
        """Become the one function that waits for a slot, until `end`, or return False."""
        is_free = "attribute_not_exists(#waits_until) OR #waits_until < :now"
        values = {":end": end, ":now": self._now()}
        begins = self._table.change(
            KEY, "SET #waits_until = :end", condition=is_free, values=values
        )
        return begins is not None

    def _end_wait(self, end: int) -> None:
        mine = "#waits_until = :end"
        self._table.change(KEY, "REMOVE #waits_until", condition=mine, values={":end": end})

    def _leave(
        self, call: str, until: int | None = None, *, expression: str = "REMOVE #calls.#call"
    ) -> None:
        condition, values = "attribute_exists(#calls.#call)", {}
        if until is not None:
            condition, values = "#calls.#call = :until", {":until": until}
        names = {"#call": call}
        self._table.change(KEY, expression, condition=condition, values=values, names=names)

    def _now(self) -> int:
        return round(self._clock() * SECOND)
