"""What can become of an image, and of a run's chat call."""

from enum import StrEnum


class Status(StrEnum):
    """The status of an image in its record.

    claimed ─► staged ─► stored ◄─► deleted
       │          └─► bad      the bytes are not an image; they stay in staging
       ├─► refused             by OpenAI, at no cost
       └─► lost                paid, but S3 did not take the bytes in time
             └─► staged        the last put arrived after all
    """

    CLAIMED = "claimed"
    STAGED = "staged"
    STORED = "stored"
    REFUSED = "refused"
    LOST = "lost"
    BAD = "bad"
    DELETED = "deleted"

    @property
    def is_finished(self) -> bool:
        """Return whether nothing is left to do: neither to buy the image nor to store it."""
        return self in (Status.STORED, Status.DELETED, Status.REFUSED)


class ChatStatus(StrEnum):
    """The status of a run's chat call: its prompt is kept once it is written."""

    CLAIMED = "claimed"
    WRITTEN = "written"
