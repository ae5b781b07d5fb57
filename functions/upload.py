"""Verifies a staged picture and copies it to its final key, with a thumbnail and a sidecar. Nothing is overwritten."""

import json
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start, keys, owing, signals
from functions.adapters import object_store, records
from functions.adapters.budget import Budget
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import ImageRecord, PromptRecord, Records
from functions.adapters.table import table
from functions.contract import StagedImage, StoredImage
from functions.errors import BadImageError, ConfigError, ConflictError
from functions.settings import settings
from functions.telemetry import count, say, step
from functions.upload.verification import MAX_BYTES, Verified, verify

MAX_NAME_ATTEMPTS = 99


@step("upload")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the upload step: StagedImage in, StoredImage out."""
    book = Records(table(), Budget(table(), setting=settings().monthly_budget_micro_usd))
    staged = StagedImage.from_state(event)
    with owing.told(staged.run_id, book=book):
        return run(staged, now=datetime.now(UTC), book=book, store=object_store.store()).to_state()


def run(staged: StagedImage, *, now: datetime, book: Records, store: ObjectStore) -> StoredImage:
    """Make sure that this picture is stored under a key of its own. Free, and safe to run again."""
    prompt = book.prompt(staged.run_id)
    record = book.image(staged.run_id, staged.n)
    if prompt is None or record is None:
        raise ConfigError(f"picture {staged.n} of run {staged.run_id} has no record; start the run again with its request_id")
    if record.status != records.STAGED:
        return _done(record)
    try:
        data = store.get(staged.key, limit=MAX_BYTES)
        if data is None:
            return _gone(staged, book)
        picture = verify(data, sha256=staged.sha256, where=staged.key)
    except BadImageError as error:
        book.spoil(record, problem=str(error))
        raise
    base = keys.image_base(
        prompt.choices["folder_name"],
        prompt.choices["file_name"],
        started=prompt.started,
        run_id=staged.run_id,
        n=staged.n,
        topic=prompt.topic,
    )
    try:
        key = _copy(staged, picture, base, store=store)
    except LookupError:
        return _gone(staged, book)
    stored_at = f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    store.put_if_absent(keys.thumbnail(key), picture.thumbnail, content_type="image/webp")
    store.put_if_absent(keys.sidecar(key), _sidecar(prompt, record, picture, key, stored_at), content_type="application/json")
    if book.finish(record, key=key, size=(picture.width, picture.height), prompt=prompt, stored_at=stored_at):
        count(signals.STORED)
        if keys.is_scheduled(staged.run_id):
            count(signals.STORED_BY_SCHEDULE)
    say("picture stored", key=ascii(key), bytes=len(data))
    return StoredImage(run_id=staged.run_id, n=staged.n, status=records.STORED, key=key)


def _copy(staged: StagedImage, picture: Verified, base: str, *, store: ObjectStore) -> str:
    """Copy under the first free name: a taken one with this very picture in it is an earlier try of ours."""
    own = {"sha256": staged.sha256, "run-id": staged.run_id, "n": str(staged.n)}
    for attempt in range(1, MAX_NAME_ATTEMPTS + 1):
        key = keys.image(base, picture.extension, attempt=attempt)
        if store.copy_if_absent(staged.key, key, content_type=picture.content_type, metadata=own):
            return key
        there = store.head(key)
        if there and {name: there.metadata.get(name) for name in own} == own:
            return key
    raise ConflictError(f"{base} and {MAX_NAME_ATTEMPTS - 1} more names are taken; put {{run8}} and {{n}} into file_name")


def _gone(staged: StagedImage, book: Records) -> StoredImage:
    """Another execution may have stored it and emptied staging since the record was read."""
    record = book.image(staged.run_id, staged.n)
    if record is None or record.status == records.STAGED:
        raise ConfigError(f"staged image gone: {staged.key} is not there any more; staging keeps 30 days; start a new run to buy another")
    return _done(record)


def _done(record: ImageRecord) -> StoredImage:
    if record.status == records.BAD:
        raise BadImageError(str(record.problem))
    return StoredImage(run_id=record.run_id, n=record.n, status=record.status, key=record.key)


def _sidecar(prompt: PromptRecord, record: ImageRecord, picture: Verified, key: str, stored_at: str) -> bytes:
    lineage = {
        "id": keys.picture_id(record.run_id, record.n),
        "run_id": record.run_id,
        "n": record.n,
        "key": key,
        "title": prompt.title,
        "alt_text": prompt.alt_text,
        "tags": prompt.tags,
        "topic": prompt.topic,
        "prompt": prompt.text,
        "style": prompt.choices["style"],
        "model": prompt.choices["model"],
        "chat_model": prompt.chat_model,
        "size": prompt.choices["size"],
        "quality": prompt.choices["quality"],
        "background": prompt.choices["background"],
        "output_compression": prompt.choices["output_compression"],
        "moderation": prompt.choices["moderation"],
        "width": picture.width,
        "height": picture.height,
        "content_type": picture.content_type,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "usage": record.usage,
        "cost_usd": _usd(record.cost_micro_usd),
        "chat_cost_usd": _usd(prompt.chat_cost_micro_usd),
        "possibly_paid": record.possibly_paid,
        "run_started": prompt.started,
        "stored_at": stored_at,
    }
    return json.dumps(lineage, indent=2, ensure_ascii=False).encode()


def _usd(micro: int | None) -> float | None:
    return None if micro is None else micro / 1_000_000


cold_start.ready(object_store.store, table)
