"""Empties the staging of finished pictures and reports the run; or deletes an image or a folder on request."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import keys, request
from functions.adapters import object_store, records
from functions.adapters.budget import Budget
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.cleanup.removal import remove
from functions.cleanup.reporting import report
from functions.contract import Prompt, Removal, Report, Start
from functions.errors import ConfigError
from functions.settings import Settings, settings
from functions.telemetry import count, logger, step

FINISHED = (records.STORED, records.DELETED, records.REFUSED)


@step("cleanup")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the cleanup step: Prompt in, Report out; or Start with a delete request in, Removal out."""
    outside: dict[str, Any] = {
        "settings": settings(),
        "book": Records(table(), Budget(table(), setting=settings().monthly_budget_micro_usd)),
        "store": object_store.store(),
    }
    if isinstance(event, dict) and "request" in event:
        return delete(Start.from_state(event), now=datetime.now(UTC), **outside).to_state()
    return finish(Prompt.from_state(event), **outside).to_state()


def finish(message: Prompt, *, settings: Settings, book: Records, store: ObjectStore) -> Report:
    """Remove what finished pictures left in staging, and report."""
    prompt, images = (None, []) if message.dry_run else book.run(message.run_id)
    finished = tuple(keys.staging_prefix(image.run_id, image.n) for image in images if image.status in FINISHED)
    for page in store.pages(f"staging/{message.run_id}/") if finished else ():
        store.delete([found.key for found in page if found.key.startswith(finished)])
    made = report(message, prompt, images, bucket=settings.bucket, region=settings.region)
    count("Stored", made.stored)
    count("Refused", made.refused)
    logger.info("run finished", stored=made.stored, refused=made.refused, cost_usd=made.cost_usd)
    return made


def delete(start: Start, *, now: datetime, settings: Settings, book: Records, store: ObjectStore) -> Removal:
    """Delete what a confirmed request names, and nothing else."""
    wanted = request.parse(start.request, request.defaults(settings), today=now.date())
    if wanted.action == "create":
        raise ConfigError("a create request came to the cleanup step; is the state machine older than the functions?")
    removed = remove(wanted, store=store, book=book)
    target = wanted.image_key if wanted.action == "delete_image" else wanted.folder_name
    logger.info("deleted", action=wanted.action, target=ascii(target), objects=removed.objects, dry_run=wanted.dry_run)
    return Removal(
        action=wanted.action,
        target=str(target),
        dry_run=wanted.dry_run,
        objects=removed.objects,
        deleted=0 if wanted.dry_run else removed.objects,
        bytes=removed.bytes,
        recoverable_days=settings.recoverable_days,
    )
