"""The lines of a batch, from the files that the check and the report leave in the bucket.

The working files of a start expire after 30 days.
"""

from collections.abc import Iterator
from typing import Any

from easel.aws import json_lines
from easel.contract import naming
from easel.contract.errors import InputError
from easel.contract.money import add, dollars
from easel.contract.status import Status
from easel.ledger.batches import LINES
from easel.ledger.records import RunRecords
from easel.runs.executions import Execution
from functions.api.services import ApiServices, KnownCosts

# Larger batches show their cost only at their end: each poll reads the records of all lines that
# are not finished.
MOST_SUMMED = 1_000
MAX_OFFSET = 10**12  # bytes; no file of lines is that large
MOST_KEPT = 50  # batches of which this function keeps what their finished lines have cost
Page = tuple[list[Any], int | None]


def read_file(key: str, services: ApiServices, *, start: int, most: int) -> Page | None:
    """Return values of a file from a byte on, and where the next one begins, or None.

    Return None if the file is missing. Raises InputError if no line begins there.
    """
    try:
        return json_lines.read_some(key, services.bucket, start=start, most=most)
    except ValueError:
        raise InputError("cursor", start, "the cursor of an earlier answer, unchanged") from None


def work_key(name: str, run: Execution, file: str) -> str:
    """Return the key of one of the working files of a start."""
    return f"{naming.batch_work(name, run.name)}{file}"


def cost_so_far(name: str, run: Execution, services: ApiServices) -> float | None:
    """Return what the lines of a batch have cost, in all its starts.

    Return None if it is not known: the batch is large, its files have expired, or part of the cost
    is unknown.
    """
    known = services.batch_costs.get(run.name)
    if known is None:
        items = list(_all_lines(name, run, services))
        if not items:
            return None
        known = KnownCosts(pictures={item["run_id"]: item["pictures"] for item in items})
        services.batch_costs[run.name] = known
        if len(services.batch_costs) > MOST_KEPT:
            services.batch_costs.pop(next(iter(services.batch_costs)))
    if len(known.pictures) > MOST_SUMMED:
        return None
    left = {run_id: n for run_id, n in known.pictures.items() if run_id not in known.finished}
    costs: list[int | None] = list(known.finished.values())
    for run_id, records in services.ledger.runs(left).items():
        cost = _cost(records)
        costs.append(cost)
        if sum(image.status.is_finished for image in records.images) == left[run_id]:
            known.finished[run_id] = cost
    total = add(costs)
    return None if total is None else dollars(total)


def _cost(records: RunRecords) -> int | None:
    if records.prompt is None:
        return 0
    skipped = (Status.REFUSED, Status.CLAIMED)
    images = [image.cost_micro_usd for image in records.images if image.status not in skipped]
    return add([records.prompt.chat_cost_micro_usd, *images])


def _all_lines(name: str, run: Execution, services: ApiServices) -> Iterator[Any]:
    """Yield the lines of a start, or a few more than are summed."""
    start: int | None = 0
    key, count = work_key(name, run, LINES), 0
    while start is not None and count <= MOST_SUMMED:
        page = read_file(key, services, start=start, most=MOST_SUMMED + 1 - count)
        if page is None:
            return
        items, start = page
        count += len(items)
        yield from items
