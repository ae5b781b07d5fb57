"""Resolves the images that a request names to the versions that its images are made from.

reference_files.py reads them, and reference_users.py knows which runs use them.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from easel.aws.bucket import Bucket, StoredObject
from easel.aws.table import Item, Table
from easel.contract import naming
from easel.contract.errors import EaselError, InputError, Summary
from easel.contract.status import Status
from easel.ledger.owners import owner_key
from easel.ledger.records import run_key
from easel.ledger.uploads import MAX_BYTES, Upload, Uploads, UploadStatus
from easel.request.prompt_text import MAX_ALT_TEXT
from easel.request.references import (
    MAX_TOTAL_BYTES,
    NO_INPUTS,
    USABLE_KEYS,
    Inputs,
    Reference,
    ReferenceName,
)
from easel.request.request import Request

AT_ONCE = 8  # below the 10 connections that boto3 keeps open
MAX_MASK_BYTES = 4_000_000  # OpenAI's limit
IMAGES, MASK = "reference_images", "mask"
EXISTING = "an image that is still there"
# No image has more tokens than one of this size. Its text is as long as a model may write it.
UNKNOWN_IMAGE: Item = {
    "sha256": "",
    "bytes": 0,
    "width": 4096,
    "height": 4096,
    "alt_text": "x" * MAX_ALT_TEXT,
}


class References:
    """Finds the images that requests name, in the bucket and the table.

    One object remembers what it has resolved, for the lines of one batch. So it must not outlive
    the call of a function.
    """

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._uploads = Uploads(table)
        self._resolved: dict[tuple[str, str], Reference | InputError] = {}
        self._transparent: set[str] = set()

    def resolve(self, request: Request) -> Inputs:
        """Return the images that a request names, in their current versions.

        Raises InputError for an image that is gone, has changed, or cannot be used.
        """
        if not request.reference_images:
            return NO_INPUTS
        images = tuple(self._resolve(IMAGES, name) for name in request.reference_images)
        mask = self._resolve(MASK, request.mask) if request.mask else None
        if mask:
            self._check_mask(mask, images[0])
        _check_total(images)
        return Inputs(images=images, mask=mask)

    def look_ahead(self, requests: Iterable[Request]) -> None:
        """Look up the images that requests name, several at once, before `resolve` needs them."""
        new = {
            (field, name.key)
            for request in requests
            for field, names in ((IMAGES, request.reference_images or ()), (MASK, [request.mask]))
            for name in names
            if name and (field, name.key) not in self._resolved
        }

        def look_up(place: tuple[str, str]) -> None:
            with suppress(EaselError):  # `resolve` tries again
                self._remember(*place)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(look_up, new):
                pass

    def foresee(self, request: Request) -> Inputs:
        """Return what `resolve` will find, from the table only.

        An image that the table does not know has the largest size. Raises InputError for all
        others that cannot be used.
        """
        images = tuple(self._foresee(IMAGES, name) for name in request.reference_images or ())
        mask = self._foresee(MASK, request.mask) if request.mask else None
        if mask:
            self._check_mask(mask, images[0])
        _check_total(images)
        return Inputs(images=images, mask=mask)

    def _resolve(self, field: str, name: ReferenceName) -> Reference:
        found = self._resolved.get((field, name.key)) or self._remember(field, name.key)
        if isinstance(found, InputError):
            raise found.with_traceback(None)  # or it would grow with each line of a batch
        _check_bytes(field, name, found)
        return found

    def _remember(self, field: str, key: str) -> Reference | InputError:
        """Look an image up, and remember what was found or why it cannot be used."""
        try:
            found: Reference | InputError = self._look_up(field, key)
        except InputError as error:
            found = error
        self._resolved[field, key] = found
        return found

    def _foresee(self, field: str, name: ReferenceName) -> Reference:
        key, upload_id = name.key, naming.upload_id(name.key)
        facts = self._upload(field, key, upload_id) if upload_id else None
        if facts:
            reference = self._note(facts)
        else:
            owner = self._table.get(*owner_key(key))
            own_key = run_key(owner["run_id"], f"image#{owner['n']}") if owner else None
            image = (self._table.get(*own_key) if own_key else None) or UNKNOWN_IMAGE
            status = image.get("status", Status.STORED)
            if status != Status.STORED:
                was_deleted = status in (Status.DELETED, Status.PURGED)
                reason = "it was deleted" if was_deleted else "it is not stored yet"
                raise InputError(field, key, EXISTING, but=reason)
            reference = _of_image(key, image, version_id="", content_type="")
        if reference.sha256:
            _check_bytes(field, name, reference)
        return reference

    def _look_up(self, field: str, key: str) -> Reference:
        upload_id = naming.upload_id(key)
        facts = self._upload(field, key, upload_id) if upload_id else None
        stored = self._bucket.head(key) or self._moved(key)
        if stored is None:
            raise InputError(field, key, EXISTING, but="it was deleted, or there never was one")
        if stored.bytes > MAX_BYTES:
            shown = Summary(f'"{key}", which has {stored.bytes:,} bytes')
            raise InputError(field, shown, f"at most {MAX_BYTES:,} bytes")
        if facts:
            if stored.version_id != facts.version_id:
                raise InputError(field, key, EXISTING, but="it has changed since it was checked")
            return self._note(facts)
        image = self._image(stored)
        if image is None:
            reason = "Easel did not store it, or it has changed since; upload it instead"
            raise InputError(field, key, USABLE_KEYS, but=reason)
        version_id, content_type = stored.version_id, stored.content_type
        return _of_image(stored.key, image, version_id=version_id, content_type=content_type)

    def _moved(self, key: str) -> StoredObject | None:
        """Return the object of an image that had this key before it was moved."""
        owner = self._table.get(*owner_key(key))
        image = self._table.get(*run_key(owner["run_id"], f"image#{owner['n']}")) if owner else None
        current = image.get("key") if image else None
        return self._bucket.head(current) if current else None

    def _upload(self, field: str, key: str, upload_id: str) -> Upload:
        upload = self._uploads.find(upload_id)
        if upload is None or upload.key != key:
            raise InputError(field, key, USABLE_KEYS, but="no upload has this key")
        if upload.status != UploadStatus.READY:
            reason = upload.problem or "it is still being checked"
            raise InputError(field, key, "an upload that is ready", but=reason)
        return upload

    def _note(self, upload: Upload) -> Reference:
        if upload.is_transparent:
            self._transparent.add(str(upload.key))
        return _of_upload(upload)

    def _image(self, stored: StoredObject) -> Item | None:
        """Return the record of the image that Easel stored under this key, or None."""
        run_id, n = stored.metadata.get("run-id"), stored.metadata.get("n")
        image = self._table.get(*run_key(run_id, f"image#{n}")) if run_id and n else None
        if image is None or image["status"] != Status.STORED or image.get("key") != stored.key:
            return None
        return image if image["sha256"] == stored.metadata.get("sha256") else None

    def _check_mask(self, mask: Reference, first: Reference) -> None:
        if mask.key not in self._transparent:
            reason = "no pixel of it is fully transparent, so nothing could change"
            raise InputError(MASK, mask.key, "a PNG with transparency", but=reason)
        size = (mask.width, mask.height)
        if first.sha256 and size != (first.width, first.height):
            shown = Summary(f'"{mask.key}", which has {mask.width}x{mask.height} pixels')
            allowed = f"{first.width}x{first.height}, as large as the first reference image"
            raise InputError(MASK, shown, allowed)
        if mask.bytes >= MAX_MASK_BYTES:
            shown = Summary(f'"{mask.key}", which has {mask.bytes:,} bytes')
            raise InputError(MASK, shown, f"less than {MAX_MASK_BYTES:,} bytes")


def _check_total(images: Iterable[Reference]) -> None:
    """Raise InputError if the images are too large together."""
    total = sum(image.bytes for image in images)
    if total > MAX_TOTAL_BYTES:
        allowed = f"at most {MAX_TOTAL_BYTES:,} bytes together"
        raise InputError(IMAGES, Summary(f"{total:,} bytes long"), allowed)


def _check_bytes(field: str, name: ReferenceName, reference: Reference) -> None:
    """Raise InputError if the caller wants other bytes than the image has."""
    if name.sha256 not in (None, reference.sha256):
        allowed = f"{reference.sha256}, the sha256 of {name.key} as it is now"
        raise InputError(f"{field}.sha256", name.sha256, allowed)


def _of_upload(upload: Upload) -> Reference:
    return Reference(
        key=str(upload.key),
        version_id=str(upload.version_id),
        sha256=str(upload.sha256),
        bytes=upload.bytes or 0,
        width=upload.width or 0,
        height=upload.height or 0,
        content_type=str(upload.content_type),
        alt_text=upload.name,
    )


def _of_image(key: str, image: Item, *, version_id: str, content_type: str) -> Reference:
    return Reference(
        key=key,
        version_id=version_id,
        sha256=image["sha256"],
        bytes=image["bytes"],
        width=image["width"],
        height=image["height"],
        content_type=content_type,
        alt_text=image["alt_text"],
    )
