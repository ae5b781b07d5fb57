"""What a restore takes away, to undo a delete: the delete markers on top of versions that are still there."""

from collections.abc import Iterator

from functions import keys
from functions.adapters.object_store import ObjectStore
from functions.cleanup import reach
from functions.cleanup.sweep import Entry
from functions.request import Request


def to_uncover(request: Request, *, store: ObjectStore) -> Iterator[Entry]:
    """All delete markers of the keys that are deleted; a key that is in use, by whatever object, is left as it is."""
    for history in reach.histories(request, store):
        newest = next((entry for entry in history if not entry.marker), None)
        top = next((entry for entry in history if entry.latest and entry.marker), None)
        if newest and top:
            lineage = (newest.key, newest.id) if keys.is_picture(newest.key) else None
            yield Entry(key=top.key, version_id=top.id, objects=1, bytes=newest.bytes, lineage=lineage)
            for below in history:
                if below.marker and below is not top:
                    yield Entry(key=below.key, version_id=below.id, objects=0, bytes=0, lineage=None)
