"""Where a picture stands in the gallery: the keys of the table's indexes, and each folder's count, which moves with its pictures.

A picture on the shelf of the stored is sorted by when it was stored, one on the shelf of the deleted by when it was deleted.
"""

from dataclasses import dataclass
from typing import Any

from functions import keys
from functions.adapters.table import Item, Table

STORED, DELETED = "stored", "deleted"
SHELF_KEYS = ("shelf", "shelf_folder", "shelf_topic", "shelf_folder_topic", "at_id")
PUT_ON_SHELF = ", ".join(f"#{name} = :{name}" for name in SHELF_KEYS)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One picture on one shelf; `at` is an ISO 8601 time."""

    status: str
    folder: str
    topic: str
    at: str
    run_id: str
    n: int


def values(spot: Spot) -> dict[str, Any]:
    """The values for PUT_ON_SHELF."""
    return {
        ":shelf": spot.status,
        ":shelf_folder": of_folder(spot.status, spot.folder),
        ":shelf_topic": of_topic(spot.status, spot.topic),
        ":shelf_folder_topic": of_folder_topic(spot.status, spot.folder, spot.topic),
        ":at_id": f"{spot.at}#{spot.run_id}#{spot.n}",
    }


def of_folder(status: str, folder: str) -> str:
    """The key of one folder's shelf."""
    return f"{status}#{folder}"


def of_topic(status: str, topic: str) -> str:
    """The key of one topic's shelf."""
    return f"{status}#{topic}"


def of_folder_topic(status: str, folder: str, topic: str) -> str:
    """The key of one topic's shelf in one folder; no folder's name has a line break."""
    return f"{status}#{folder}\n{topic}"


def counted(table: Table, *, folder: str, picture_id: str, pictures: int, size: int) -> Item:
    """An action that adds to a folder's count of stored pictures and of their bytes; both are negative where a picture goes.

    A folder has sixteen counters, chosen by the picture, or the many pictures that arrive or go at once would wait for each other.
    """
    values = {":pictures": pictures, ":bytes": size}
    return table.update("folders", f"{folder}#{keys.run8(picture_id)[0]}", "ADD #pictures :pictures, #bytes :bytes", values=values)
