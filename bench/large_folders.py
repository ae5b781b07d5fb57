"""Very many folders: the page's list of folders, and the check before a folder is deleted.

Each folder has all of its sixteen counters. For comparison, all counters are read at once, as
earlier versions did for each call.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from bench import api
from bench.counted import Counted, own_ms
from bench.large_gallery import api_services
from bench.memory_table import TABLE, MemoryTable
from bench.section import MB, Figure, Result, table
from easel.aws.table import Table
from easel.ledger.folders import DIGITS, FOLDERS, counter_key
from tests.support.services import FakeServices

FEW, MANY, LARGE = 250, 500, 10_000  # at least two full pages and a rest
CALLS = 12
BEFORE = "all counters, as before"


def measure(*, large: bool) -> Result:
    """Return the reads and the own milliseconds of each call, by the number of folders."""
    rows: list[dict[str, Any]] = []
    for count in (FEW, LARGE if large else MANY):
        counted = Counted(MemoryTable())
        records = Table(counted, name=TABLE)
        fill(records, count)
        services = api_services(records)
        for name, call in _calls(services, last=f"campaign/{count - 1:05}").items():
            times = 3 if name == BEFORE else CALLS
            taken = [own_ms(counted, call) for _ in range(times)]
            rows.append(
                {
                    "folders": count,
                    "call": name,
                    "calls": counted.calls,
                    "items": counted.items,
                    "read_units": counted.read_units,
                    "ms": min(taken),
                    "peak_bytes": counted.own_peak(call),
                }
            )
    return {"rows": rows}


def _calls(services: FakeServices, *, last: str) -> dict[str, Callable[[], Any]]:
    """Return the measured calls by name."""
    prefix = {"prefix": "campaign/0001"}
    first = json.loads(api.request(services, "/folders", {})["body"])
    return {
        "first page of 100": lambda: api.request(services, "/folders", {}),
        "the page after it": lambda: api.request(services, "/folders", {"cursor": first["cursor"]}),
        "page of a prefix": lambda: api.request(services, "/folders", prefix),
        "one folder": lambda: api.request(services, "/folders", {"name": last}),
        "check before a delete": lambda: services.folders.has_images(last),
        BEFORE: lambda: _read_all(services.table),
    }


def fill(records: Table, folders: int) -> None:
    """Write the counters of so many folders."""
    for number in range(folders):
        for digit in DIGITS:
            pk, sk = counter_key(f"campaign/{number:05}", digit)
            item = {"pk": pk, "sk": sk, "pictures": 3, "bytes": 4_500_000}
            records._client.put_item(**records.put(item)["Put"])


def _read_all(records: Table) -> Counter[str]:
    """Add up the images of all folders."""
    images: Counter[str] = Counter()
    for item in records.query(FOLDERS):
        images[item["sk"].rpartition("#")[0]] += item["pictures"]
    return images


def figures(result: Result) -> Iterator[Figure]:
    """Compare many folders to few, without the read of all counters."""
    rows = result["rows"]
    half = len(rows) // 2
    for few, many in list(zip(rows[:half], rows[half:], strict=True))[:-1]:
        name = f"{many['folders']:,} folders / {few['folders']:,}, {many['call']}"
        reads = [f"{row['calls']} calls, {row['read_units']:.0f} units" for row in (many, few)]
        yield Figure(f"{name}: table reads", " / ".join(reads), "equal")
        yield Figure(f"{name}: the API's own time", f"{many['ms'] / few['ms']:.2f}", "≤ 1.3")
        yield Figure(f"{name}: memory", f"{many['peak_bytes'] / few['peak_bytes']:.2f}", "≤ 1.3")


def text(result: Result) -> str:
    """Return one row for each call and number of folders."""
    rows = [
        (
            f"{row['folders']:,} folders, {row['call']}",
            f"{row['calls']}",
            f"{row['items']:,}",
            f"{row['read_units']:,.0f}",
            f"{row['ms']:.2f}",
            f"{row['peak_bytes'] / MB:.1f}",
        )
        for row in result["rows"]
    ]
    return table(("what", "calls", "items", "read units", "own ms", "MB peak"), rows)
