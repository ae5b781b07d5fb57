"""Groups images into orders, and lists the staged images that are stored next."""

from collections import defaultdict
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

from easel.aws import json_lines
from easel.contract.batch_messages import BatchPlan, ImageRef, Order
from easel.contract.messages import RunPlan, StagedImage
from easel.contract.status import Status
from easel.ledger.batches import order_key
from easel.ledger.records import ImageRecord, PromptRecord
from easel.openai_client.batches import EDITS, GENERATIONS, MAX_IMAGES, Endpoint
from easel.services import Services


def custom_id(image: ImageRef) -> str:
    """Return the custom_id of an image in an order."""
    return f"{image['run_id']}#{image['n']}"


def endpoint(prompt: PromptRecord) -> Endpoint:
    """Return the endpoint of the Batch API that makes a run's images."""
    return EDITS if prompt.inputs else GENERATIONS


def failure_entry(run_id: str, n: int, error: str, message: str) -> dict[str, Any]:
    """Return an entry for the batch's report: an image that was ordered and not made."""
    return {"run_id": run_id, "n": n, "error": error, "message": message}


def plan(batch: BatchPlan, services: Services) -> dict[str, int]:
    """Write the list of a batch's orders, and return their number.

    Images ordered by an earlier start stay in their order. Images that are already bought are in
    none.
    """
    count = 0
    with TemporaryFile() as file:
        for key, images in _orders(batch, services):
            order = Order(order=key, pictures=tuple(images), work=batch.work)
            json_lines.write(file, order.to_state())
            count += 1
        key = f"{batch.work}orders.jsonl"
        services.bucket.put_file(key, file, content_type=json_lines.CONTENT_TYPE)
    return {"orders": count}


def _orders(batch: BatchPlan, services: Services) -> Iterator[tuple[str, list[ImageRef]]]:
    """Yield the key and the images of each order."""
    earlier: dict[str, list[ImageRef]] = defaultdict(list)
    # By model and endpoint, because an order has only one of each.
    waiting: dict[tuple[str, str], list[ImageRef]] = defaultdict(list)
    lines = json_lines.read(batch.todo_key, services.bucket)
    for item, records in services.ledger.join_records(lines):
        if records.prompt is None:
            continue  # its prompt could not be written; the report counts the line as failed
        known = {image.n: image for image in records.images}
        group = (records.prompt.choices["model"], endpoint(records.prompt))
        for n in range(1, item["pictures"] + 1):
            image, record = {"run_id": item["run_id"], "n": n}, known.get(n)
            if record and record.order and record.is_ordered(record.order):
                earlier[record.order].append(image)
            elif record is None:
                waiting[group].append(image)
                if len(waiting[group]) == MAX_IMAGES:
                    full = waiting.pop(group)
                    yield order_key(map(custom_id, full)), full
    for images in waiting.values():
        yield order_key(map(custom_id, images)), images
    yield from earlier.items()


def list_staged(batch: BatchPlan, services: Services) -> dict[str, int]:
    """Write and count the lines with an image that is not stored or not mirrored yet."""
    count, mirror = 0, services.mirror_url
    with TemporaryFile() as file:
        lines = json_lines.read(batch.todo_key, services.bucket)
        for item, records in services.ledger.join_records(lines):
            staged = [
                _to_staged_image(image).to_state()
                for image in records.images
                if image.status == Status.STAGED or image.is_missing_from(mirror)
            ]
            if records.prompt and staged:
                count += 1
                run = RunPlan(
                    run_id=item["run_id"],
                    variations=tuple(range(1, item["pictures"] + 1)),
                    dry_run=False,
                    estimate_micro_usd=records.prompt.estimate_micro_usd,
                )
                more = {"execution_name": item["run_id"], "staged": staged}
                json_lines.write(file, run.to_state() | more)
        key = f"{batch.work}came.jsonl"
        services.bucket.put_file(key, file, content_type=json_lines.CONTENT_TYPE)
    return {"came": count}


def _to_staged_image(image: ImageRecord) -> StagedImage:
    return StagedImage(
        run_id=image.run_id, n=image.n, key=image.staged_key or "", sha256=image.sha256 or ""
    )
