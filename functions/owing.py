"""What a run that fails still owes: the pictures that are bought and not stored yet, and the command that goes on with them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from functions.adapters import records
from functions.adapters.claims import CLAIMED
from functions.adapters.records import ImageRecord, Records
from functions.errors import ONE_PICTURE, ClaimHeldError, EaselError


@contextmanager
def told(run_id: str, *, book: Records) -> Iterator[None]:
    """Add to an error that may end the run what the run owes; a picture that is waited for, or can't be had, ends none."""
    try:
        yield
    except (ClaimHeldError, *ONE_PICTURE):
        raise
    except EaselError as error:
        with suppress(EaselError):  # the table may be what has failed
            error.add(said(run_id, book.run(run_id)[2]))
        raise


def said(run_id: str, images: list[ImageRecord]) -> str | None:
    """One sentence, None where nothing is owed."""
    bought = [str(image.n) for image in images if image.status == records.STAGED]
    open_ = [str(image.n) for image in images if image.status == CLAIMED]
    parts = [
        f"{what} {', '.join(those)}"
        for what, those in (("bought and not stored yet: picture", bought), ("being bought: picture", open_))
        if those
    ]
    return (
        f"run {run_id} has {'; '.join(parts)}; `make redrive RUN={run_id}` goes on with it, paying only for what is missing"
        if parts
        else None
    )
