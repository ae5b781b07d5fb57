"""Uploads images that a request can name as reference images."""

import time
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from cli.target import Target
from easel.contract import naming
from easel.ledger.uploads import MAX_BYTES, Upload, Uploads, UploadStatus

POLL_SECONDS, PATIENCE_SECONDS = 0.5, 120


class UploadError(ValueError):
    """The file cannot be a reference image. The message says why."""


def upload(target: Target, file: Path) -> Upload:
    """Upload a file, and wait until it is checked. Raises UploadError."""
    size = file.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise UploadError(f"{file} has {size:,} bytes; allowed: 1 to {MAX_BYTES:,}")
    upload_id = uuid4().hex
    uploads = Uploads(target.records)
    uploads.add(upload_id, name=file.name)
    with file.open("rb") as body:
        target.client("s3").put_object(
            Bucket=target.bucket,
            Key=naming.upload_inbox_key(upload_id),
            Body=body,
            Metadata={"name": quote(file.name)},
        )
    return _wait(uploads, upload_id, file)


def _wait(uploads: Uploads, upload_id: str, file: Path) -> Upload:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = uploads.find(upload_id)
        if found and found.status == UploadStatus.REFUSED:
            raise UploadError(f"{file} was refused: {found.problem}")
        if found and found.status == UploadStatus.READY:
            return found
        time.sleep(POLL_SECONDS)
    raise UploadError(
        f"{file} is uploaded, but it was not checked within {PATIENCE_SECONDS} s; see the alarm "
        "UploadsNotDelivered in docs/operations.md"
    )
