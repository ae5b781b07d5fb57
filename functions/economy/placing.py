"""Places an order at OpenAI: its pictures are claimed, then their requests go up, once. Safe to die at any line, and to run twice."""

import json
import time
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO, Protocol

from functions import models, purchase
from functions.adapters.budget import month_of
from functions.adapters.claims import CLAIMED
from functions.adapters.object_store import ObjectStore
from functions.adapters.openai_batches import ENDPOINT, PlacedBatch
from functions.adapters.orders import Orders
from functions.adapters.records import ImageRecord, PromptRecord, Records
from functions.contract import Order, PlacedOrder
from functions.deadline import Deadline
from functions.economy.planning import JSON_LINES, Picture, custom_id
from functions.errors import BudgetExceededError, ClaimHeldError, EaselError
from functions.telemetry import logger

# OpenAI ends a batch within a day; then what came is collected.
CLAIM_SECONDS = 26 * 60 * 60
SEEN_SECONDS = 15.0  # until a batch that was created is surely in the list


class Factory(Protocol):
    """What this needs of OpenAI."""

    def find(self, order: str, *, since: datetime) -> PlacedBatch | None:
        """The batch of an order."""

    def create(self, order: str, requests: IO[bytes]) -> PlacedBatch:
        """Have the requests done: this costs money."""


def place(message: Order, *, deadline: Deadline, factory: Factory, orders: Orders, book: Records, store: ObjectStore) -> PlacedOrder:
    """Make sure that this order has one batch at OpenAI. Raises BudgetExceededError where there is room for none of its pictures."""
    held = orders.hold(message.order, until=deadline.epoch())
    batch = held.batch
    if batch is None and held.again:
        # Who held it before may have got as far as that; nothing is claimed in addition to what that batch has in it.
        found = factory.find(message.order, since=held.began)
        batch = found.id if found else None
    if batch is None:
        try:
            batch = _ordered(message, factory=factory, book=book, store=store)
        except EaselError as error:
            # OpenAI may have it all the same: the next one looks for it, once it can be seen there.
            orders.let_go(message.order, after=SEEN_SECONDS if error.possibly_paid else 0)
            raise
    if batch:
        orders.placed(message.order, batch=batch)
    return PlacedOrder(order=message.order, pictures=message.pictures, work=message.work, batch=batch, done=batch is None, looks=0)


def _ordered(message: Order, *, factory: Factory, book: Records, store: ObjectStore) -> str | None:
    """The id of a new batch, None where nothing is left to be ordered."""
    with TemporaryFile() as requests:
        count = _claim(message, requests, book=book)
        # Proves bucket and rights before anything is paid, and tells later what was.
        store.put_file(f"{message.work}requests/{message.order}.jsonl", requests, content_type=JSON_LINES)
        if not count:
            return None
        batch = factory.create(message.order, requests).id
    logger.info("order placed", order=message.order, pictures=count, batch=batch)
    return batch


def _claim(message: Order, requests: IO[bytes], *, book: Records) -> int:
    """Claim the order's pictures as far as the budget goes, write their requests, and give how many those are."""
    count, short = 0, None
    prompts = {run_id: prompt for run_id, (prompt, _, _) in book.runs({p["run_id"]: 0 for p in message.pictures}).items()}
    for picture in message.pictures:
        prompt = prompts[picture["run_id"]]
        record = book.image(picture["run_id"], picture["n"])
        if prompt is None or (record and not (record.status == CLAIMED and record.order == message.order)):
            continue
        if record is None:
            try:
                _take(message.order, picture, prompt, book=book)
            except ClaimHeldError:
                continue  # bought elsewhere since the plan was made
            except BudgetExceededError as error:
                short = short or error
                continue
        body = purchase.parameters(prompt) | {"n": 1}
        request = {"custom_id": custom_id(picture), "method": "POST", "url": ENDPOINT, "body": body}
        requests.write(json.dumps(request, ensure_ascii=False).encode() + b"\n")
        count += 1
    if short and not count:
        raise short
    return count


def _take(order: str, picture: Picture, prompt: PromptRecord, *, book: Records) -> None:
    choices = prompt.choices
    models.check_not_retired(choices["model"], today=datetime.now(UTC).date())
    estimate = models.estimate_image(choices["model"], prompt=prompt.text, size=choices["size"], quality=choices["quality"], economy=True)
    claim = ImageRecord(
        run_id=picture["run_id"],
        n=picture["n"],
        status=CLAIMED,
        purchase=1,
        possibly_paid=0,
        lease_until=int(time.time()) + CLAIM_SECONDS,
        month=month_of(datetime.now(UTC)),
        reserved_micro_usd=estimate,
        order=order,
    )
    book.claims.take(claim, after=None)
