"""What the image or folder that a request names covers: an image with sidecar and thumbnail, a folder with its thumbnails, no neighbour."""

from collections.abc import Iterator

from functions import keys
from functions.adapters.object_store import ObjectStore, StoredObject, Version
from functions.request import Request


def objects(request: Request, store: ObjectStore) -> Iterator[StoredObject]:
    """The current objects."""
    if request.image_key:
        yield from filter(None, map(store.head, keys.of_image(request.image_key)))
    else:
        for prefix in keys.of_folder(request.folder_name):
            yield from store.objects(prefix)


def histories(request: Request, store: ObjectStore) -> Iterator[list[Version]]:
    """Each key's versions, then its delete markers; deleted keys, too."""
    if request.image_key:
        yield from map(store.history, keys.of_image(request.image_key))
    else:
        for prefix in keys.of_folder(request.folder_name):
            yield from store.histories(prefix)
