"""Copies a stored picture, with its thumbnail and sidecar, to a second store. It is there only where the setting `mirror` names one."""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions import cold_start, keys
from functions.adapters import object_store, records
from functions.adapters.budget import Budget
from functions.adapters.mirror_store import MirrorStore, mirror_store
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import Records
from functions.adapters.table import table
from functions.contract import StoredImage
from functions.settings import settings
from functions.telemetry import say, step

CONTENT_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".json": "application/json"}
MAX_BYTES = 64 * 1024 * 1024  # as much as the upload step takes


@step("mirror")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Entry point of the mirror step: StoredImage in, StoredImage out."""
    book = Records(table(), Budget(table(), setting=settings().monthly_budget_micro_usd))
    return run(StoredImage.from_state(event), book=book, store=object_store.store(), mirror=mirror_store()).to_state()


def run(stored: StoredImage, *, book: Records, store: ObjectStore, mirror: MirrorStore) -> StoredImage:
    """Make sure that a picture is in the mirror. Free, and safe to run again: what is there already stays as it is."""
    if stored.status != records.STORED or stored.key is None:
        return stored
    if store.head(stored.key) is None:
        # Deleted since it was stored; the mirror takes no part in deletes.
        say("nothing to mirror", key=ascii(stored.key))
        return stored
    # The picture last: where it is, the rest is, too, as far as there is one.
    for key in (keys.thumbnail(stored.key), keys.sidecar(stored.key), stored.key):
        body = store.get(key, limit=MAX_BYTES)
        if body is not None:
            mirror.copy(key, body, content_type=CONTENT_TYPES[PurePosixPath(key).suffix])
    say("picture mirrored", key=ascii(stored.key))
    url = mirror.address(stored.key)
    book.note_mirrored(stored.run_id, stored.n, url=url)
    return replace(stored, mirrored=url)


cold_start.ready(object_store.store, table, mirror_store)
