"""Empties the staging of finished pictures and reports the run; or deletes or restores an image or a folder on request."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start, keys
from functions.adapters import object_store, records
from functions.adapters.budget import Budget
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.cleanup.fulfilment import fulfil
from functions.cleanup.reporting import fail, report
from functions.contract import Prompt, Report, Start
from functions.deadline import Deadline
from functions.settings import Settings, settings
from functions.telemetry import say, step

FINISHED = (records.STORED, records.DELETED, records.REFUSED)


@step("cleanup")
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Entry point of the cleanup step: Prompt in, Report out; or Start with another request in, Removal or Restoration out."""
    outside: dict[str, Any] = {
        "settings": settings(),
        "book": Records(table(), Budget(table(), setting=settings().monthly_budget_micro_usd)),
        "store": object_store.store(),
    }
    if isinstance(event, dict) and "request" in event:
        return fulfil(Start.from_state(event), now=datetime.now(UTC), deadline=Deadline(context), **outside).to_state()
    return finish(Prompt.from_state(event), **outside).to_state()


def finish(message: Prompt, *, settings: Settings, book: Records, store: ObjectStore) -> Report:
    """Remove what finished pictures left in staging, and report; or fail for the pictures that can't be had."""
    prompt, chat, images = (None, None, []) if message.dry_run else book.run(message.run_id)
    finished = tuple(keys.staging_prefix(image.run_id, image.n) for image in images if image.status in FINISHED)
    if finished:
        store.delete([found.key for found in store.objects(f"staging/{message.run_id}/") if found.key.startswith(finished)])
    made = report(message, prompt, chat, images, bucket=settings.bucket, region=settings.region)
    fail(images)
    say("run finished", stored=made.stored, refused=made.refused, cost_usd=made.cost_usd)
    return made


cold_start.ready(object_store.store, table)
