"""Collects what came of an order: its pictures go into staging one by one, in bounded memory, and each claim is settled."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from functions import keys, models, purchase
from functions.adapters import records
from functions.adapters.claims import CLAIMED
from functions.adapters.object_store import ObjectStore
from functions.adapters.openai_batches import PlacedBatch
from functions.adapters.openai_errors import REFUSALS
from functions.adapters.records import ImageRecord, PromptRecord, Records
from functions.contract import PlacedOrder, Problem
from functions.deadline import Deadline
from functions.economy.planning import JSON_LINES, custom_id
from functions.errors import ClaimHeldError, OutcomeUnknownError, TransientError
from functions.telemetry import count, logger, spend

LAST_SECONDS = 60.0  # the rest is left to another try, which skips what is staged
NOT_MADE = "NotMade"
OK = 200
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


def collect(order: PlacedOrder, *, deadline: Deadline, results: Results, book: Records, store: ObjectStore) -> dict[str, Any]:
    """Stage what came, settle what did not, and say what that was. Raises TransientError where its time is over before the end."""
    if order.batch is None:
        return {"order": order.order, "staged": 0, "unmade": 0}
    open_ = _open(order, book=book)
    placed, unmade = results.look(order.batch), []
    staged = 0
    for answer in _answers(placed.answers, results):
        if deadline.seconds() < LAST_SECONDS:
            raise TransientError(f"order {order.order}: {staged} pictures are staged, the others in another try")
        found = open_.get(str(answer.get("custom_id")))
        if found and (answer.get("response") or {}).get("status_code") == OK:
            _stage(*found, answer, book=book, store=store)
            del open_[str(answer["custom_id"])]
            staged += 1
    for answer in _answers(placed.errors, results):
        if found := open_.pop(str(answer.get("custom_id")), None):
            unmade.append(_unmade(found[0], answer, book=book))
    for claim, _ in open_.values():
        # Of a batch that was completed each request has an answer; of the others, what has none was not done.
        lost = placed.status == "completed"
        book.claims.mark_unknown(claim) if lost else book.claims.release(claim)
        error, said = (OutcomeUnknownError.__name__, "no answer came of it") if lost else (NOT_MADE, f"OpenAI's batch {placed.status}")
        unmade.append(_told(claim, error, said))
    if unmade:
        body = "".join(json.dumps(one) + "\n" for one in unmade).encode()
        store.put(f"{order.work}unmade/{order.order}.jsonl", body, content_type=JSON_LINES)
    logger.info("order collected", order=order.order, batch=order.batch, status=placed.status, staged=staged, unmade=len(unmade))
    return {"order": order.order, "staged": staged, "unmade": len(unmade)}


def _open(order: PlacedOrder, *, book: Records) -> dict[str, Claimed]:
    """The claims of the order that are not settled yet, with their prompts, by the name that OpenAI knows them under."""
    most: dict[str, int] = {}
    for picture in order.pictures:
        most[picture["run_id"]] = max(picture["n"], most.get(picture["run_id"], 0))
    found = {}
    for run_id, (prompt, _, images) in book.runs(most).items():
        for image in images:
            if prompt and image.status == CLAIMED and image.order == order.order:
                found[custom_id({"run_id": run_id, "n": image.n})] = (image, prompt)
    return found


def _answers(file: str | None, results: Results) -> Iterator[dict[str, Any]]:
    for line in results.lines(file) if file else ():
        try:
            read = json.loads(line)
        except ValueError:
            continue  # whose it was is not known: its claim stays open, and is told of at the end
        if isinstance(read, dict):
            yield read


def _stage(claim: ImageRecord, prompt: PromptRecord, answer: dict[str, Any], *, book: Records, store: ObjectStore) -> None:
    body = (answer.get("response") or {}).get("body") or {}
    pictures = body.get("data")
    first = pictures[0] if isinstance(pictures, list) and pictures else {}
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else None
    arrived = purchase.decode(str(first.get("b64_json") or ""))
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


def _unmade(claim: ImageRecord, answer: dict[str, Any], *, book: Records) -> dict[str, Any]:
    """Settle a picture that OpenAI did not make, for which it charges nothing."""
    response = answer.get("response") or {}
    error = (response.get("body") or {}).get("error") or answer.get("error") or {}
    code = str(error.get("code") or response.get("status_code") or "unknown")
    if code in REFUSALS:
        book.refuse(claim, category=code)
        count("Refused")
        return _told(claim, "ContentRefusedError", f"{claim.what} was refused ({code}); change the prompt")
    book.claims.release(claim)
    return _told(claim, NOT_MADE, f"{claim.what} was not made: {code}")


def _told(claim: ImageRecord, error: str, said: str) -> dict[str, Any]:
    return {"run_id": claim.run_id} | Problem(line=claim.n, field=None, error=error, message=said).to_state()
