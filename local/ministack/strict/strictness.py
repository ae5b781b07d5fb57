"""How strict the emulator is, read from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

VARIABLE = "EASEL_LOCAL_STRICT"


class StrictnessError(ValueError):
    """EASEL_LOCAL_STRICT is not valid."""


@dataclass(frozen=True, kw_only=True)
class Strictness:
    """How strict the emulator is. The defaults are close to AWS, and 0 turns a row off.

    AWS publishes no figures for the three times. They are long enough for each test to meet them,
    and short enough for nobody to notice them on the page.
    """

    # seconds that a transaction of DynamoDB holds its items
    conflicts: float = 0.008
    # seconds until a change is visible in the secondary indexes of a table
    index_lag: float = 0.2
    # seconds until an execution is known after its start
    late_executions: float = 0.3
    # how much of its ephemeral storage a function may fill; 1 is all of it
    tmp: float = 1.0
    # seconds by which the clock of a function is ahead or behind. AWS keeps its clocks within
    # milliseconds, so only the tests of faults set it.
    clock_skew: float = 0.0
    # how many times as fast as on AWS the reads of Step Functions are refilled. Tests read runs
    # more often than viewers do, so only the test of viewers sets it.
    throttling: float = 0.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the defaults, with the changes in the environment. Raise StrictnessError."""
        known = [field.name for field in fields(cls)]
        changes: dict[str, float] = {}
        for word in environment.get(VARIABLE, "").split():
            name, _, number = word.partition("=")
            if name not in known or not number.replace(".", "", 1).isdecimal():
                allowed = ", ".join(f"{name}=…" for name in known)
                raise StrictnessError(
                    f"{VARIABLE} has {word!r}; allowed: numbers for {allowed}, separated by spaces"
                )
            changes[name] = float(number)
        return cls(**changes)
