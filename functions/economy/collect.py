"""Collects what came of an order: its pictures go into staging one by one, in bounded memory, and each claim is settled."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from functions import json_lines, keys, models, purchase, signals
from functions.adapters import records
from functions.adapters.claims import CLAIMED
from functions.adapters.object_store import ObjectStore
from functions.adapters.openai_batches import PlacedBatch
from functions.adapters.openai_errors import REFUSALS
from functions.adapters.orders import Orders
from functions.adapters.records import ImageRecord, PromptRecord, Records
from functions.contract import PlacedOrder
from functions.deadline import Deadline
from functions.economy.planning import custom_id, told, unmade
from functions.errors import ClaimHeldError, ContentRefusedError, OutcomeUnknownError, TransientError
from functions.telemetry import count, say, spend

LAST_SECONDS = 60.0  # the rest is left to another try, which skips what is staged
NOT_MADE = "NotMade"
COMPLETED = "completed"
Claimed = tuple[ImageRecord, PromptRecord]


class Results(Protocol):
    """What this needs of OpenAI."""

    def look(self, batch: str) -> PlacedBatch:
        """A batch as it stands."""

    def lines(self, file: str) -> Iterator[bytes]:
        """The lines of a file, as they arrive."""


def look(order: PlacedOrder, *, results: Results) -> PlacedOrder:
    """The order, `done` once nothing more comes of it, after one more look."""
    return replace(order, done=order.batch is None or results.look(order.batch).ended, looks=order.looks + 1)


def collect(
    order: PlacedOrder, *, deadline: Deadline, results: Results, orders: Orders, book: Records, store: ObjectStore
) -> dict[str, Any]:
    """Stage what came, settle what did not, and say what that was. Raises TransientError where its time is over before the end."""
    if order.batch is None:
        return {"order": order.order, "staged": 0, "unmade": 0}
    placed, open_ = results.look(order.batch), _open(order, book=book)
    staged = 0
    failed: list[tuple[ImageRecord, str | None]] = []  # with OpenAI's code where it answered
    for answer in _answers(placed.answers, results):
        if deadline.seconds() < LAST_SECONDS:
            raise TransientError(f"order {order.order}: {staged} pictures are staged, the others in another try")
        found = open_.pop(_name(answer), None) or _claimed(_name(answer), order, book=book)
        encoded, usage = _picture(answer)
        if found and encoded:
            _stage(*found, encoded, usage, book=book, store=store)
            staged += 1
        elif found:
            failed.append((found[0], None))
    for answer in _answers(placed.errors, results):
        found = open_.pop(_name(answer), None) or _claimed(_name(answer), order, book=book)
        if found:
            failed.append((found[0], _code(answer)))
    # Of a batch that was completed each request has an answer; of the others, what has none was not done.
    failed += [(claim, None if placed.status == COMPLETED else placed.status) for claim, _ in open_.values()]
    words = [_told(claim, code) for claim, code in failed]
    if words:
        # Before the claims are settled: after that nobody could say it again.
        store.put(f"{order.work}unmade/{order.order}.jsonl", told(words), content_type=json_lines.CONTENT_TYPE)
    for claim, code in failed:
        _settle(claim, code, book=book)
    orders.ended(order.order, batch=order.batch)
    say("order collected", order=order.order, batch=order.batch, status=placed.status, staged=staged, unmade=len(words))
    return {"order": order.order, "staged": staged, "unmade": len(words)}


def _open(order: PlacedOrder, *, book: Records) -> dict[str, Claimed]:
    """The claims of the order that are not settled yet, with their prompts, by the name that OpenAI knows them under."""
    most: dict[str, int] = {}
    for picture in order.pictures:
        most[picture["run_id"]] = max(picture["n"], most.get(picture["run_id"], 0))
    found = {}
    for run_id, (prompt, _, images) in book.runs(most).items():
        for image in images:
            # Also where somebody gave it up meanwhile: if it came, it came.
            if prompt and image.status == CLAIMED and image.order == order.order:
                found[custom_id({"run_id": run_id, "n": image.n})] = (image, prompt)
    return found


def _claimed(name: str, order: PlacedOrder, *, book: Records) -> Claimed | None:
    """A picture that is in the order and not in this plan of it, as where two starts of a batch have met."""
    run_id, _, n = name.rpartition("#")
    if not run_id or not n.isdecimal() or {"run_id": run_id, "n": int(n)} in order.pictures:
        return None
    image, prompt = book.image(run_id, int(n)), book.prompt(run_id)
    return (image, prompt) if image and prompt and image.is_ordered(order.order) else None


def _answers(file: str | None, results: Results) -> Iterator[dict[str, Any]]:
    for line in results.lines(file) if file else ():
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):
            continue  # whose it was is not known: its claim stays open, and is told of at the end
        if isinstance(read, dict):
            yield read


def _name(answer: dict[str, Any]) -> str:
    return str(answer.get("custom_id"))


def _of(value: object, name: str) -> Any:
    """A field of an answer's part, where that is an object."""
    return value.get(name) if isinstance(value, dict) else None


def _picture(answer: dict[str, Any]) -> tuple[str | None, dict[str, Any] | None]:
    """The picture in base64 as it came and its usage, None where there is none."""
    body = _of(answer.get("response"), "body")
    pictures, usage = _of(body, "data"), _of(body, "usage")
    encoded = _of(pictures[0], "b64_json") if isinstance(pictures, list) and pictures else None
    return (encoded if isinstance(encoded, str) and encoded else None), (usage if isinstance(usage, dict) else None)


def _code(answer: dict[str, Any]) -> str:
    """OpenAI's word for why a picture was not made."""
    response = answer.get("response")
    error = _of(_of(response, "body"), "error") or answer.get("error")
    return str(_of(error, "code") or _of(response, "status_code") or "unknown")


def _stage(
    claim: ImageRecord, prompt: PromptRecord, encoded: str, usage: dict[str, Any] | None, *, book: Records, store: ObjectStore
) -> None:
    arrived = purchase.decode(encoded)
    key = keys.staged(claim.run_id, claim.n, claim.purchase)
    metadata = purchase.to_metadata(arrived, usage)
    store.put(key, arrived.data, content_type="application/octet-stream", metadata=metadata, sha256=arrived.sha256)
    cost = models.image_cost(prompt.choices["model"], usage, economy=True)
    size = len(arrived.data)
    staged = replace(claim, status=records.STAGED, staged_key=key, bytes=size, sha256=arrived.sha256, usage=usage, cost_micro_usd=cost)
    if not book.stage(claim, staged):
        raise ClaimHeldError(f"{claim.what} was taken over by another execution")
    spend(cost)
    if not arrived.intact:
        book.spoil(staged, problem=f"{claim.what} came as no valid base64; what came stays at {key}")


def _settle(claim: ImageRecord, code: str | None, *, book: Records) -> None:
    """End the claim of a picture that was not made, for which OpenAI charges nothing; or of which nobody knows."""
    if claim.lease_until == 0:
        return  # somebody has counted it as possibly paid already
    if code is None:
        book.claims.mark_unknown(claim)
    elif code in REFUSALS:
        if book.refuse(claim, category=code):
            count(signals.REFUSED)
    else:
        book.claims.release(claim)


def _told(claim: ImageRecord, code: str | None) -> dict[str, Any]:
    if code is None:
        error, said = OutcomeUnknownError.__name__, f"{claim.what} was ordered, and no usable answer came"
    elif code in REFUSALS:
        error, said = ContentRefusedError.__name__, f"{claim.what} was refused ({code}); change the prompt"
    else:
        error, said = NOT_MADE, f"{claim.what} was not made ({code}); another start orders it anew"
    return unmade(claim.run_id, claim.n, error, said)
