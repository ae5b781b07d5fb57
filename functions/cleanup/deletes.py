"""Fulfils a request to delete or to restore."""

from collections.abc import Iterator
from datetime import datetime

from functions import request
from functions.adapters.object_store import ObjectStore
from functions.adapters.records import Records
from functions.cleanup.removal import to_remove
from functions.cleanup.restoring import to_uncover
from functions.cleanup.sweep import Entry, Follow, Swept, counted, sweep
from functions.contract import Removal, Restoration, Start
from functions.deadline import Deadline
from functions.errors import ConfigError
from functions.request import Request
from functions.settings import Settings
from functions.telemetry import say


def fulfil(
    start: Start, *, now: datetime, deadline: Deadline, settings: Settings, book: Records, store: ObjectStore
) -> Removal | Restoration:
    """Delete or restore what a request names, and nothing else."""
    wanted = request.parse(start.request, request.defaults(settings), today=now.date())
    if wanted.action not in request.BY_CLEANUP:
        raise ConfigError(f"a {wanted.action} request came to the cleanup step; is the state machine older than the functions?")
    if wanted.action in request.RESTORES:
        return _restore(wanted, deadline=deadline, book=book, store=store)
    return _delete(wanted, until=datetime.fromisoformat(start.started), deadline=deadline, settings=settings, book=book, store=store)


def _delete(wanted: Request, *, until: datetime, deadline: Deadline, settings: Settings, book: Records, store: ObjectStore) -> Removal:
    entries = to_remove(wanted, until=until, store=store)
    went = _swept(entries, wanted, follow=book.mark_deleted, back=book.mark_restored, deadline=deadline, store=store)
    return Removal(
        action=wanted.action,
        target=wanted.target,
        purge=wanted.purge,
        dry_run=wanted.dry_run,
        objects=went.objects,
        deleted=0 if wanted.dry_run else went.objects,
        bytes=went.bytes,
        recoverable_days=0 if wanted.purge else settings.recoverable_days,
    )


def _restore(wanted: Request, *, deadline: Deadline, book: Records, store: ObjectStore) -> Restoration:
    entries = to_uncover(wanted, store=store)
    came = _swept(entries, wanted, follow=book.mark_restored, back=book.mark_deleted, deadline=deadline, store=store)
    return Restoration(
        action=wanted.action,
        target=wanted.target,
        dry_run=wanted.dry_run,
        objects=came.objects,
        restored=0 if wanted.dry_run else came.objects,
        bytes=came.bytes,
    )


def _swept(entries: Iterator[Entry], wanted: Request, *, follow: Follow, back: Follow, deadline: Deadline, store: ObjectStore) -> Swept:
    if wanted.dry_run:
        return counted(entries)
    swept = sweep(entries, follow=follow, back=back, store=store, deadline=deadline)
    say("swept", action=wanted.action, target=ascii(wanted.target), purge=wanted.purge, objects=swept.objects)
    return swept
