"""The owners of keys in the bucket: a key belongs to one image, from its first copy to its purge.

A deleted image keeps its key, so it can always be restored, and no request for it can reach another
image. S3 alone does not ensure this: it lets a new object take the key of a deleted one.
"""

from easel.aws.table import Item, Key, Table
from easel.contract.status import Status
from easel.ledger.records import run_key

_UNCHANGED = "#run_id = :was_run_id AND #n = :was_n"


class KeyOwners:
    """The owners of all keys. Images that older versions stored have none."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, key: str, run_id: str, n: int) -> bool:
        """Make an image the owner of a key. Return whether it is, now or since earlier.

        A key whose owner was purged is free, even if S3 still has the object.
        """
        pk, sk = owner_key(key)
        new = {"run_id": run_id, "n": n}
        if all(self._table.write(self._table.put_if_absent({"pk": pk, "sk": sk} | new))):
            return True
        owner = self._table.get(pk, sk)
        if owner is None:  # it has just been released; the next attempt may have the key
            return False
        if (owner["run_id"], owner["n"]) == (run_id, n):
            return True
        return self._is_purged(owner) and self._replace(key, owner, run_id, n)

    def find(self, key: str) -> tuple[str, int] | None:
        """Return the run id and the number of the image that owns a key, or None."""
        owner = self._table.get(*owner_key(key))
        return (owner["run_id"], int(owner["n"])) if owner else None

    def release(self, key: str, run_id: str, n: int) -> None:
        """Give up a key that S3 has for something else."""
        values = {":was_run_id": run_id, ":was_n": n}
        delete = self._table.delete(owner_key(key), condition=_UNCHANGED, values=values)
        self._table.write(delete)

    def _is_purged(self, owner: Item) -> bool:
        image = self._table.get(*run_key(owner["run_id"], f"image#{owner['n']}"))
        return image is not None and image["status"] == Status.PURGED

    def _replace(self, key: str, owner: Item, run_id: str, n: int) -> bool:
        change = self._table.update(
            owner_key(key),
            "SET #run_id = :run_id, #n = :n",
            condition=_UNCHANGED,
            values={
                ":run_id": run_id,
                ":n": n,
                ":was_run_id": owner["run_id"],
                ":was_n": owner["n"],
            },
        )
        return all(self._table.write(change))


def owner_key(key: str) -> Key:
    """Return the key of the item with the owner of a key in the bucket."""
    return f"key#{key}", "owner"
