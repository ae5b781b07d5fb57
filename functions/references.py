"""Checks an upload when it arrives, and gives it the key that requests name.

S3 may announce an upload twice, and a link may be used twice. The first bytes keep the key.
"""

from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.utilities.typing import LambdaContext

from easel.aws.lambda_runtime import prepare
from easel.aws.observability import log_result, logger, note, step
from easel.contract import naming
from easel.contract.errors import BadImageError
from easel.images.input_file import InputImage, read_upload
from easel.ledger.uploads import MAX_BYTES, Upload, UploadStatus
from easel.services import SERVICES, Services


@step("references")
def handler(event: Any, _context: LambdaContext) -> dict[str, Any]:
    """Take an "Object Created" event of S3 for an object in the inbox."""
    key = event["detail"]["object"]["key"]
    run(key, SERVICES)
    return {"key": key}


def run(key: str, services: Services) -> None:
    """Check the upload in the inbox. This is free and safe to repeat."""
    upload_id = key.removeprefix(naming.REFERENCE_INBOX)
    note(upload_id=upload_id)
    if not naming.UPLOAD_ID.fullmatch(upload_id):
        logger.warning("an object in the inbox of uploads has no upload's name", key=ascii(key))
        return
    stored = services.bucket.head(key)
    if stored is None:
        return
    # An upload without a link, such as the command line's, has no record yet.
    name = unquote(stored.metadata.get("name", "")) or upload_id
    upload = services.uploads.add(upload_id, name=name)
    try:
        data = services.bucket.get(key, limit=MAX_BYTES)
        if data is None:
            return
        image = read_upload(data, limit=MAX_BYTES)
    except BadImageError as error:
        services.uploads.mark_refused(upload_id, problem=str(error))
        log_result("upload refused", reason=str(error))
        return
    _store(upload, image, services)


def _store(upload: Upload, image: InputImage, services: Services) -> None:
    """Store a checked upload under its own key, unless other bytes have come first."""
    bucket, uploads, file = services.bucket, services.uploads, image.file
    key = naming.reference_key(upload.id, file.extension)
    if not uploads.take_key(upload.id, key, sha256=image.sha256):
        logger.warning("a link was used again for another image, which is ignored")
        return
    tags = naming.UNUSED_TAG
    bucket.put_if_absent(
        naming.thumbnail_key(key), file.thumbnail, content_type="image/webp", tags=tags
    )
    bucket.put_if_absent(
        key,
        image.data,
        content_type=file.content_type,
        metadata={"sha256": image.sha256},
        tags=tags,
    )
    stored = bucket.head(key)
    if stored is None:
        return  # it has expired, so this event is days old
    checked = replace(
        upload,
        status=UploadStatus.READY,
        key=key,
        version_id=stored.version_id,
        sha256=image.sha256,
        bytes=stored.bytes,
        width=file.width,
        height=file.height,
        content_type=file.content_type,
        is_transparent=image.is_transparent,
        problem=None,
    )
    uploads.mark_ready(checked)
    log_result("upload checked", key=key, bytes=stored.bytes)


prepare(lambda: SERVICES.bucket, lambda: SERVICES.uploads)
