"""The public addresses of images.

A share is a copy in the bucket of the distribution, under a prefix that cannot be guessed. Copies
of the image's exact sizes are next to it. The image itself stays private. Its record keeps the
share: a token, and a file name made of the title.

The record changes first when an image is shared, and the copy is known to exist once `shared_at` is
set. When a share ends, its token moves to `share_ending`, the copies are removed, and then the
record forgets the token. Until then, the image still counts as shared. Each step can run again
after a crash. The next share has a new token, so an old address never works again.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from easel.aws.bucket import Bucket
from easel.aws.table import Item, Table
from easel.contract import naming
from easel.contract.errors import ConflictError, NotFoundError
from easel.contract.status import Status
from easel.contract.text import slug
from easel.ledger.records import StoredSize, read_sizes, run_key

TOKEN_BYTES = 16
MAX_NAME = 60
EDGE_SECONDS = 60  # how long an edge of the distribution answers without asking the bucket
# A browser that has an image keeps it.
# An edge that cannot reach the bucket must not answer with what it had.
FOR_A_YEAR = "public, max-age=31536000, immutable, stale-if-error=0"


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of an image: its path below `shared/`, and since when it is public (ISO 8601)."""

    path: str
    since: str | None

    def url(self, base: str, size: StoredSize | None = None) -> str:
        """Return the public address of the image or of one of its sizes.

        `base` is the distribution's address with its slash.
        """
        path = size_path(self.path, size) if size else self.path
        return f"{base}{quote(naming.shared_key(path))}"


def size_path(path: str, size: StoredSize) -> str:
    """Return the path of a shared size, next to the shared image at `path`."""
    stem, ending = path.rpartition(".")[0], size.key.rpartition(".")[2]
    return f"{stem}-{size.width}x{size.height}.{ending}"


def share_of(image: object) -> Share | None:
    """Return the share of an image's record, or None if the image is not shared."""
    path = getattr(image, "share", None) or getattr(image, "share_ending", None)
    since = getattr(image, "shared_at", None)
    return Share(path=path, since=since) if path and since else None


class Shares:
    """Shares images from the stack's bucket, and ends shares."""

    def __init__(self, table: Table, images: Bucket, public: Bucket) -> None:
        self._table = table
        self._images = images
        self._public = public

    def start(self, run_id: str, n: int, *, key: str, now: datetime) -> Share:
        """Make a stored image public, or repair its share. Return the share.

        Raises NotFoundError if the image is not stored under this key, and ConflictError if it was
        unshared or deleted meanwhile.
        """
        item = self._reserve(run_id, n, key=key)
        path = str(item["share"])
        sizes = read_sizes(item.get("sizes")) or ()
        self._publish(key, path, owner={"run-id": run_id, "n": str(n)})
        for size in sizes:
            owner = {naming.OWNER_RUN: run_id, naming.OWNER_N: str(n)}
            self._publish(size.key, size_path(path, size), owner=owner)
        since = item.get("shared_at") or f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"
        confirmed = self._table.update(
            (item["pk"], item["sk"]),
            "SET #shared_at = :since REMOVE #unshared_at",
            condition="#share = :share AND #status = :stored",
            values={":since": since, ":share": path, ":stored": Status.STORED},
        )
        if not all(self._table.write(confirmed)):
            self._remove(path)
            raise ConflictError(f"{key!a} was unshared or deleted meanwhile; share it again")
        return Share(path=path, since=since)

    def end(self, run_id: str, n: int) -> bool:
        """Make an image private again. Return whether it had a share."""
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        if item is None:
            return False
        had_share = False
        # An earlier attempt may have ended here, and the image may have been shared again since.
        for name in ("share_ending", "share"):
            path = item.get(name)
            if path and self._mark_ending(item, path):
                had_share = True
                self._remove(path)
                self._forget(item, path)
        return had_share

    def _reserve(self, run_id: str, n: int, *, key: str) -> Item:
        """Return the image's record with the path of its share, which is new unless it has one."""
        item = self._stored(run_id, n, key=key)
        if item.get("share_ending"):  # an earlier attempt died before it removed the copies
            self.end(run_id, n)
            item = self._stored(run_id, n, key=key)
        if item.get("share"):
            return item
        name = slug(item["title"], MAX_NAME) or "image"
        path = f"{secrets.token_urlsafe(TOKEN_BYTES)}/{name}.{key.rpartition('.')[2]}"
        reserved = self._table.update(
            (item["pk"], item["sk"]),
            "SET #share = :share",
            condition="attribute_not_exists(#share) AND attribute_not_exists(#share_ending) AND "
            "#status = :stored",
            values={":share": path, ":stored": Status.STORED},
        )
        if all(self._table.write(reserved)):
            return item | {"share": path}
        # Two clicks may share an image at the same time. Both use the path that was first.
        item = self._stored(run_id, n, key=key)
        if not item.get("share"):
            raise ConflictError(f"{key!a} was unshared at the same time; share it again")
        return item

    def _publish(self, key: str, path: str, *, owner: dict[str, str]) -> None:
        """Copy one of an image's files. `owner` is its metadata that names the image."""
        source = self._images.head(key)
        if source is None or not owner.items() <= source.metadata.items():
            raise NotFoundError(f"{key!a} is not in the bucket, so it cannot be shared")
        self._images.publish(
            source, naming.shared_key(path), into=self._public.name, cache_control=FOR_A_YEAR
        )

    def _stored(self, run_id: str, n: int, *, key: str) -> Item:
        item = self._table.get(*run_key(run_id, f"image#{n}"))
        if item is None or item.get("key") != key or item["status"] != Status.STORED:
            raise NotFoundError(f"{key!a} is not a stored image, so it cannot be shared")
        return item

    def _mark_ending(self, item: Item, path: str) -> bool:
        """Note that a share ends. Return False if it has ended already."""
        change = self._table.update(
            (item["pk"], item["sk"]),
            "SET #share_ending = :path, #unshared_at = :now REMOVE #share",
            condition="#share = :path",
            values={":path": path, ":now": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"},
        )
        return item.get("share_ending") == path or all(self._table.write(change))

    def _forget(self, item: Item, path: str) -> None:
        change = self._table.update(
            (item["pk"], item["sk"]),
            "REMOVE #share_ending, #shared_at",
            condition="#share_ending = :path",
            values={":path": path},
        )
        self._table.write(change)

    def _remove(self, path: str) -> None:
        prefix = naming.shared_key(f"{path.partition('/')[0]}/")
        self._public.delete([item.key for item in self._public.objects(prefix)])
