"""The owners of keys in the bucket: a key belongs to one image, from its first copy to its purge.

A deleted image keeps its key, so it can always be restored, and no request for it can reach another
image. S3 alone does not ensure this: it lets a new object take the key of a deleted one.
"""

from easel.aws.table import Item, Key, Table


class KeyOwners:
    """The owners of all keys. Images that older versions stored have none."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, key: str, run_id: str, n: int) -> bool:
        """Make an image the owner of a key. Return whether it is, now or since earlier."""
        pk, sk = _owner_key(key)
        owner = {"pk": pk, "sk": sk, "run_id": run_id, "n": n}
        if all(self._table.write(self._table.put_if_absent(owner))):
            return True
        return self._owner(key) == (run_id, n)

    def release(self, key: str, run_id: str, n: int) -> None:
        """Give up a key that S3 has for something else."""
        self._table.write(*self.release_actions(key, run_id, n))

    def release_actions(self, key: str, run_id: str, n: int) -> tuple[Item, ...]:
        """Return the action that gives up a key, or none if the image does not own it."""
        if self._owner(key) != (run_id, n):
            return ()
        condition, values = "#run_id = :run_id AND #n = :n", {":run_id": run_id, ":n": n}
        return (self._table.delete(_owner_key(key), condition=condition, values=values),)

    def take_actions(self, key: str, run_id: str, n: int) -> tuple[Item, ...]:
        """Return the action that makes an image the owner of a key, or none if it has an owner."""
        if self._owner(key):
            return ()
        pk, sk = _owner_key(key)
        return (self._table.put_if_absent({"pk": pk, "sk": sk, "run_id": run_id, "n": n}),)

    def _owner(self, key: str) -> tuple[str, int] | None:
        item = self._table.get(*_owner_key(key))
        return (item["run_id"], item["n"]) if item else None


def _owner_key(key: str) -> Key:
    return f"key#{key}", "owner"
