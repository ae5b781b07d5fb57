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
        item = self._table.get(pk, sk)
        return item is not None and (item["run_id"], item["n"]) == (run_id, n)

    def release(self, key: str, run_id: str, n: int) -> None:
        """Give up a key that S3 has for something else."""
        self._table.write(self.release_action(key, run_id, n))

    def release_action(self, key: str, run_id: str, n: int) -> Item:
        """Return the action that gives up a key. It does nothing if the key has no owner."""
        return self._table.delete(
            _owner_key(key),
            condition="attribute_not_exists(pk) OR (#run_id = :run_id AND #n = :n)",
            values={":run_id": run_id, ":n": n},
        )

    def take_action(self, key: str, run_id: str, n: int) -> Item:
        """Return the action that makes an image the owner of a key without one."""
        pk, sk = _owner_key(key)
        return self._table.put_if_absent({"pk": pk, "sk": sk, "run_id": run_id, "n": n})


def _owner_key(key: str) -> Key:
    return f"key#{key}", "owner"
