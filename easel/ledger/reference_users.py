"""Knows which runs are made from an image. An upload that no image is made from expires."""

from easel.aws.bucket import Bucket
from easel.aws.table import Table
from easel.contract import naming
from easel.contract.errors import InputError
from easel.contract.status import Status
from easel.ledger.records import RunRecords
from easel.ledger.references import EXISTING, IMAGES
from easel.ledger.uploads import Uploads
from easel.request.references import Inputs


class ReferenceUsers:
    """The runs that are made from each image, in the table. Tags in the bucket follow from them."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._uploads = Uploads(table)

    def keep(self, inputs: Inputs, *, run_id: str, started: str, images: int) -> None:
        """Record that a run uses these images, so that the uploads among them do not expire.

        `images` is the number that the run makes. This is free and safe to repeat. Raises
        InputError if an upload has just expired.
        """
        for reference in inputs.all:
            user = {"run_id": run_id, "images": images}
            place = {"pk": users_key(reference.key), "sk": f"{started}#{run_id}"}
            self._table.write(self._table.put(place | user))
            # The run is recorded first: `release` looks for it after it has tagged the upload.
            if not self._mark(reference.key, is_used=True):
                raise InputError(IMAGES, reference.key, EXISTING, but="it has just expired")

    def release(self, inputs: Inputs) -> None:
        """Let the uploads among the inputs expire that no image is made from any more."""
        for key in filter(naming.upload_id, inputs.keys):
            if not self._is_used(key):
                self._mark(key, is_used=False)
                if self._is_used(key):  # by a run that has started meanwhile
                    self._mark(key, is_used=True)

    def made_from(self, key: str, *, runs: int) -> tuple[list[RunRecords], int]:
        """Return the newest runs that use this image, and how many images all runs request.

        At most `runs` are returned.
        """
        users = self._table.query(users_key(key))
        newest = [self._run(item["run_id"]) for item in [*reversed(users)][:runs]]
        return newest, sum(item["images"] for item in users)

    def _is_used(self, key: str) -> bool:
        # A purge of a folder removes the oldest images first, so the newest runs decide quickly.
        users = reversed(self._table.query(users_key(key)))
        return any(not _is_gone(self._run(user["run_id"])) for user in users)

    def _run(self, run_id: str) -> RunRecords:
        return RunRecords.of_items(self._table.query(f"run#{run_id}"))

    def _mark(self, key: str, *, is_used: bool) -> bool:
        """Set the tags of an upload. Return False if it no longer exists."""
        upload_id = naming.upload_id(key)
        if upload_id is None:
            return True
        tags = naming.USED_TAG if is_used else naming.UNUSED_TAG
        is_there = self._bucket.tag(key, tags)
        self._bucket.tag(naming.thumbnail_key(key), tags)
        self._uploads.mark_used(upload_id, is_used=is_used)
        return is_there


def _is_gone(run: RunRecords) -> bool:
    """Return whether no image of a run is left, and none will come."""
    if run.prompt is None:
        return False
    ends = (Status.PURGED, Status.REFUSED, Status.BAD)
    count: int = run.prompt.choices["count"]
    return sum(image.status in ends for image in run.images) >= count


def users_key(key: str) -> str:
    """Return the partition of the runs whose images are made from an image."""
    return f"users#{key}"
