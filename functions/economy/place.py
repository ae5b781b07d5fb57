"""Places an order at OpenAI: claims its images, then uploads their requests once.

It may die at any line and may run twice.
"""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO, Any

from easel.aws import json_lines
from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import log_result
from easel.contract.batch_messages import ImageRef, Order, PlacedOrder
from easel.contract.errors import (
    BudgetExceededError,
    EaselError,
    FinalError,
    ReferenceGoneError,
)
from easel.ledger.batches import LockedOrder
from easel.ledger.ledger import Ledger
from easel.ledger.purchase import Purchases
from easel.ledger.records import ImageRecord, PromptRecord
from easel.services import Services
from functions.economy.inputs import OrderInputs
from functions.economy.plan import custom_id, failure_entry

# OpenAI ends a batch within a day. The remaining time is for collecting the images.
CLAIM_SECONDS = 26 * 60 * 60
VISIBLE_SECONDS = 60  # after this time a new batch is surely in OpenAI's list
CLOCKS = timedelta(hours=1)  # the greatest difference between our clock and OpenAI's


def place(order: Order, services: Services, deadline: Deadline) -> PlacedOrder:
    """Make sure that this order has one batch at OpenAI.

    Raises BudgetExceededError if the budget has no room for any of its images.
    """
    orders, name, purchases = services.batch_orders, order.order, services.purchases(deadline)
    # A batch that a dying function has created is surely in OpenAI's list when its lock expires.
    lock = orders.lock(name, until=deadline.epoch() + VISIBLE_SECONDS)
    batch = lock.batch
    if batch is None and lock.was_locked:
        # The previous holder of the lock may have placed the order. If so, claim nothing more.
        existing = services.openai_batches.find(lock.mark, since=lock.began - CLOCKS)
        batch = existing.id if existing else None
    if batch is None:
        inputs = OrderInputs(name, lock.number, services, deadline)
        try:
            batch = _order(order, lock, services, purchases, inputs)
        except EaselError as error:
            is_refused = isinstance(error, FinalError) and not error.possibly_paid
            if is_refused:
                _release(order, purchases)
                inputs.delete()
            # OpenAI may have accepted the order despite the error. The next attempt searches for
            # it once it is visible.
            orders.unlock(lock, after=VISIBLE_SECONDS)
            raise
    if batch and not lock.batch:
        orders.mark_placed(lock, batch=batch)
    return PlacedOrder(
        order=name,
        pictures=order.pictures,
        work=order.work,
        batch=batch,
        done=batch is None,
        looks=0,
        number=lock.number,
        queued=order.queued,
    )


def _order(
    order: Order, lock: LockedOrder, services: Services, purchases: Purchases, inputs: OrderInputs
) -> str | None:
    """Return the id of a new batch, or None if nothing is left to be ordered."""
    name, bucket, content_type = order.order, services.bucket, json_lines.CONTENT_TYPE
    with TemporaryFile() as requests:
        count, failures = _claim(order, lock.number, requests, purchases, inputs)
        if failures:
            body = json_lines.to_bytes(failures)
            bucket.put(f"{order.work}unmade/{name}.short.jsonl", body, content_type=content_type)
        # This write proves the bucket and the permissions before anything is paid. Later it shows
        # what was ordered.
        key = f"{order.work}requests/{name}.jsonl"
        bucket.put_file(key, requests, content_type=content_type)
        if not count:
            inputs.delete()
            return None
        batch = services.openai_batches.create(lock.mark, requests, endpoint=inputs.endpoint).id
    log_result("order placed", order=name, pictures=count, inputs=len(inputs), batch=batch)
    return batch


def _release(order: Order, purchases: Purchases) -> None:
    """Undo the claims of an order that OpenAI refused."""
    for ref in order.pictures:
        _release_one(order.order, ref, purchases)


def _release_one(order: str, ref: ImageRef, purchases: Purchases) -> None:
    image = purchases.ledger.image(ref["run_id"], ref["n"])
    if image and image.is_ordered(order):
        purchases.release(image)


def _claim(
    order: Order, number: int, requests: IO[bytes], purchases: Purchases, inputs: OrderInputs
) -> tuple[int, list[dict[str, Any]]]:
    """Claim the order's images as far as the budget allows, and write their requests.

    Return the number of claimed images, and the failure of each of the others: no room in the
    budget, or an input that is gone. Raises BudgetExceededError if the budget has no room for any
    image.
    """
    until, refusal = int(time.time()) + CLAIM_SECONDS, None
    failures: list[dict[str, Any]] = []
    bodies: dict[str, dict[str, Any]] = {}  # of the images that are claimed
    new: list[tuple[ImageRecord, PromptRecord]] = []
    for ref, prompt, image in _records(order, purchases.ledger):
        try:
            body = inputs.body(prompt)
        except ReferenceGoneError as error:
            _release_one(order.order, ref, purchases)  # an earlier attempt may have claimed it
            failures.append(_failure(ref["run_id"], ref["n"], error))
            continue
        if image is None:
            purchases.check_model(prompt)
            record = ImageRecord(
                run_id=ref["run_id"], n=ref["n"], order=order.order, order_number=number
            )
            new.append((record, prompt))
        # An earlier attempt claimed the image and got no further, or OpenAI's queue was full. The
        # claim is renewed, because OpenAI's day starts now.
        elif not image.is_ordered(order.order) or not purchases.renew(
            image, until=until, order_number=number
        ):
            continue
        bodies[custom_id(ref)] = body
    refusals = purchases.claim_new(new, until=until)
    for (image, _), refused in zip(new, refusals, strict=True):
        if refused:
            del bodies[custom_id({"run_id": image.run_id, "n": image.n})]
        # With another error, another execution bought it after the plan was made.
        if isinstance(refused, BudgetExceededError):
            refusal = refused
            failures.append(_failure(image.run_id, image.n, refused))
    if refusal and not bodies:
        raise refusal
    for name, body in bodies.items():
        json_lines.write(requests, _request(name, body, url=inputs.endpoint))
    return len(bodies), failures


def _records(
    order: Order, ledger: Ledger
) -> Iterator[tuple[ImageRef, PromptRecord, ImageRecord | None]]:
    """Yield an order's images that have a prompt, each with its prompt and its record."""
    counts: Counter[str] = Counter()
    for ref in order.pictures:
        counts[ref["run_id"]] = max(counts[ref["run_id"]], ref["n"])
    records_by_run = ledger.runs(counts)
    for ref in order.pictures:
        records = records_by_run[ref["run_id"]]
        if records.prompt:
            images = {image.n: image for image in records.images}
            yield ref, records.prompt, images.get(ref["n"])


def _failure(run_id: str, n: int, error: EaselError) -> dict[str, Any]:
    return failure_entry(run_id, n, type(error).__name__, str(error))


def _request(name: str, body: dict[str, Any], *, url: str) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": url, "body": body}
