"""A DynamoDB client that counts its calls, the items and read units, and their time."""

import json
import math
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bench.item_size import typed_size
from bench.memory_table import Pages

READ_UNIT = 4096  # bytes of one strongly consistent read unit; another read costs half


@dataclass
class Counted:
    """A client of a table whose calls are counted. Transactions count, too."""

    client: Any
    calls: int = 0
    items: int = 0
    read_units: float = 0.0
    seconds: float = 0.0
    answers: list[str] | None = None

    def reset(self) -> None:
        """Count from zero."""
        self.calls, self.items, self.read_units, self.seconds = 0, 0, 0.0, 0.0

    def get_paginator(self, operation: str) -> Pages:
        """Return the pages of an operation, each of which is a call."""
        return Pages(getattr(self, operation))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Return an operation that is counted."""
        work = getattr(self.client, operation)

        def call(**parameters: Any) -> Any:
            start = time.perf_counter()
            try:
                answer = work(**parameters)
                self._count_reads(operation, parameters, answer)
                if self.answers is not None:
                    self.answers.append(json.dumps(answer))
            finally:
                self.seconds += time.perf_counter() - start
                self.calls += 1
            return answer

        return call

    def own_peak(self, work: Callable[[], Any]) -> int:
        """Return the highest number of bytes that some work allocates, with the table's answers.

        The answers are recorded first. Otherwise, the table in this process would count, too.
        """
        client, self.answers = self.client, []
        work()
        self.client, self.answers = Replayed(self.answers), None
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            self.client = client

    def _count_reads(self, operation: str, parameters: dict[str, Any], answer: Any) -> None:
        """Count the reads of a call. DynamoDB rounds up once per query, but per item in a batch."""
        if operation == "query":
            items = answer["Items"]
            self.items += len(items)
            self._add(
                sum(map(typed_size, items)), is_consistent=parameters.get("ConsistentRead", False)
            )
        elif operation == "get_item":
            self.items += "Item" in answer
            is_consistent = parameters.get("ConsistentRead", False)
            self._add(typed_size(answer.get("Item", {})), is_consistent=is_consistent)
        elif operation == "batch_get_item":
            for name, request in parameters["RequestItems"].items():
                items = answer["Responses"].get(name, [])
                self.items += len(items)
                missing = len(request["Keys"]) - len(items)
                for size in (*map(typed_size, items), *([0] * missing)):
                    self._add(size, is_consistent=request.get("ConsistentRead", False))

    def _add(self, size: int, *, is_consistent: bool) -> None:
        units = max(1, math.ceil(size / READ_UNIT))
        self.read_units += units if is_consistent else units / 2


class Replayed:
    """A client that repeats recorded answers in their order."""

    def __init__(self, answers: Iterable[str]) -> None:
        self._answers = iter(answers)

    def __getattr__(self, _operation: str) -> Callable[..., Any]:
        """Return an operation with the next answer."""
        return lambda **_: json.loads(next(self._answers))


def own_ms(counted: Counted, work: Callable[[], Any]) -> float:
    """Return the milliseconds of some work, without the time in the table."""
    counted.reset()
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start - counted.seconds) * 1000
