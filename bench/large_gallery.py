"""One folder with very many images: storing the next one, and reading a page of them.

The ledger and the API's route are the code that ships. The table is the local AWS's, in this
process, with the gallery's indexes. A page's time is without the table's, because the local AWS
searches all records for a page, and DynamoDB does not.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench import api
from bench.counted import Counted, own_ms
from bench.gallery import fill
from bench.memory_table import TABLE, MemoryTable
from bench.section import Figure, Result, table
from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract.status import Status
from easel.ledger.records import StoredFiles
from tests.support.api import api_settings
from tests.support.records import claimed, prompt_record
from tests.support.services import BUCKET, OWNER, REGION, FakeServices

FEW, MANY, LARGE = 200, 2_000, 100_000
STORES, PAGES = 200, 30
FOLDER = "folder-0"
QUERY = {"folder": FOLDER, "limit": "24"}


def measure(*, large: bool) -> Result:
    """Return what storing an image and reading a page take, by the number of images."""
    counted = Counted(MemoryTable(has_gallery=True))
    records = Table(counted, name=TABLE)
    services = api_services(records)
    written, rows = 0, []
    for count in (FEW, LARGE if large else MANY):
        fill(records, range(written, count), folders=1)
        written = count
        rows.append(
            {"images": count} | _stores(services, counted, count) | _pages(services, counted)
        )
    return {"rows": rows}


def api_services(records: Table) -> FakeServices:
    """Return the API's collaborators on this table."""
    services = FakeServices().use(records, Bucket(None, name=BUCKET, owner=OWNER))
    services.api = api_settings()
    services.image_links = api.image_links(BUCKET, REGION)
    return services


def _stores(services: FakeServices, counted: Counted, count: int) -> dict[str, Any]:
    """Store more images with the ledger, and return the lowest milliseconds and the calls."""
    ledger, taken = services.ledger, []
    for number in range(STORES):
        run_id = f"stored-{count}-{number}"
        claim = claimed(ledger, run_id=run_id, reserved_micro_usd=1)
        fields: dict[str, Any] = {
            "staged_key": "staging/1",
            "bytes": 1_000_000,
            "sha256": "ab" * 32,
        }
        staged = replace(claim, status=Status.STAGED, cost_micro_usd=1, **fields)
        ledger.mark_staged(claim, staged)
        prompt = prompt_record(run_id=run_id, choices={"folder_name": FOLDER})
        files = StoredFiles(
            key=f"{FOLDER}/{run_id}.png", width=1024, height=1024, previews=(640,), sizes=()
        )
        counted.reset()
        start = time.perf_counter()
        stored_at = f"2026-10-01T00:00:00.{number:06}Z"  # the oldest: no page shows them
        ledger.mark_stored(staged, files=files, prompt=prompt, stored_at=stored_at)
        taken.append((time.perf_counter() - start) * 1000)
    return {"store_ms": min(taken), "store_calls": counted.calls}


def _pages(services: FakeServices, counted: Counted) -> dict[str, Any]:
    """Read the folder's first page, and return its calls, items and own milliseconds."""
    taken = [own_ms(counted, lambda: api.request(services, "/images", QUERY)) for _ in range(PAGES)]
    milliseconds = min(taken)
    return {
        "page_ms": milliseconds,
        "page_calls": counted.calls,
        "page_items": counted.items,
        "page_units": counted.read_units,
    }


def figures(result: Result) -> Iterator[Figure]:
    """Compare many images to few."""
    few, many = result["rows"]
    counts = f"{many['images']:,} images in a folder / {few['images']:,}"
    for name, key in (("storing one more", "store_ms"), ("a page, the API's own time", "page_ms")):
        yield Figure(f"{counts}: {name}", f"{many[key] / few[key]:.2f}", "≤ 1.3")
    reads = " / ".join(map(_reads, (many, few)))
    yield Figure(f"{counts}: table reads of a page", reads, "equal")


def _reads(row: dict[str, Any]) -> str:
    return f"{row['page_calls']} calls, {row['page_units']:.1f} read units"


def text(result: Result) -> str:
    """Return one row for each number of images."""
    head = ("images in the folder", "ms to store one more", "reads of a page", "ms of a page, own")
    rows = [
        (
            f"{row['images']:,}",
            f"{row['store_ms']:.2f}",
            _reads(row),
            f"{row['page_ms']:.1f}",
        )
        for row in result["rows"]
    ]
    return table(head, rows)
