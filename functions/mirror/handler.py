"""Copies a stored image, with its previews, sizes and sidecar, to a second store."""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import prepare
from easel.aws.observability import log_result, step
from easel.contract import naming
from easel.contract.messages import StoredImage
from easel.contract.status import Status
from easel.services import SERVICES, Services
from functions.mirror.store import MirrorStore, mirror_store

MAX_FILE_BYTES = 2 * naming.MAX_IMAGE_BYTES  # an exact size may be larger than its image


@step("mirror")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take a StoredImage and return a StoredImage."""
    return run(StoredImage.from_state(event), SERVICES, mirror_store()).to_state()


def run(stored: StoredImage, services: Services, mirror: MirrorStore) -> StoredImage:
    """Make sure that an image is in the mirror. This costs nothing and is safe to repeat.

    Existing copies are left unchanged.
    """
    if stored.status != Status.STORED or stored.key is None:
        return stored
    if services.bucket.head(stored.key) is None:
        # The image was deleted after it was stored. The mirror does not follow deletes.
        log_result("nothing to mirror", key=ascii(stored.key))
        return stored
    image = services.ledger.image(stored.run_id, stored.n)
    is_known = image is not None and image.key == stored.key
    files = image.files if image and is_known else (naming.thumbnail_key(stored.key),)
    # The image is copied last, so an image in the mirror always has all of its files.
    for key in (*files, naming.sidecar_key(stored.key), stored.key):
        body = services.bucket.get(key, limit=MAX_FILE_BYTES)
        if body is not None:
            mirror.copy(key, body, content_type=naming.CONTENT_TYPES[PurePosixPath(key).suffix[1:]])
    log_result("picture mirrored", key=ascii(stored.key))
    url = mirror.address(stored.key)
    services.ledger.note_mirrored(stored.run_id, stored.n, url=url)
    return replace(stored, mirrored=url)


prepare(lambda: SERVICES.bucket, lambda: SERVICES.ledger, mirror_store)
