"""The images that runs with references are made from.

A test uploads its own, or uses those of UPLOADS, which a stack gets once.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence

from PIL import Image

from easel.aws.table import Table
from easel.contract import naming
from easel.ledger.uploads import Upload, Uploads, UploadStatus
from tests.faults.faulty_stack import FaultyStack
from tests.support.images import png
from tests.support.references import mask_png

SIZE = (1024, 640)


def _large() -> bytes:
    """Return a PNG of 8 MB. More bytes than this are never on their way on loopback."""
    out = io.BytesIO()
    noise = Image.frombytes("RGB", (2048, 1280), os.urandom(2048 * 1280 * 3))
    noise.save(out, "PNG", compress_level=0)
    return out.getvalue()


FIRST, SECOND, MASK, LARGE = (naming.reference_key(digit * 32, "png") for digit in "1234")
# The mask is as large as the first image, which must not be smaller than the new image.
UPLOADS = {
    FIRST: lambda: png(*SIZE, "red"),
    SECOND: lambda: png(300, 200, "blue"),
    MASK: lambda: mask_png(*SIZE),
    LARGE: _large,
}


def prepare(stack: FaultyStack) -> None:
    """Upload the images of UPLOADS, unless the stack has them."""
    for key, make in UPLOADS.items():
        upload_id = naming.upload_id(key) or ""
        if find(stack, upload_id) is None:
            put(stack, upload_id, make())
    for key in UPLOADS:
        wait(stack, naming.upload_id(key) or "")


def upload(stack: FaultyStack, upload_id: str, data: bytes) -> Upload:
    """Upload an image, and wait until it is checked."""
    put(stack, upload_id, data)
    return wait(stack, upload_id)


def put(stack: FaultyStack, upload_id: str, data: bytes) -> None:
    """Put an image into the inbox. It is checked a moment later."""
    key = naming.upload_inbox_key(upload_id)
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=data, ContentType="image/png")


def send_event(stack: FaultyStack, upload_id: str) -> None:
    """Announce an upload once more, as S3 may do."""
    functions = stack.client("lambda")
    names = [function["FunctionName"] for function in functions.list_functions()["Functions"]]
    key = naming.upload_inbox_key(upload_id)
    functions.invoke(
        FunctionName=next(name for name in names if "References" in name),
        InvocationType="Event",
        Payload=json.dumps({"detail": {"object": {"key": key}}}),
    )


def wait(stack: FaultyStack, upload_id: str) -> Upload:
    """Wait until an upload is checked, and return it."""
    seen: list[Upload] = []

    def is_checked() -> bool:
        upload = find(stack, upload_id)
        seen.extend([upload] if upload and upload.status != UploadStatus.WAITING else [])
        return bool(seen)

    stack.until(is_checked)
    return seen[-1]


def find(stack: FaultyStack, upload_id: str) -> Upload | None:
    """Return an upload, or None."""
    return Uploads(Table(stack.dynamodb, name=stack.table)).find(upload_id)


def sha256_of(stack: FaultyStack, key: str) -> str:
    """Return the SHA-256 sum of an input."""
    body = stack.s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read()
    return hashlib.sha256(body).hexdigest()


def delete(stack: FaultyStack, key: str) -> None:
    """Put a delete marker on an input."""
    stack.s3.delete_object(Bucket=stack.bucket, Key=key)


def replace(stack: FaultyStack, key: str) -> None:
    """Put another image under an input's key."""
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=png(9, 9), ContentType="image/png")


def tag(stack: FaultyStack, key: str) -> None:
    """Replace an input's tags."""
    tags = {"TagSet": [{"Key": "scan", "Value": "clean"}]}
    stack.s3.put_object_tagging(Bucket=stack.bucket, Key=key, Tagging=tags)


def restore(stack: FaultyStack, keys: Sequence[str]) -> None:
    """Remove the delete markers of inputs, if they have any."""
    for key in keys:
        for version in stack.versions(key):
            if version["deleted"]:
                _remove(stack, key, version["VersionId"])


def purge(stack: FaultyStack, key: str) -> None:
    """Remove all versions of an input."""
    for version in stack.versions(key):
        _remove(stack, key, version["VersionId"])


def _remove(stack: FaultyStack, key: str, version_id: str) -> None:
    stack.s3.delete_object(Bucket=stack.bucket, Key=key, VersionId=version_id)


CHANGES: dict[str, Callable[[FaultyStack, str], None]] = {
    "deleted": delete,
    "replaced": replace,
    "tagged": tag,
    "purged": purge,
}
