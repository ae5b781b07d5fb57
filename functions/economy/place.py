"""Places an order at OpenAI: its pictures are claimed, then their requests go up, once. Safe to die at any line, and to run twice."""

import time
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import IO, Any, Protocol

from functions import json_lines, models, purchase
from functions.adapters.budget import month_of
from functions.adapters.claims import CLAIMED
from functions.adapters.object_store import ObjectStore
from functions.adapters.openai_batches import ENDPOINT, PlacedBatch
from functions.adapters.orders import Orders
from functions.adapters.records import ImageRecord, PromptRecord, Records
from functions.contract import Order, PlacedOrder
from functions.deadline import Deadline
from functions.economy.planning import Picture, custom_id, told, unmade
from functions.errors import BudgetExceededError, ClaimHeldError, EaselError, FinalError
from functions.telemetry import say

# OpenAI ends a batch within a day; then what came is collected.
CLAIM_SECONDS = 26 * 60 * 60
SEEN_SECONDS = 15.0  # until a batch that was created is surely in the list
CLOCKS = timedelta(hours=1)  # by which ours and OpenAI's may differ


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
        found = factory.find(held.mark, since=held.began - CLOCKS)
        batch = found.id if found else None
    if batch is None:
        try:
            batch = _ordered(message, held.mark, factory=factory, book=book, store=store)
        except FinalError as error:
            if not error.possibly_paid:
                _release(message, book=book)
            orders.let_go(message.order, after=SEEN_SECONDS)
            raise
        except EaselError:
            # OpenAI may have it all the same, whatever it said: the next one looks for it, once it can be seen there.
            orders.let_go(message.order, after=SEEN_SECONDS)
            raise
    if batch:
        orders.placed(message.order, batch=batch)
    return PlacedOrder(order=message.order, pictures=message.pictures, work=message.work, batch=batch, done=batch is None, looks=0)


def _ordered(message: Order, mark: str, *, factory: Factory, book: Records, store: ObjectStore) -> str | None:
    """The id of a new batch, None where nothing is left to be ordered."""
    with TemporaryFile() as requests:
        count, short = _claim(message, requests, book=book)
        if short:
            store.put(f"{message.work}unmade/{message.order}.short.jsonl", told(short), content_type=json_lines.CONTENT_TYPE)
        # Proves bucket and rights before anything is paid, and tells later what was.
        store.put_file(f"{message.work}requests/{message.order}.jsonl", requests, content_type=json_lines.CONTENT_TYPE)
        if not count:
            return None
        batch = factory.create(mark, requests).id
    say("order placed", order=message.order, pictures=count, batch=batch)
    return batch


def _release(message: Order, *, book: Records) -> None:
    """Undo the claims of an order that OpenAI refused."""
    for picture in message.pictures:
        record = book.image(picture["run_id"], picture["n"])
        if record and record.is_ordered(message.order):
            book.claims.release(record)


def _claim(message: Order, requests: IO[bytes], *, book: Records) -> tuple[int, list[dict[str, Any]]]:
    """Claim the order's pictures as far as the budget goes, and write their requests.

    Gives how many those are, and of the others what the budget said. Raises BudgetExceededError where it has room for none.
    """
    count, refused = 0, None
    short: list[dict[str, Any]] = []
    prompts = {run_id: prompt for run_id, (prompt, _, _) in book.runs({p["run_id"]: 0 for p in message.pictures}).items()}
    for picture in message.pictures:
        prompt = prompts[picture["run_id"]]
        record = book.image(picture["run_id"], picture["n"])
        if prompt is None or (record and not record.is_ordered(message.order)):
            continue
        if record:
            # Claimed by a try that came no further; OpenAI's day begins now.
            if not book.claims.renew(record, until=int(time.time()) + CLAIM_SECONDS):
                continue
        else:
            try:
                _take(message.order, picture, prompt, book=book)
            except ClaimHeldError:
                continue  # bought elsewhere since the plan was made
            except BudgetExceededError as error:
                refused = error
                short.append(unmade(picture["run_id"], picture["n"], type(error).__name__, str(error)))
                continue
        body = purchase.parameters(prompt) | {"n": 1}
        request = {"custom_id": custom_id(picture), "method": "POST", "url": ENDPOINT, "body": body}
        json_lines.write(requests, request)
        count += 1
    if refused and not count:
        raise refused
    return count, short


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
