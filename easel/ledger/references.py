"""Resolves the images that a request names to the versions that its images are made from."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest
from tempfile import TemporaryFile
from typing import IO, Any, cast

from easel.aws.bucket import Bucket, StoredObject
from easel.aws.table import Item, Table
from easel.contract import naming
from easel.contract.errors import EaselError, InputError, ReferenceGoneError, Summary
from easel.contract.status import Status
from easel.ledger.owners import owner_key
from easel.ledger.records import RunRecords, run_key
from easel.ledger.uploads import MAX_BYTES, Upload, Uploads, UploadStatus
from easel.request.prompt_text import MAX_ALT_TEXT
from easel.request.references import (
    KEYS,
    MAX_TOTAL_BYTES,
    NO_INPUTS,
    Inputs,
    Reference,
    ReferenceName,
)
from easel.request.request import Request

AT_ONCE = 8  # below the 10 connections that boto3 keeps open
MAX_MASK_BYTES = 4_000_000  # OpenAI's limit
IMAGES, MASK = "reference_images", "mask"
THERE = "an image that is still there"
# No image has more tokens than one of this size. Its text is as long as a model may write it.
UNKNOWN_IMAGE: Item = {
    "sha256": "",
    "bytes": 0,
    "width": 4096,
    "height": 4096,
    "alt_text": "x" * MAX_ALT_TEXT,
}


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """An input image as it is sent to OpenAI. The file is at its beginning."""

    name: str
    file: IO[bytes]
    content_type: str


class References:
    """The reference images of runs, in the bucket and the table.

    One object remembers what it has found, for the lines of one batch. So it must not outlive the
    call of a function.
    """

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._uploads = Uploads(table)
        self._found: dict[str, Reference] = {}
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
        total = sum(image.bytes for image in images)
        if total > MAX_TOTAL_BYTES:
            allowed = f"at most {MAX_TOTAL_BYTES:,} bytes together"
            raise InputError(IMAGES, Summary(f"{total:,} bytes long"), allowed)
        return Inputs(images=images, mask=mask)

    def look_ahead(self, requests: Iterable[Request]) -> None:
        """Look up the images that requests name, several at once, before `resolve` needs them."""
        keys = {
            name.key: field
            for request in requests
            for field, names in ((MASK, [request.mask]), (IMAGES, request.reference_images or ()))
            for name in names
            if name and name.key not in self._found
        }

        def look_up(key: str) -> None:
            with suppress(EaselError):  # `resolve` raises it for each request
                self._found[key] = self._look_up(keys[key], key)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(look_up, keys):
                pass

    def foresee(self, request: Request) -> Inputs:
        """Return what `resolve` will find, from the table only. It checks less than `resolve`.

        An image that the table does not know has the largest size. Raises InputError for an upload
        that is not ready.
        """
        images = tuple(self._foresee(IMAGES, name.key) for name in request.reference_images or ())
        mask = self._foresee(MASK, request.mask.key) if request.mask else None
        return Inputs(images=images, mask=mask)

    def keep(self, inputs: Inputs, *, run_id: str, started: str, images: int) -> None:
        """Record that a run uses these images, so that the uploads among them do not expire.

        `images` is the number that the run makes. This is free and safe to repeat. Raises
        InputError if an upload has just expired.
        """
        for reference in inputs.all:
            user = {"run_id": run_id, "images": images}
            place = {"pk": users_key(reference.key), "sk": f"{started}#{run_id}"}
            self._table.write(self._table.put(place | user))
            # The run is recorded first: `release` looks for it after it has tagged the upload.
            if not self._mark(reference.key, is_used=True):
                raise InputError(IMAGES, reference.key, THERE, but="it has just expired")

    def release(self, inputs: Inputs) -> None:
        """Let the uploads among the inputs expire that no image is made from any more."""
        for key in filter(naming.upload_id, inputs.keys):
            if not self._is_used(key):
                self._mark(key, is_used=False)
                if self._is_used(key):  # by a run that has started meanwhile
                    self._mark(key, is_used=True)

    def _is_used(self, key: str) -> bool:
        # A purge of a folder removes the oldest images first, so the newest runs decide quickly.
        users = reversed(self._table.query(users_key(key)))
        return any(not _is_gone(self._run(user["run_id"])) for user in users)

    def _run(self, run_id: str) -> RunRecords:
        return RunRecords.of_items(self._table.query(f"run#{run_id}"))

    def _mark(self, key: str, *, is_used: bool) -> bool:
        """Set the tags of an upload. Return False if it no longer exists."""
        upload_id = naming.upload_id(key)
        if upload_id is None:
            return True
        tags = naming.USED_TAG if is_used else naming.UNUSED_TAG
        is_there = self._bucket.tag(key, tags)
        self._bucket.tag(naming.thumbnail_key(key), tags)
        self._uploads.mark_used(upload_id, is_used=is_used)
        return is_there

    @contextmanager
    def open(self, inputs: Inputs) -> Iterator[list[InputFile]]:
        """Copy the inputs into temporary files. The mask comes last.

        Raises ReferenceGoneError if a version no longer exists, or is not what was resolved.
        """
        with ExitStack() as files:
            yield [
                self._copy(reference, files.enter_context(TemporaryFile()))
                for reference in inputs.all
            ]

    def describe_gone(self, inputs: Inputs) -> ReferenceGoneError:
        """Return the error for inputs of which `open` has found one to be gone or changed."""
        gone = [reference.key for reference in inputs.all if not self._is_there(reference)]
        if gone:
            reason = "it was deleted permanently, or has changed"
        else:
            reason = "an input could not be read when the image was due; it is there again"
        return _gone(", ".join(gone or inputs.keys), reason)

    def made_from(self, key: str, *, runs: int) -> tuple[list[RunRecords], int]:
        """Return the newest runs that use this image, and how many images all runs request.

        At most `runs` are returned.
        """
        users = self._table.query(users_key(key))
        newest = [self._run(item["run_id"]) for item in [*reversed(users)][:runs]]
        return newest, sum(item["images"] for item in users)

    def _resolve(self, field: str, name: ReferenceName) -> Reference:
        reference = self._found.get(name.key)
        if reference is None:
            reference = self._found[name.key] = self._look_up(field, name.key)
        if name.sha256 not in (None, reference.sha256):
            reason = f"its bytes have the sha256 {reference.sha256}"
            raise InputError(f"{field}.sha256", name.sha256, "the image's own", but=reason)
        return reference

    def _foresee(self, field: str, key: str) -> Reference:
        upload_id = naming.upload_id(key)
        facts = self._upload(field, key, upload_id) if upload_id else None
        if facts:
            return _of_upload(facts)
        owner = self._table.get(*owner_key(key))
        own_key = run_key(owner["run_id"], f"image#{owner['n']}") if owner else None
        image = (self._table.get(*own_key) if own_key else None) or UNKNOWN_IMAGE
        return _of_image(key, image, version_id="", content_type="")

    def _look_up(self, field: str, key: str) -> Reference:
        upload_id = naming.upload_id(key)
        facts = self._upload(field, key, upload_id) if upload_id else None
        stored = self._bucket.head(key)
        if stored is None:
            raise InputError(field, key, THERE, but="it was deleted, or there never was one")
        if stored.bytes > MAX_BYTES:
            shown = Summary(f"{key!a}, which has {stored.bytes:,} bytes")
            raise InputError(field, shown, f"at most {MAX_BYTES:,} bytes")
        if facts:
            if stored.version_id != facts.version_id:
                raise InputError(field, key, THERE, but="it has changed since it was checked")
            return self._note(facts)
        image = self._image(stored)
        if image is None:
            reason = "Easel did not store it, or it has changed since; upload it instead"
            raise InputError(field, key, KEYS, but=reason)
        version_id, content_type = stored.version_id, stored.content_type
        return _of_image(key, image, version_id=version_id, content_type=content_type)

    def _upload(self, field: str, key: str, upload_id: str) -> Upload:
        upload = self._uploads.find(upload_id)
        if upload is None or upload.key != key:
            raise InputError(field, key, KEYS, but="there is no such upload")
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
        if size != (first.width, first.height):
            shown = Summary(f"{mask.key!a}, which has {mask.width}x{mask.height} pixels")
            allowed = f"{first.width}x{first.height}, as large as the first reference image"
            raise InputError(MASK, shown, allowed)
        if mask.bytes >= MAX_MASK_BYTES:
            shown = Summary(f"{mask.key!a}, which has {mask.bytes:,} bytes")
            raise InputError(MASK, shown, f"less than {MAX_MASK_BYTES:,} bytes")

    def _is_there(self, reference: Reference) -> bool:
        stored = self._bucket.head(reference.key, reference.version_id or None)
        return (
            stored is not None
            and stored.bytes == reference.bytes
            and stored.metadata.get("sha256", reference.sha256) == reference.sha256
        )

    def _copy(self, reference: Reference, file: IO[bytes]) -> InputFile:
        key = reference.key
        version = self._bucket.fetch(key, file, version_id=reference.version_id or None)
        if version is None:
            reason = "it was deleted permanently after the run had started"
            raise _gone(key, reason)
        file.seek(0)
        if file_digest(cast("Any", file), "sha256").hexdigest() != reference.sha256:
            reason = "its bytes are not those that the run started with"
            raise _gone(key, reason)
        file.seek(0)
        name = key.rpartition("/")[2]
        return InputFile(name=name, file=file, content_type=reference.content_type)


def _gone(key: str, reason: str) -> ReferenceGoneError:
    message = f"{IMAGES} is {key!a}, but {reason}; start a new run with another image"
    return ReferenceGoneError(message)


def _is_gone(run: RunRecords) -> bool:
    """Return whether no image of a run is left, and none will come."""
    if run.prompt is None:
        return False
    ends = (Status.PURGED, Status.REFUSED, Status.BAD)
    count: int = run.prompt.choices["count"]
    return sum(image.status in ends for image in run.images) >= count


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


def users_key(key: str) -> str:
    """Return the partition of the runs whose images are made from an image."""
    return f"users#{key}"
