"""Names the images of a failed run that are paid and not stored yet."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from easel.contract.errors import ONE_IMAGE, EaselError
from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.records import RunRecords


@contextmanager
def mention_unfinished(run_id: str, ledger: Ledger) -> Iterator[None]:
    """If an error may end the run, add which of its images are paid and not stored yet.

    An error that ends one image does not end the run.
    """
    try:
        yield
    except ONE_IMAGE:
        raise
    except EaselError as error:
        with suppress(EaselError):  # the table may be what failed
            error.add(describe_unfinished(run_id, ledger.run(run_id)))
        raise


def describe_unfinished(run_id: str, records: RunRecords) -> str | None:
    """Return one sentence about a run's unfinished images, or None if there are none."""
    states = (
        ("bought but not stored yet", Status.STAGED),
        ("still being bought", Status.CLAIMED),
    )
    numbers = [
        (state, ", ".join(str(image.n) for image in records.images if image.status == status))
        for state, status in states
    ]
    parts = "; ".join(f"{state}: image {images}" for state, images in numbers if images)
    hint = "resuming the run pays only for what is missing"
    return f"run {run_id}, {parts}; {hint}" if parts else None
