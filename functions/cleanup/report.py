"""The report of a run, from its records alone."""

from collections.abc import Sequence

from functions import keys
from functions.adapters import records
from functions.adapters.claims import CLAIMED
from functions.adapters.object_store import console_url
from functions.adapters.records import ChatRecord, ImageRecord, PromptRecord
from functions.contract import Picture, Prompt, Report
from functions.errors import BadImageError, OutcomeUnknownError


def report(
    message: Prompt,
    prompt: PromptRecord | None,
    chat: ChatRecord | None,
    images: Sequence[ImageRecord],
    *,
    bucket: str,
    region: str,
) -> Report:
    """Each picture with key, console link, cost and status, and the totals; a cost that is not known makes the total unknown."""
    pictures = tuple(_picture(image, bucket=bucket, region=region) for image in images)
    chat_cost = _usd(prompt.chat_cost_micro_usd) if prompt else 0.0
    costs = [_usd(image.cost_micro_usd) for image in images if image.status != records.REFUSED]
    paid = [cost for cost in costs if cost is not None]
    image_cost = round(sum(paid), 6) if len(paid) == len(costs) else None
    return Report(
        run_id=message.run_id,
        dry_run=message.dry_run,
        topic=prompt.topic if prompt else None,
        title=prompt.title if prompt else None,
        pictures=pictures,
        stored=sum(picture.status == records.STORED for picture in pictures),
        refused=sum(picture.status == records.REFUSED for picture in pictures),
        possibly_paid=sum(picture.possibly_paid for picture in pictures) + (chat.possibly_paid if chat else 0),
        chat_cost_usd=chat_cost,
        image_cost_usd=image_cost,
        cost_usd=round(chat_cost + image_cost, 6) if chat_cost is not None and image_cost is not None else None,
        estimate_usd=_usd(message.estimate_micro_usd),
    )


def fail(images: Sequence[ImageRecord]) -> None:
    """Raise the error of the first picture that can't be had, if there is one, which says what became of each."""
    failed = [image for image in images if image.status in (records.BAD, records.LOST, CLAIMED)]
    if not failed:
        return
    stored = sum(image.status == records.STORED for image in images)
    whys = "; ".join(image.problem or _unknown(image) for image in failed)
    kind = BadImageError if failed[0].status == records.BAD else OutcomeUnknownError
    raise kind(f"{stored} of {len(images)} pictures are stored; {whys}")


def _unknown(image: ImageRecord) -> str:
    bought = f"was bought {image.purchase} times and no usable answer came"
    what = "was paid and lost: S3 did not take it" if image.status == records.LOST else bought
    return f"{image.what} {what}; look into OpenAI's usage page, then start a new run with another request_id to buy another"


def _picture(image: ImageRecord, *, bucket: str, region: str) -> Picture:
    return Picture(
        n=image.n,
        id=keys.picture_id(image.run_id, image.n),
        status=image.status,
        key=image.key,
        console_url=console_url(bucket, image.key, region=region) if image.key and image.status == records.STORED else None,
        bytes=image.bytes,
        cost_usd=0.0 if image.status == records.REFUSED else _usd(image.cost_micro_usd),
        possibly_paid=image.possibly_paid,
        refusal=image.refusal,
    )


def _usd(micro: int | None) -> float | None:
    return None if micro is None else micro / 1_000_000
