"""Money: whole micro-dollars inside, dollars at the edges (messages, API, sidecars, screen).

A token at $1 per million costs one micro-dollar. An unknown amount is None, never 0.
"""

import math
from collections.abc import Iterable
from typing import overload

MICRO = 1_000_000


@overload
def dollars(micro_usd: int) -> float: ...
@overload
def dollars(micro_usd: None) -> None: ...
@overload
def dollars(micro_usd: int | None) -> float | None: ...
def dollars(micro_usd: int | None) -> float | None:
    """Convert micro-dollars to dollars."""
    return None if micro_usd is None else micro_usd / MICRO


def micro_dollars(usd: float) -> int:
    """Convert dollars to whole micro-dollars."""
    return round(usd * MICRO)


def add(amounts: Iterable[int | None]) -> int | None:
    """Return the sum, or None if one of the amounts is unknown."""
    known = list(amounts)
    return None if None in known else sum(amount for amount in known if amount is not None)


def show(micro_usd: int) -> str:
    """Format micro-dollars, such as $0.0130."""
    return f"${micro_usd / MICRO:.4f}"


def round_up(micro_usd: float) -> int:
    """Round up to whole micro-dollars, ignoring floating-point noise."""
    return math.ceil(round(micro_usd, 6))
