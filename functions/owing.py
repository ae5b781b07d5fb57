"""What a run that fails still owes: the pictures that are bought and not stored yet, and the command that goes on with them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from functions.adapters import records
from functions.adapters.claims import CLAIMED
from functions.adapters.records import ImageRecord, Records
from functions.errors import ONE_PICTURE, EaselError


@contextmanager
def told(run_id: str, *, book: Records) -> Iterator[None]:
    """Add to an error that may end the run what the run owes; a picture that can't be had ends none."""
    try:
        yield
    except ONE_PICTURE:
        raise
    except EaselError as error:
        with suppress(EaselError):  # the table may be what has failed
            error.add(said(run_id, book.run(run_id)[2]))
        raise


def said(run_id: str, images: list[ImageRecord]) -> str | None:
    """One sentence, None where nothing is owed."""
    named = (("bought and not stored yet", records.STAGED), ("still being bought then", CLAIMED))
    pictures = [(what, ", ".join(str(image.n) for image in images if image.status == status)) for what, status in named]
    parts = "; ".join(f"{what}: picture {those}" for what, those in pictures if those)
    how = f"`make redrive RUN={run_id}` (on AWS with TARGET=aws) goes on with it, paying only for what is missing"
    return f"run {run_id}, {parts}; {how}" if parts else None
