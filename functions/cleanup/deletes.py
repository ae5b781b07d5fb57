"""Deletes or restores what a request names, and nothing else.

An image includes its sidecar, previews and sizes, and a folder includes its previews. A delete puts
delete markers on current objects, which keep their versions. A purge permanently removes versions
and delete markers. A restore removes the delete markers on top of versions that still exist.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

from easel.aws.bucket import Bucket, StoredObject, Version
from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import log_result
from easel.contract import naming
from easel.contract.errors import ConflictError, FinalError, InputError
from easel.contract.messages import Removal, Restoration
from easel.ledger.ledger import Ledger
from easel.ledger.reference_users import ReferenceUsers
from easel.ledger.shares import Shares
from easel.request.request import Request
from easel.services import Services
from functions.cleanup.sweep import Entry, Mark, Sweeper, SweepTotals, count_entries


def remove(request: Request, until: datetime, services: Services, deadline: Deadline) -> Removal:
    """Delete or purge what the request names, but nothing newer than `until`."""
    ledger, bucket = services.ledger, services.bucket
    check_identity(request, bucket)
    mark, unmark = ledger.mark_deleted, ledger.mark_restored
    if request.purge:
        purge = Purge(ledger, services.reference_users)
        mark, unmark = purge.mark, purge.unmark
    if services.shares:
        mark = Unsharing(services.shares, mark, unmark, ledger.is_elsewhere).mark
    remover = Sweeper(bucket=bucket, deadline=deadline, mark=mark, unmark=unmark)
    entries = to_remove(request, until=until, bucket=bucket)
    used_in = None
    if request.image_key:
        _, used_in = services.reference_users.made_from(request.image_key, runs=0)
    totals = _sweep(request, entries, remover)
    return Removal(
        action=request.action,
        target=request.target,
        purge=request.purge,
        dry_run=request.dry_run,
        objects=totals.objects,
        deleted=0 if request.dry_run else totals.objects,
        bytes=totals.bytes,
        recoverable_days=0 if request.purge else services.storage.recoverable_days,
        used_in=used_in,
    )


def restore(request: Request, services: Services, deadline: Deadline) -> Restoration:
    """Restore what the request names."""
    ledger, bucket = services.ledger, services.bucket
    check_identity(request, bucket)
    mark, unmark = ledger.mark_restored, ledger.mark_deleted
    sweeper = Sweeper(bucket=bucket, deadline=deadline, mark=mark, unmark=unmark)
    entries = to_restore(request, bucket, is_elsewhere=ledger.is_elsewhere)
    totals = _sweep(request, entries, sweeper)
    return Restoration(
        action=request.action,
        target=request.target,
        dry_run=request.dry_run,
        objects=totals.objects,
        restored=0 if request.dry_run else totals.objects,
        bytes=totals.bytes,
    )


class Purge:
    """Changes the records of purged images. Uploads that no image is made from then expire."""

    def __init__(self, ledger: Ledger, users: ReferenceUsers) -> None:
        self._ledger, self._users = ledger, users

    def mark(self, run_id: str, n: int, *, key: str) -> bool:
        """Mark an image as purged. Return False if there is nothing to change."""
        is_marked = self._ledger.mark_purged(run_id, n, key=key)
        prompt = self._ledger.prompt(run_id) if is_marked else None
        if prompt:
            self._users.release(prompt.inputs)
        return is_marked

    def unmark(self, run_id: str, n: int, *, key: str) -> bool:
        """Undo `mark`. Return False if there is nothing to change."""
        is_unmarked = self._ledger.unmark_purged(run_id, n, key=key)
        prompt = self._ledger.prompt(run_id)
        if prompt and prompt.inputs:
            images, started = prompt.choices["count"], prompt.started
            with suppress(InputError):  # an upload that is gone needs no tag
                self._users.keep(prompt.inputs, run_id=run_id, started=started, images=images)
        return is_unmarked


class Unsharing:
    """Marks deleted images, and makes them private.

    The record changes first, so that no share of the image can begin meanwhile. After a crash, the
    retry finds the object again and ends the share.
    """

    def __init__(
        self, shares: Shares, mark: Mark, unmark: Mark, is_elsewhere: Callable[[str], bool]
    ) -> None:
        self._shares, self._mark, self._unmark = shares, mark, unmark
        self._is_elsewhere = is_elsewhere

    def mark(self, run_id: str, n: int, *, key: str) -> bool:
        """Mark an image and end its share. Return False if there is no image to mark."""
        if self._is_elsewhere(key):  # what is left of an image that was moved
            return False
        is_marked = self._mark(run_id, n, key=key)
        try:
            self._shares.end(run_id, n)
        except FinalError:
            if is_marked:
                self._unmark(run_id, n, key=key)
            raise
        return is_marked


def check_identity(request: Request, bucket: Bucket) -> None:
    """Raise ConflictError if the request names one image by its id and another by its key."""
    if request.image_id is None or request.image_key is None:
        return
    history = bucket.history(request.image_key)
    newest = next((version for version in history if not version.marker), None)
    stored = bucket.head(newest.key, newest.id) if newest else None
    if stored is None:
        return
    run_id, n = stored.metadata.get("run-id"), stored.metadata.get("n", "")
    ids = naming.image_ids(run_id, int(n)) if run_id and n.isdecimal() else ()
    if request.image_id not in ids:
        raise ConflictError(
            f"{request.image_key!a} is no longer the key of image {request.image_id}; nothing was "
            "changed"
        )


def _sweep(request: Request, entries: Iterator[Entry], sweeper: Sweeper) -> SweepTotals:
    if request.dry_run:
        return count_entries(entries)
    totals = sweeper.sweep(entries)
    target, purge = ascii(request.target), request.purge
    log_result("swept", action=request.action, target=target, purge=purge, objects=totals.objects)
    return totals


def to_remove(request: Request, *, until: datetime, bucket: Bucket) -> Iterator[Entry]:
    """Yield what a delete removes, but nothing newer than `until`.

    Images that arrive during a delete are kept.
    """
    return _versions(request, until, bucket) if request.purge else _objects(request, until, bucket)


def _objects(request: Request, until: datetime, bucket: Bucket) -> Iterator[Entry]:
    for item in _current(request, bucket):
        if item.modified <= until:
            lineage = (item.key, None) if naming.is_image(item.key) else None
            yield Entry(key=item.key, version_id=None, objects=1, bytes=item.bytes, lineage=lineage)


def _versions(request: Request, until: datetime, bucket: Bucket) -> Iterator[Entry]:
    # Delete markers must be removed after their versions, which is the order of a history.
    # Otherwise a crash in between would make deleted images visible again.
    for history in _histories(request, bucket):
        # An image is purged only if no version of it stays.
        is_whole = all(entry.modified <= until for entry in history)
        for entry in history:
            if entry.modified <= until:
                is_image = is_whole and not entry.marker and naming.is_image(entry.key)
                yield Entry(
                    key=entry.key,
                    version_id=entry.id,
                    objects=int(not entry.marker),
                    bytes=entry.bytes,
                    lineage=(entry.key, entry.id) if is_image else None,
                )


def to_restore(
    request: Request, bucket: Bucket, *, is_elsewhere: Callable[[str], bool]
) -> Iterator[Entry]:
    """Yield all delete markers of deleted keys. Skip keys that are in use.

    `is_elsewhere` returns whether an image has left its key for another folder. Its old version
    stays deleted.
    """
    for history in _histories(request, bucket):
        newest = next((entry for entry in history if not entry.marker), None)
        top = next((entry for entry in history if entry.latest and entry.marker), None)
        if newest and top and not (naming.is_image(newest.key) and is_elsewhere(newest.key)):
            lineage = (newest.key, newest.id) if naming.is_image(newest.key) else None
            yield Entry(
                key=top.key, version_id=top.id, objects=1, bytes=newest.bytes, lineage=lineage
            )
            for below in history:
                if below.marker and below is not top:
                    yield Entry(
                        key=below.key, version_id=below.id, objects=0, bytes=0, lineage=None
                    )


def _current(request: Request, bucket: Bucket) -> Iterator[StoredObject]:
    """Yield the current objects of the image or folder."""
    if request.image_key:
        key = request.image_key
        yield from filter(None, map(bucket.head, naming.image_keys(key)))
        for item in bucket.objects(naming.sizes_prefix(key)):
            if naming.is_size_of(item.key, key) and _is_own_size(bucket.head(item.key)):
                yield item
    else:
        for prefix in naming.folder_prefixes(request.folder_name):
            yield from bucket.objects(prefix)


def _histories(request: Request, bucket: Bucket) -> Iterator[list[Version]]:
    """Yield each key's versions followed by its delete markers. Deleted keys are included."""
    if request.image_key:
        key = request.image_key
        yield from map(bucket.history, naming.image_keys(key))
        for history in bucket.histories(naming.sizes_prefix(key)):
            newest = next((version for version in history if not version.marker), None)
            is_size = newest is not None and naming.is_size_of(newest.key, key)
            if newest and is_size and _is_own_size(bucket.head(newest.key, newest.id)):
                yield history
    else:
        for prefix in naming.folder_prefixes(request.folder_name):
            yield from bucket.histories(prefix)


def _is_own_size(stored: StoredObject | None) -> bool:
    """Return whether Easel stored this object as a size. A caller's own file is left alone."""
    return stored is not None and naming.OWNER_RUN in stored.metadata
