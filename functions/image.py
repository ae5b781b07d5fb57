"""Claims one picture, buys it, stages its bytes: safe to die at any line, and to run twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Protocol

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start, keys, models, owing, purchase, signals
from functions.adapters import object_store, openai_api, records
from functions.adapters.budget import Budget, month_of
from functions.adapters.claims import CLAIMED, check_purchases
from functions.adapters.object_store import ObjectStore, StoredObject
from functions.adapters.openai_api import ImageAnswer
from functions.adapters.pace import Pace, pace
from functions.adapters.records import ImageRecord, PromptRecord, Records
from functions.adapters.table import table
from functions.contract import StagedImage, Variation
from functions.deadline import Deadline
from functions.errors import (
    BadImageError,
    ClaimHeldError,
    ConfigError,
    ContentRefusedError,
    EaselError,
    OutcomeUnknownError,
    TransientError,
)
from functions.settings import settings
from functions.telemetry import count, logger, say, spend, step

# The paid call leaves this much of the invocation for putting its bytes into staging.
STAGING_SECONDS = 30
LAST_SECONDS = 5
LEAST_CALL_SECONDS = 30  # with less, a picture would be ordered and not waited for
# Waiting here for a turn is cheaper than coming again, up to a point: every second of it is billed.
TURN_SECONDS = 60.0


class Painter(Protocol):
    """What this step needs of OpenAI."""

    def image(self, *, timeout: float, slow_down: Callable[[float | None], None], **parameters: Any) -> ImageAnswer:
        """Paint one picture: this costs money."""


@step("image")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Entry point of the image step: Variation in, StagedImage out."""
    book = Records(table(), Budget(table(), setting=settings().monthly_budget_micro_usd))
    outside: dict[str, Any] = {"painter": openai_api.api(), "book": book, "store": object_store.staging_store(), "pace": pace()}
    variation = Variation.from_state(event)
    with owing.told(variation.run_id, book=book):
        return run(variation, deadline=Deadline(context), **outside).to_state()


def run(variation: Variation, *, deadline: Deadline, painter: Painter, book: Records, store: ObjectStore, pace: Pace) -> StagedImage:
    """Make sure that this picture is bought and staged, at the price of at most one image call."""
    prompt = book.prompt(variation.run_id)
    if prompt is None:
        raise ConfigError(f"run {variation.run_id} has no prompt record; start the run again with its request_id")
    record = book.image(variation.run_id, variation.n)
    if record and record.status in (CLAIMED, records.LOST):
        record = _recovered(record, prompt, book=book, store=store)
    if record is None or record.status == CLAIMED:
        record = _buy(variation, prompt, record, deadline=deadline, painter=painter, book=book, store=store, pace=pace)
    if record.status == records.REFUSED:
        raise ContentRefusedError(f"{record.what} was refused ({record.refusal}); change the prompt", category=str(record.refusal))
    if record.status == records.BAD:
        raise BadImageError(str(record.problem))
    if record.status == records.LOST or record.staged_key is None:
        raise OutcomeUnknownError(f"{record.what} was paid and lost; start a new run to buy another")
    return StagedImage(
        run_id=record.run_id,
        n=record.n,
        key=record.staged_key,
        bytes=record.bytes or 0,
        sha256=record.sha256 or "",
        usage=record.usage,
        cost_micro_usd=record.cost_micro_usd,
    )


def _recovered(record: ImageRecord, prompt: PromptRecord, *, book: Records, store: ObjectStore) -> ImageRecord:
    """What became of an earlier purchase: its staged picture, or a claim whose outcome is unknown. Waits for a live one."""
    # Staging first: what lies there need not be waited for.
    found = _found(record, record.purchase, store=store)
    if found is None and record.status == CLAIMED:
        record = book.claims.outlived(record)
    for number in range(record.purchase - 1, 0, -1):
        found = found or _found(record, number, store=store)
    if found is None:
        if record.status == CLAIMED:
            check_purchases(record)
        return record
    usage = purchase.usage_of(found.metadata)
    staged = _staged(record, prompt, key=found.key, size=found.bytes, sha256=found.metadata.get("sha256", ""), usage=usage)
    return _settled(record, staged, book=book)


def _found(record: ImageRecord, number: int, *, store: ObjectStore) -> StoredObject | None:
    return store.head(keys.staged(record.run_id, record.n, number))


def _buy(
    variation: Variation,
    prompt: PromptRecord,
    earlier: ImageRecord | None,
    *,
    deadline: Deadline,
    painter: Painter,
    book: Records,
    store: ObjectStore,
    pace: Pace,
) -> ImageRecord:
    parameters = purchase.parameters(prompt)
    model, choices = prompt.choices["model"], prompt.choices
    models.check_not_retired(model, today=datetime.now(UTC).date())
    claim = ImageRecord(
        run_id=variation.run_id,
        n=variation.n,
        status=CLAIMED,
        purchase=earlier.purchase + 1 if earlier else 1,
        possibly_paid=earlier.possibly_paid if earlier else 0,
        lease_until=deadline.epoch(),
        month=month_of(datetime.now(UTC)),
        reserved_micro_usd=models.estimate_image(model, prompt=prompt.text, size=choices["size"], quality=choices["quality"]),
    )
    if deadline.seconds() < LEAST_CALL_SECONDS + STAGING_SECONDS:
        raise TransientError(f"{claim.what}: {deadline.seconds():.0f} s are too few to buy it; a new try has more")
    # Proves bucket, rights and key before anything is claimed or paid.
    note = purchase.call_note(prompt, purchase=claim.purchase)
    store.put(keys.staged_call(claim.run_id, claim.n, claim.purchase), note, content_type="application/json")
    patience = min(TURN_SECONDS, deadline.seconds() - LEAST_CALL_SECONDS - STAGING_SECONDS)
    # One of its own for each invocation: two that meet at this picture must not end each other's place.
    call = f"{keys.picture_id(claim.run_id, claim.n)}-{token_hex(4)}"
    with pace.turn(call, until=claim.lease_until, patience=patience):
        book.claims.take(claim, after=earlier)
        try:
            timeout = deadline.seconds() - STAGING_SECONDS
            answer = painter.image(timeout=timeout, slow_down=pace.slow_down, **parameters)
        except ContentRefusedError as refusal:
            if book.refuse(claim, category=refusal.category):
                count(signals.REFUSED)
            raise
        except EaselError as error:
            book.claims.give_up(claim, error)
            raise
        arrived = purchase.decode(answer.base64)
        usage = answer.usage
        del answer  # its base64 is larger than the picture, and not needed while that is put
        key = keys.staged(claim.run_id, claim.n, claim.purchase)
        _stage(key, arrived, usage, claim, deadline=deadline, book=book, store=store)
    staged = _staged(claim, prompt, key=key, size=len(arrived.data), sha256=arrived.sha256, usage=usage)
    record = _settled(claim, staged, book=book)
    say("picture bought", model=model, bytes=record.bytes)
    if not arrived.intact:
        book.spoil(record, problem=f"{claim.what} came as no valid base64; what came stays at {key}")
        record = book.image(claim.run_id, claim.n) or record
    return record


def _stage(
    key: str,
    arrived: purchase.Arrived,
    usage: dict[str, Any] | None,
    claim: ImageRecord,
    *,
    deadline: Deadline,
    book: Records,
    store: ObjectStore,
) -> None:
    """Put the bytes into staging. They exist nowhere else, so whatever S3 answers, it is asked again until the deadline."""
    while True:
        try:
            metadata = purchase.to_metadata(arrived, usage)
            return store.put(key, arrived.data, content_type="application/octet-stream", metadata=metadata, sha256=arrived.sha256)
        except EaselError as error:
            # A further put may hang as long as its timeouts allow, and the record has to be written after it.
            if deadline.seconds() <= LAST_SECONDS + object_store.STAGING_PUT_SECONDS:
                book.lose(claim)
                count(signals.LOST)
                logger.error("a paid picture is lost", n=claim.n, key=key)
                raise OutcomeUnknownError(f"{claim.what} was paid, but S3 did not take it until the deadline: {error}") from error
            deadline.sleep(0.5)


def _staged(claim: ImageRecord, prompt: PromptRecord, *, key: str, size: int, sha256: str, usage: dict[str, Any] | None) -> ImageRecord:
    cost = models.image_cost(prompt.choices["model"], usage, economy=claim.order is not None)
    return replace(claim, status=records.STAGED, staged_key=key, bytes=size, sha256=sha256, usage=usage, cost_micro_usd=cost)


def _settled(claim: ImageRecord, staged: ImageRecord, *, book: Records) -> ImageRecord:
    """The record as it stands after settling: ours, or that of whoever took the claim over meanwhile."""
    if book.stage(claim, staged):
        spend(staged.cost_micro_usd)
        return staged
    now = book.image(claim.run_id, claim.n)
    if now is None or now.status == CLAIMED:
        raise ClaimHeldError(f"{claim.what} was taken over by another execution")
    return now


cold_start.ready(openai_api.api, object_store.staging_store, pace)
