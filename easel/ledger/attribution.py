"""The attribution of a paid call: the folder, person, trigger, model and tags it is charged to."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

# A budget of a folder covers the folders inside of it, down to this depth.
MAX_DEPTH = 5


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The person, folder and purpose that a call is charged to.

    `person` is None if nobody is known, as for a schedule. `trigger` is None for a run of an older
    version.
    """

    folder: str
    person: str | None
    trigger: str | None
    model: str
    tags: tuple[str, ...] = ()

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Read the attribution in an item."""
        values = {field.name: item.get(field.name) for field in fields(cls)}
        return cls(**values | {"tags": tuple(item.get("tags", ()))})

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the names of the budgets that it counts in besides the month's."""
        people = (person_scope(self.person),) if self.person else ()
        return people + folder_scopes(self.folder)


def person_scope(person: str) -> str:
    """Return the name of a person's budget."""
    return f"person#{person}"


def folder_scope(folder: str) -> str:
    """Return the name of a folder's budget."""
    return f"folder#{folder}"


def folder_scopes(folder: str) -> tuple[str, ...]:
    """Return the names of the budgets of a folder and of the folders around it."""
    parts = folder.split("/")[:MAX_DEPTH]
    return tuple(folder_scope("/".join(parts[:depth])) for depth in range(1, len(parts) + 1))
