"""The statuses of an image and of a run's chat call."""

from enum import StrEnum


class Status(StrEnum):
    """The status of an image in its record.

    claimed ─► staged ─► stored ◄─► deleted ─► purged
       │          └─► bad      the bytes are not an image; they stay in staging
       ├─► refused             by OpenAI, at no cost
       └─► lost                paid, but S3 did not take the bytes in time
             └─► staged        the last put arrived after all

    A stored image can be purged as well.
    """

    CLAIMED = "claimed"
    STAGED = "staged"
    STORED = "stored"
    REFUSED = "refused"
    LOST = "lost"
    BAD = "bad"
    DELETED = "deleted"
    PURGED = "purged"

    @property
    def is_finished(self) -> bool:
        """Return whether the image needs neither to be bought nor to be stored."""
        return self.was_stored or self == Status.REFUSED

    @property
    def was_stored(self) -> bool:
        """Return whether the image reached its key, even if it was deleted or purged later."""
        return self in (Status.STORED, Status.DELETED, Status.PURGED)


class ChatStatus(StrEnum):
    """The status of a run's chat call. Once it is written, the prompt has a record."""

    CLAIMED = "claimed"
    WRITTEN = "written"
