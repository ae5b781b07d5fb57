"""Which pictures are ordered together, and which of those that came go on to be stored."""

import io
from collections import defaultdict
from tempfile import TemporaryFile
from typing import Any

from functions import json_lines
from functions.adapters import records
from functions.adapters.object_store import ObjectStore
from functions.adapters.openai_batches import MAX_PICTURES
from functions.adapters.orders import order_key
from functions.adapters.records import ImageRecord, Records
from functions.contract import Batch, Order, Prompt, StagedImage

Picture = dict[str, Any]  # its run_id and n


def custom_id(picture: Picture) -> str:
    """What OpenAI calls a picture of an order."""
    return f"{picture['run_id']}#{picture['n']}"


def unmade(run_id: str, n: int, error: str, said: str) -> dict[str, Any]:
    """What the batch's report tells of a picture that was ordered and is not made."""
    return {"run_id": run_id, "n": n, "error": error, "message": said}


def told(these: list[dict[str, Any]]) -> bytes:
    """Such words as a file of lines."""
    file = io.BytesIO()
    for one in these:
        json_lines.write(file, one)
    return file.getvalue()


def plan(batch: Batch, *, store: ObjectStore, book: Records) -> dict[str, int]:
    """Write down the orders of a batch, and give their number.

    Pictures that were ordered before, by a start that ended since, keep their order; what is bought already is in none.
    """
    orders: dict[str, list[Picture]] = defaultdict(list)
    waiting: dict[str, list[Picture]] = defaultdict(list)  # by model, since one order has one
    count = 0

    with TemporaryFile() as file:

        def close(key: str, pictures: list[Picture]) -> None:
            nonlocal count
            count += 1
            json_lines.write(file, Order(order=key, pictures=tuple(pictures), work=batch.work).to_state())

        for item, (prompt, _, images) in book.of_lines(json_lines.read(batch.todo_key, store)):
            if prompt is None:
                continue  # its prompt could not be written; that line is told of as failed
            known = {image.n: image for image in images}
            for n in range(1, item["pictures"] + 1):
                picture, record = {"run_id": item["run_id"], "n": n}, known.get(n)
                if record and record.order and record.is_ordered(record.order):
                    orders[record.order].append(picture)
                elif record is None:
                    model = prompt.choices["model"]
                    waiting[model].append(picture)
                    if len(waiting[model]) == MAX_PICTURES:
                        full = waiting.pop(model)
                        close(order_key(map(custom_id, full)), full)
        for pictures in waiting.values():
            close(order_key(map(custom_id, pictures)), pictures)
        for key, pictures in orders.items():
            close(key, pictures)
        store.put_file(f"{batch.work}orders.jsonl", file, content_type=json_lines.CONTENT_TYPE)
    return {"orders": count}


def came(batch: Batch, *, store: ObjectStore, book: Records, mirror: str | None) -> dict[str, int]:
    """Write down the lines of which a picture has come and is not stored yet, or not mirrored, and give their number."""
    count = 0
    with TemporaryFile() as file:
        for item, (prompt, _, images) in book.of_lines(json_lines.read(batch.todo_key, store)):
            staged = [_staged(image).to_state() for image in images if image.status == records.STAGED or image.is_missed(mirror)]
            if prompt and staged:
                count += 1
                numbers = tuple(range(1, item["pictures"] + 1))
                message = Prompt(run_id=item["run_id"], variations=numbers, dry_run=False, estimate_micro_usd=prompt.estimate_micro_usd)
                json_lines.write(file, message.to_state() | {"execution_name": item["run_id"], "staged": staged})
        store.put_file(f"{batch.work}came.jsonl", file, content_type=json_lines.CONTENT_TYPE)
    return {"came": count}


def _staged(image: ImageRecord) -> StagedImage:
    return StagedImage(
        run_id=image.run_id,
        n=image.n,
        key=image.staged_key or "",
        bytes=image.bytes or 0,
        sha256=image.sha256 or "",
        usage=image.usage,
        cost_micro_usd=image.cost_micro_usd,
    )
