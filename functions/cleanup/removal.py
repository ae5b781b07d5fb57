"""What a delete takes away: current objects, which keep their versions; in a purge versions and delete markers, for good."""

from collections.abc import Iterator
from datetime import datetime

from functions import keys
from functions.adapters.object_store import ObjectStore
from functions.cleanup import reach
from functions.cleanup.sweep import Entry
from functions.request import Request


def to_remove(request: Request, *, until: datetime, store: ObjectStore) -> Iterator[Entry]:
    """What goes of the image or folder, but nothing that came after `until`: pictures that arrive during a delete survive it."""
    return _versions(request, until, store) if request.purge else _objects(request, until, store)


def _objects(request: Request, until: datetime, store: ObjectStore) -> Iterator[Entry]:
    for found in reach.objects(request, store):
        if found.modified <= until:
            lineage = (found.key, None) if keys.is_picture(found.key) else None
            yield Entry(key=found.key, version_id=None, objects=1, bytes=found.bytes, lineage=lineage)


def _versions(request: Request, until: datetime, store: ObjectStore) -> Iterator[Entry]:
    # Delete markers after their versions, as a history has them: the other way round, a crash would show deleted pictures again.
    for history in reach.histories(request, store):
        for entry in history:
            if entry.modified <= until:
                shown = entry.latest and not entry.marker and keys.is_picture(entry.key)
                lineage = (entry.key, entry.id) if shown else None
                yield Entry(key=entry.key, version_id=entry.id, objects=int(not entry.marker), bytes=entry.bytes, lineage=lineage)
