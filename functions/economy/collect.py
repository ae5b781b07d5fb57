"""Collects the results of an order. Images go to staging one by one, in bounded memory.

Every claim of the order is settled.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from easel.aws import json_lines
from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import log_result
from easel.contract.batch_messages import PlacedOrder
from easel.contract.errors import (
    ContentRefusedError,
    EaselError,
    OutcomeUnknownError,
    TransientError,
)
from easel.ledger.ledger import Ledger
from easel.ledger.records import ImageRecord, PromptRecord
from easel.openai_client.batches import OpenAIBatches
from easel.openai_client.images import decode_image, image_in
from easel.openai_client.reasons import Reason, category, reason_of
from easel.services import Services
from functions.economy.inputs import OrderInputs
from functions.economy.plan import custom_id, failure_entry

LAST_SECONDS = 60.0  # the rest is left to a retry, which skips staged images
NOT_MADE = "NotMade"
NOT_ORDERED = "not_ordered"  # our own code
COMPLETED = "completed"
# OpenAI ends each waiting batch within a day, so after a day the queue has had room. The state
# machine waits for up to half an hour each time.
MAX_QUEUED = 50
ClaimedImage = tuple[ImageRecord, PromptRecord]


def look(order: PlacedOrder, services: Services) -> PlacedOrder:
    """Return the order after another look at OpenAI.

    It is `done` when the batch has ended. If OpenAI's queue had no room for it, it is to be placed
    `again`: nothing was made and nothing is charged.
    """
    if order.batch is None:
        return replace(order, done=True, looks=order.looks + 1)
    batch = services.openai_batches.look(order.batch)
    again = batch.found_queue_full and order.queued < MAX_QUEUED
    if again:
        services.batch_orders.mark_ended(order.order, batch=order.batch)
    return replace(
        order,
        done=batch.has_ended and not again,
        looks=order.looks + 1,
        queued=order.queued + again,
        again=again,
    )


def collect(order: PlacedOrder, services: Services, deadline: Deadline) -> dict[str, Any]:
    """Stage the images that arrived, settle the others, and return both counts.

    Raises TransientError if there is too little time left to finish.
    """
    if order.batch is None:
        return {"order": order.order, "staged": 0, "unmade": 0}
    batches, ledger = services.openai_batches, services.ledger
    purchases = services.purchases(deadline)
    batch, open_claims = batches.look(order.batch), _open_claims(order, ledger)
    staged = 0
    failed: list[tuple[ImageRecord, EaselError]] = []

    def pop_claim(answer: dict[str, Any]) -> ClaimedImage | None:
        name = str(answer.get("custom_id"))
        return open_claims.pop(name, None) or _find_claim(name, order, ledger)

    for answer in _answers(batch.answers, batches):
        if deadline.seconds() < LAST_SECONDS:
            rest = f"{staged} images are staged; another attempt is buying the others"
            raise TransientError(f"order {order.order}: {rest}")
        match = pop_claim(answer)
        encoded, usage = image_in(_get(answer.get("response"), "body"))
        if match and encoded:
            purchases.stage(*match, decode_image(encoded, usage))
            staged += 1
        elif match:
            failed.append((match[0], _failure(match[0], None)))
    for answer in _answers(batch.errors, batches):
        match = pop_claim(answer)
        if match:
            failed.append((match[0], _failure(match[0], _code(answer), _error(answer))))
    # In a completed batch each request has an answer. In any other batch, a request without an
    # answer was not processed.
    code = None if batch.status == COMPLETED else (batch.problem or batch.status)
    for claim, _ in open_claims.values():
        is_older = claim.order_number is not None and claim.order_number < order.number
        failed.append((claim, _failure(claim, NOT_ORDERED if is_older else code)))
    if failed:
        # The reasons are stored before the claims are settled, because a retry finds only open
        # claims.
        body = json_lines.to_bytes(_describe(claim, error) for claim, error in failed)
        key = f"{order.work}unmade/{order.order}.jsonl"
        services.bucket.put(key, body, content_type=json_lines.CONTENT_TYPE)
    for claim, error in failed:
        purchases.give_up(claim, error)
    OrderInputs(order.order, order.number, services, deadline).delete()
    services.batch_orders.mark_ended(order.order, batch=order.batch)
    counts = {"order": order.order, "staged": staged, "unmade": len(failed)}
    log_result("order collected", batch=order.batch, status=batch.status, **counts)
    return counts


def _open_claims(order: PlacedOrder, ledger: Ledger) -> dict[str, ClaimedImage]:
    """Return the order's claims that are not settled yet, by custom_id."""
    counts: dict[str, int] = {}
    for ref in order.pictures:
        counts[ref["run_id"]] = max(ref["n"], counts.get(ref["run_id"], 0))
    claims = {}
    for run_id, records in ledger.runs(counts).items():
        for image in records.images:
            # A claim that was given up meanwhile still counts, because its image may have arrived.
            # A claim with a lower number was not ordered again.
            if records.prompt and image.is_of(order.order, upto=order.number):
                claims[custom_id({"run_id": run_id, "n": image.n})] = (image, records.prompt)
    return claims


def _find_claim(name: str, order: PlacedOrder, ledger: Ledger) -> ClaimedImage | None:
    """Return an image that belongs to the order but not to this plan.

    That can happen if two starts of a batch ran at the same time.
    """
    run_id, _, n = name.rpartition("#")
    if not run_id or not n.isdecimal() or {"run_id": run_id, "n": int(n)} in order.pictures:
        return None
    image, prompt = ledger.image(run_id, int(n)), ledger.prompt(run_id)
    is_open = image and image.is_ordered(order.order, upto=order.number)
    return (image, prompt) if image and prompt and is_open else None


def _answers(file: str | None, batches: OpenAIBatches) -> Iterator[dict[str, Any]]:
    for line in batches.lines(file) if file else ():
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            continue  # its claim is unknown, stays open, and is settled at the end
        if isinstance(answer, dict):
            yield answer


def _get(value: object, name: str) -> Any:
    """Return a field of a part of an answer, or None if the part is not an object."""
    return value.get(name) if isinstance(value, dict) else None


def _error(answer: dict[str, Any]) -> Any:
    return _get(_get(answer.get("response"), "body"), "error") or answer.get("error")


def _code(answer: dict[str, Any]) -> str | None:
    """Return OpenAI's code for why an image was not made, or None if it gave none."""
    code = _get(_error(answer), "code") or _get(answer.get("response"), "status_code")
    return str(code) if code else None


def _failure(claim: ImageRecord, code: str | None, error: object = None) -> EaselError:
    """Return the error for an image that did not arrive.

    If OpenAI returned a code, it charges nothing for the image
    (https://community.openai.com/t/1385608). Otherwise the outcome is unknown.
    """
    if code is None:
        unknown = f"{claim.label} was ordered, but no usable answer came"
        return OutcomeUnknownError(unknown, possibly_paid=True)
    if reason_of(error) is Reason.REFUSED:
        refused = f"{claim.label} was refused ({code}); change the prompt"
        return ContentRefusedError(refused, category=category(error))
    return TransientError(
        f"{claim.label} was not made ({code}); starting the batch again orders it again"
    )


def _describe(claim: ImageRecord, error: EaselError) -> dict[str, Any]:
    name = NOT_MADE if isinstance(error, TransientError) else type(error).__name__
    return failure_entry(claim.run_id, claim.n, name, str(error))
