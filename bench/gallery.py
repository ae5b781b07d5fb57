"""The time that the API's function takes for the gallery's first page, with few and many images.

The function runs in this process and uses a local stack's table, whose records are written
directly. The function's own time, including links and response, is measured separately from the
table's time, because the emulator's table searches all records and DynamoDB does not.
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from cli.target import LOCAL_TARGET, Target
from easel.aws.table import Table
from easel.contract.status import Status
from easel.ledger.gallery import Place
from local import stack
from local.stack import Local
from tests.support.local_stack import bench_environment, free_port

FEW, MANY = 100, 10_000
WARM, CALLS = 5, 40


def measure() -> tuple[dict[int, float], dict[int, float]]:
    """Return milliseconds of the function and of the table, by the number of images.

    A separate stack is brought up for this.
    """
    with tempfile.TemporaryDirectory() as folder:
        local = Local(
            folder=Path(folder) / "local",
            port=free_port(),
            settings=(),
            environment=bench_environment(),
        )
        outputs = stack.up(local)
        try:
            return _measure(Target(**{name: outputs[name] for name in LOCAL_TARGET}))
        finally:
            stack.down(local, keep=False)


def _measure(target: Target) -> tuple[dict[int, float], dict[int, float]]:
    functions = target.client("lambda").list_functions()["Functions"]
    api = next(
        function for function in functions if function["Handler"] == "functions.api.handler.handler"
    )
    environment = {
        "AWS_ENDPOINT_URL": str(target.endpoint),
        "AWS_ACCESS_KEY_ID": str(target.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(target.secret_access_key),
    }
    os.environ.update(
        api["Environment"]["Variables"]
        | environment
        | {
            "AWS_REGION": target.region,
            "AWS_DEFAULT_REGION": target.region,
        }
    )
    table, written = Table(target.client("dynamodb"), name=target.table), 0
    own, tables = {}, {}
    for pictures in (FEW, MANY):
        fill(table, range(written, pictures))
        written = pictures
        taken = [page() for _ in range(WARM + CALLS)][WARM:]
        own[pictures] = statistics.median(mine for mine, _ in taken)
        tables[pictures] = statistics.median(theirs for _, theirs in taken)
    return own, tables


def page() -> tuple[float, float]:
    """Request the first page, and return milliseconds of the function and of the table."""
    from functions.api import handler
    from functions.api.services import API_SERVICES

    waited, began = [0.0], [0.0]

    def before(**_: Any) -> None:
        began[0] = time.perf_counter()

    def after(**_: Any) -> None:
        waited[0] += time.perf_counter() - began[0]

    events = API_SERVICES.table._client.meta.events
    events.register_first("before-send.dynamodb", before, unique_id="bench-before")
    events.register_first("after-call.dynamodb", after, unique_id="bench-after")
    event = {
        "version": "2.0",
        "rawPath": "/images",
        "headers": {},
        "requestContext": {"http": {"method": "GET"}, "stage": "$default"},
    }
    start = time.perf_counter()
    nothing: Any = None  # the handler does not use the context
    answer = handler.answer(event, nothing, resolver=handler.RESOLVER, services=API_SERVICES)
    total = time.perf_counter() - start
    events.unregister("before-send.dynamodb", unique_id="bench-before")
    events.unregister("after-call.dynamodb", unique_id="bench-after")
    if len(json.loads(answer["body"])["images"]) != 24:
        raise SystemExit(f"the benchmark's page has not 24 pictures: {answer['body'][:300]}")
    return (total - waited[0]) * 1000, waited[0] * 1000


def fill(table: Table, numbers: range) -> None:
    """Write the records of stored images, one for each run."""
    for number in numbers:
        run_id, at = (
            f"run-{number}",
            f"2026-11-{1 + number % 24:02}T{number % 24:02}:00:00.{number:06}Z",
        )
        place = Place(
            status=Status.STORED,
            folder=f"folder-{number % 10}",
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
