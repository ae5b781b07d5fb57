"""One check of a batch in a separate process: `python -m bench.large_check FOLDER [BOUGHT]`.

The bucket is the folder, and the table is in this process. With BOUGHT, the batch was started
before, and its first BOUGHT lines have their images.

The check prints the plan, its peak memory, and its CPU seconds without the table's.
"""

import io
import json
import logging
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from bench import process_memory
from bench.counted import Counted
from bench.memory_table import TABLE, MemoryTable
from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract import naming
from easel.contract.messages import StartRun
from easel.contract.status import Status
from easel.ledger.batches import LINES, BatchStart
from easel.ledger.budget import month_of
from easel.ledger.records import to_item
from easel.request.request import digest
from functions.batch.check import check
from tests.support.records import image_record, prompt_record
from tests.support.services import BUCKET, OWNER, FakeServices

MANIFEST, EXECUTION, STARTED = "batches/large.jsonl", "first", "2026-11-24T03:15:00Z"
CAP = 10**12  # micro-dollars


class FolderS3:
    """The calls of S3 that the check makes, with a folder's files as the objects."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Return an object."""
        path = self._folder / Key
        if not path.exists():
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        size = path.stat().st_size
        body = StreamingBody(path.open("rb"), size)
        return {"ContentLength": size, "Body": body, "VersionId": "1"}

    def put_object(self, *, Key: str, Body: io.BufferedIOBase, **_: Any) -> None:  # noqa: N803
        """Write an object, as a whole or not at all."""
        path, part = self._folder / Key, self._folder / "part"
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            while piece := Body.read(2**20):
                file.write(piece)
        part.rename(path)


def services_of(folder: Path) -> FakeServices:
    """Return the collaborators of the batch function, with this folder as the bucket."""
    services = FakeServices()
    services.configure(monthly_budget_micro_usd=CAP, max_batch_lines=100_000)
    bucket = Bucket(FolderS3(folder), name=BUCKET, owner=OWNER)
    return services.use(Table(Counted(MemoryTable()), name=TABLE), bucket)


def keep_earlier_start(services: FakeServices, folder: Path, most: int) -> None:
    """Leave the records of the batch's earlier start, and of its first lines."""
    fields = {"execution": EXECUTION, "manifest": MANIFEST, "version_id": "1", "started": STARTED}
    services.batch_starts.note(BatchStart(name="large", **fields))
    with (folder / naming.batch_work("large", EXECUTION) / LINES).open() as lines:
        for line in map(json.loads, islice(lines, most)):
            run_id = line["run_id"]
            prompt = prompt_record(run_id=run_id, digest=digest(line["request"]))
            image = image_record(run_id=run_id, status=Status.STORED, cost_micro_usd=13_000)
            table = services.table
            table.write(table.put(to_item(prompt)), table.put(to_item(image)))


def main() -> None:
    """Check the batch, and print the plan and the cost of the check."""
    logging.disable()
    folder, bought = Path(sys.argv[1]), sys.argv[2:]
    services = services_of(folder)
    if bought:
        keep_earlier_start(services, folder, int(bought[0]))
    counted: Counted = services.table._client
    counted.reset()
    start = StartRun(request={"manifest": MANIFEST}, execution_name=EXECUTION, started=STARTED)
    before = time.process_time()
    (folder / "started").touch()
    plan = check(start, services)
    result = {
        "todo": plan.todo,
        "lines": plan.lines,
        "bad": plan.bad,
        "estimate_usd": plan.estimate_usd,
        "cpu_seconds": time.process_time() - before - counted.seconds,
        "table_calls": counted.calls,
        "peak_bytes": process_memory.peak(),
        "reserved": services.ledger.budget.read(month_of(services.now())).committed,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
