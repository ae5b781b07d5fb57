"""The marks of an image: favourite, rejected, and people's tags.

Nothing else of the record changes. Tags are a set in the table, so two people who add tags at the
same time lose none.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from easel.aws.table import Item, Table
from easel.contract.errors import ConflictError, NotFoundError
from easel.contract.status import Status
from easel.ledger.records import run_key
from easel.request.tags import MAX_TAGS


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of an image's marks. A mark that is None does not change."""

    favourite: bool | None = None
    hidden: bool | None = None
    add_tags: Collection[str] = ()
    remove_tags: Collection[str] = ()


class Marks:
    """The marks of all images."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def change(self, run_id: str, n: int, change: Change) -> None:
        """Change the marks of a stored image. It can be repeated.

        Raises NotFoundError if the image is not stored, and ConflictError if it would have more
        than 20 tags.
        """
        item = self._read(run_id, n)
        before: set[str] = set(item.get("tags") or ())
        # Tags that differ only in case are the same tag, in the spelling that came first.
        spelling = {tag.casefold(): tag for tag in before}
        added = {spelling.get(tag.casefold(), tag) for tag in change.add_tags}
        removed = {spelling.get(tag.casefold(), tag) for tag in change.remove_tags}
        if added and len((before | added) - removed) > MAX_TAGS:
            raise ConflictError(f"an image has at most {MAX_TAGS} tags; remove some first")
        sets, removes = [], []
        values: dict[str, Any] = {":stored": Status.STORED}
        for name, value in (("favourite", change.favourite), ("hidden", change.hidden)):
            if value:
                sets.append(f"#{name} = :{name}")
                values[f":{name}"] = True
            elif value is not None:
                removes.append(f"#{name}")
        parts = [f"SET {', '.join(sets)}"] if sets else []
        parts += [f"REMOVE {', '.join(removes)}"] if removes else []
        if added:
            parts.append("ADD #tags :added")
            values[":added"] = added
        self._write(item, parts, values)
        if removed:  # one expression cannot add to a set and remove from it
            values = {":stored": Status.STORED, ":removed": removed}
            self._write(item, ["DELETE #tags :removed"], values)

    def _read(self, run_id: str, n: int) -> Item:
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        if item is None or item["status"] != Status.STORED:
            raise NotFoundError(f"image {n} of run {run_id} is not stored, so it cannot be marked")
        return item

    def _write(self, item: Item, parts: list[str], values: dict[str, Any]) -> None:
        if not parts:
            return
        key = (item["pk"], item["sk"])
        change = self._table.update(
            key, " ".join(parts), condition="#status = :stored", values=values
        )
        if not all(self._table.write(change)):
            self._read(item["run_id"], item["n"])  # it was deleted meanwhile
