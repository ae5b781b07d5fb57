"""Deletes or restores what a request names, and nothing else.

An image includes its sidecar and thumbnail, and a folder includes its thumbnails. A delete puts
delete markers on current objects, which keep their versions. A purge permanently removes versions
and delete markers. A restore removes the delete markers on top of versions that still exist.
"""

from collections.abc import Iterator
from datetime import datetime

from easel.aws.bucket import Bucket, StoredObject, Version
from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import report
from easel.contract import naming
from easel.contract.errors import ConfigError
from easel.contract.messages import Removal, Restoration, StartRun
from easel.request import request
from easel.request.request import Request
from easel.services import Services
from functions.cleanup.sweep import Entry, Sweeper, Swept, count_entries


def delete_or_restore(
    start: StartRun, services: Services, deadline: Deadline
) -> Removal | Restoration:
    """Delete or restore what the request names, as of the execution's start."""
    wanted = request.parse(start.request, services.requests, today=services.now().date())
    if wanted.action not in request.BY_CLEANUP:
        raise ConfigError(
            f"the cleanup step received a {wanted.action} request; the state machine may be older"
            " than the functions: deploy the stack again"
        )
    ledger, bucket = services.ledger, services.bucket
    if wanted.action in request.RESTORES:
        mark, unmark = ledger.mark_restored, ledger.mark_deleted
        restorer = Sweeper(bucket=bucket, deadline=deadline, mark=mark, unmark=unmark)
        return _restore(wanted, to_restore(wanted, bucket), restorer)
    mark, unmark = ledger.mark_deleted, ledger.mark_restored
    remover = Sweeper(bucket=bucket, deadline=deadline, mark=mark, unmark=unmark)
    entries = to_remove(wanted, until=datetime.fromisoformat(start.started), bucket=bucket)
    return _remove(wanted, entries, remover, services.storage.recoverable_days)


def _remove(
    wanted: Request, entries: Iterator[Entry], sweeper: Sweeper, recoverable_days: int | None
) -> Removal:
    swept = _sweep(wanted, entries, sweeper)
    return Removal(
        action=wanted.action,
        target=wanted.target,
        purge=wanted.purge,
        dry_run=wanted.dry_run,
        objects=swept.objects,
        deleted=0 if wanted.dry_run else swept.objects,
        bytes=swept.bytes,
        recoverable_days=0 if wanted.purge else recoverable_days,
    )


def _restore(wanted: Request, entries: Iterator[Entry], sweeper: Sweeper) -> Restoration:
    swept = _sweep(wanted, entries, sweeper)
    return Restoration(
        action=wanted.action,
        target=wanted.target,
        dry_run=wanted.dry_run,
        objects=swept.objects,
        restored=0 if wanted.dry_run else swept.objects,
        bytes=swept.bytes,
    )


def _sweep(wanted: Request, entries: Iterator[Entry], sweeper: Sweeper) -> Swept:
    if wanted.dry_run:
        return count_entries(entries)
    swept = sweeper.sweep(entries)
    target, purge = ascii(wanted.target), wanted.purge
    report("swept", action=wanted.action, target=target, purge=purge, objects=swept.objects)
    return swept


def to_remove(wanted: Request, *, until: datetime, bucket: Bucket) -> Iterator[Entry]:
    """Yield what a delete removes, but nothing newer than `until`.

    Images that arrive during a delete are kept.
    """
    return _versions(wanted, until, bucket) if wanted.purge else _objects(wanted, until, bucket)


def _objects(wanted: Request, until: datetime, bucket: Bucket) -> Iterator[Entry]:
    for found in _current(wanted, bucket):
        if found.modified <= until:
            lineage = (found.key, None) if naming.is_image(found.key) else None
            yield Entry(
                key=found.key, version_id=None, objects=1, bytes=found.bytes, lineage=lineage
            )


def _versions(wanted: Request, until: datetime, bucket: Bucket) -> Iterator[Entry]:
    # Delete markers must be removed after their versions, which is the order of a history.
    # Otherwise a crash in between would make deleted images visible again.
    for history in _histories(wanted, bucket):
        for entry in history:
            if entry.modified <= until:
                shown = entry.latest and not entry.marker and naming.is_image(entry.key)
                yield Entry(
                    key=entry.key,
                    version_id=entry.id,
                    objects=int(not entry.marker),
                    bytes=entry.bytes,
                    lineage=(entry.key, entry.id) if shown else None,
                )


def to_restore(wanted: Request, bucket: Bucket) -> Iterator[Entry]:
    """Yield all delete markers of deleted keys. Skip keys that are in use."""
    for history in _histories(wanted, bucket):
        newest = next((entry for entry in history if not entry.marker), None)
        top = next((entry for entry in history if entry.latest and entry.marker), None)
        if newest and top:
            lineage = (newest.key, newest.id) if naming.is_image(newest.key) else None
            yield Entry(
                key=top.key, version_id=top.id, objects=1, bytes=newest.bytes, lineage=lineage
            )
            for below in history:
                if below.marker and below is not top:
                    yield Entry(
                        key=below.key, version_id=below.id, objects=0, bytes=0, lineage=None
                    )


def _current(wanted: Request, bucket: Bucket) -> Iterator[StoredObject]:
    """Yield the current objects of the image or folder."""
    if wanted.image_key:
        yield from filter(None, map(bucket.head, naming.of_image(wanted.image_key)))
    else:
        for prefix in naming.of_folder(wanted.folder_name):
            yield from bucket.objects(prefix)


def _histories(wanted: Request, bucket: Bucket) -> Iterator[list[Version]]:
    """Yield each key's versions followed by its delete markers. Deleted keys are included."""
    if wanted.image_key:
        yield from map(bucket.history, naming.of_image(wanted.image_key))
    else:
        for prefix in naming.of_folder(wanted.folder_name):
            yield from bucket.histories(prefix)
