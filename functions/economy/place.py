"""Places an order at OpenAI: claims its images, then uploads their requests once.

It may die at any line and may run twice.
"""

import time
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO, Any

from easel.aws import json_lines
from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import log_result
from easel.contract.batch_messages import ImageRef, Order, PlacedOrder
from easel.contract.errors import (
    BudgetExceededError,
    ClaimHeldError,
    EaselError,
    FinalError,
    ReferenceGoneError,
)
from easel.ledger.batches import LockedOrder
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
    count, refusal = 0, None
    failures: list[dict[str, Any]] = []
    records_by_run = purchases.ledger.runs({ref["run_id"]: 0 for ref in order.pictures})
    for ref in order.pictures:
        prompt = records_by_run[ref["run_id"]].prompt
        if prompt is None:
            continue
        try:
            body = inputs.body(prompt)
            if not _claim_one(order.order, number, ref, prompt, purchases):
                continue
        except (BudgetExceededError, ReferenceGoneError) as error:
            if isinstance(error, BudgetExceededError):
                refusal = error
            else:
                _release_one(order.order, ref, purchases)  # an earlier attempt may have claimed it
            name = type(error).__name__
            failures.append(failure_entry(ref["run_id"], ref["n"], name, str(error)))
            continue
        json_lines.write(requests, _request(ref, body, url=inputs.endpoint))
        count += 1
    if refusal and not count:
        raise refusal
    return count, failures


def _claim_one(
    order: str, number: int, ref: ImageRef, prompt: PromptRecord, purchases: Purchases
) -> bool:
    """Claim an image for an order. Return False if it is not to be ordered, or no longer."""
    image = purchases.ledger.image(ref["run_id"], ref["n"])
    until = int(time.time()) + CLAIM_SECONDS
    if image:
        # An earlier attempt claimed the image and got no further, or OpenAI's queue was full. The
        # claim is renewed, because OpenAI's day starts now.
        return image.is_ordered(order) and purchases.renew(image, until=until, order_number=number)
    purchases.check_model(prompt)
    image = ImageRecord(run_id=ref["run_id"], n=ref["n"], order=order, order_number=number)
    try:
        purchases.claim(image, bound=prompt.image_bound(economy=True), until=until)
    except ClaimHeldError:
        return False  # another execution bought it after the plan was made
    return True


def _request(ref: ImageRef, body: dict[str, Any], *, url: str) -> dict[str, Any]:
    return {"custom_id": custom_id(ref), "method": "POST", "url": url, "body": body}
