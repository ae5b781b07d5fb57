"""The time of the API's function for the gallery's first page, with few and with many images.

The function runs in this process and uses a local stack's table, whose records are written
directly. The function's own time, including links and response, is measured separately from the
table's time, because the emulator's table searches all records and DynamoDB does not.
"""

import json
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

from bench import api, stacks
from bench.section import Figure, Options, Result, table
from cli.target import Target, local_target
from easel.aws.table import Table
from easel.contract.status import Status
from easel.ledger.gallery import Place
from functions.api.services import API_SERVICES

NAME, TITLE = "gallery", "Gallery"
FEW, MANY, LARGE = 100, 5_000, 100_000
WARM, CALLS = 5, 40


def measure(options: Options) -> Result:
    """Return milliseconds of the function and of the table, by the number of images."""
    counts = (FEW, LARGE if options.large else MANY)
    with stacks.running() as local:
        records = prepare(local_target(local.outputs_file))
        written, rows = 0, []
        for count in counts:
            fill(records, range(written, count))
            written = count
            taken = [page() for _ in range(WARM + CALLS)][WARM:]
            own, of_table = (statistics.median(part) for part in zip(*taken, strict=True))
            rows.append({"images": count, "function_ms": own, "table_ms": of_table})
        return {"rows": rows}


def figures(result: Result) -> Iterator[Figure]:
    """Compare the function's time with many images to its time with few."""
    few, many = result["rows"]
    name = (
        f"first page of the gallery with {many['images']:,} images / with {few['images']:,}, "
        "the function's own time"
    )
    yield Figure(name, f"{many['function_ms'] / few['function_ms']:.2f}", "flat")


def text(result: Result) -> str:
    """Return one row for each number of images."""
    rows = [
        (f"{row['images']:,}", f"{row['function_ms']:.1f}", f"{row['table_ms']:.1f}")
        for row in result["rows"]
    ]
    about = (
        f"The median of {CALLS} calls. The emulator's table searches all records, and DynamoDB "
        "does not."
    )
    return f"{about}\n\n{table(('images', 'ms of the function', 'ms of the local table'), rows)}"


def prepare(target: Target) -> Table:
    """Give this process the API function's environment, and return the stack's table."""
    functions = target.client("lambda").list_functions()["Functions"]
    deployed = next(
        function for function in functions if function["Handler"] == "functions.api.handler.handler"
    )
    environment = {
        "AWS_ENDPOINT_URL": str(target.endpoint),
        "AWS_ACCESS_KEY_ID": str(target.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(target.secret_access_key),
    }
    os.environ.update(
        deployed["Environment"]["Variables"]
        | environment
        | {
            "AWS_REGION": target.region,
            "AWS_DEFAULT_REGION": target.region,
        }
    )
    return Table(target.client("dynamodb"), name=target.table)


def page() -> tuple[float, float]:
    """Request the first page, and return milliseconds of the function and of the table."""
    if "image_links" not in vars(API_SERVICES):
        storage = API_SERVICES.storage
        API_SERVICES.image_links = api.image_links(storage.bucket, storage.region)
    waited, began = [0.0], [0.0]

    def before(**_: Any) -> None:
        began[0] = time.perf_counter()

    def after(**_: Any) -> None:
        waited[0] += time.perf_counter() - began[0]

    events = API_SERVICES.table._client.meta.events
    events.register_first("before-send.dynamodb", before, unique_id="bench-before")
    events.register_first("after-call.dynamodb", after, unique_id="bench-after")
    event = api.event("/images", {})
    start = time.perf_counter()
    response = api.answer(API_SERVICES, event)
    total = time.perf_counter() - start
    events.unregister("before-send.dynamodb", unique_id="bench-before")
    events.unregister("after-call.dynamodb", unique_id="bench-after")
    if len(json.loads(response["body"])["images"]) != 24:
        raise SystemExit(f"the first page does not have 24 images: {response['body'][:300]}")
    return (total - waited[0]) * 1000, waited[0] * 1000


def fill(table: Table, numbers: range, *, folders: int = 10) -> None:
    """Write the records of stored images, one for each run, in so many folders."""
    for number in numbers:
        run_id, at = (
            f"run-{number}",
            f"2026-11-{1 + number % 24:02}T{number % 24:02}:00:00.{number:06}Z",
        )
        place = Place(
            status=Status.STORED,
            folder=f"folder-{number % folders}",
            topic="Sport",
            at=at,
            run_id=run_id,
            n=1,
        )
        shelf = {name.removeprefix(":"): value for name, value in place.index_values().items()}
        table.write(table.put(picture(run_id, at) | shelf), table.put(prompt(run_id, at)))


def picture(run_id: str, at: str) -> dict[str, Any]:
    """Return the record of a stored image."""
    known: dict[str, Any] = {
        "run_id": run_id,
        "n": 1,
        "status": Status.STORED,
        "key": f"folder/{run_id}.png",
        "title": "A title",
        "bytes": 1_000_000,
    }
    more = {
        "alt_text": "An alt text of one sentence.",
        "model": "gpt-image-2.6-flare",
        "folder": "folder",
        "topic": "Sport",
    }
    sizes = {
        "width": 1024,
        "height": 1024,
        "sha256": "ab" * 32,
        "cost_micro_usd": 13_290,
        "possibly_paid": 0,
        "stored_at": at,
    }
    return {"pk": f"run#{run_id}", "sk": "image#1"} | known | more | sizes


def prompt(run_id: str, at: str) -> dict[str, Any]:
    """Return the prompt record of a run."""
    fields = {
        "text": "A vivid prompt. " * 40,
        "title": "A title",
        "alt_text": "An alt text.",
        "topic": "Sport",
        "tags": [],
        "choices": "{}",
    }
    return {
        "pk": f"run#{run_id}",
        "sk": "prompt",
        "run_id": run_id,
        "digest": "d",
        "started": at,
        "execution": run_id,
    } | fields
