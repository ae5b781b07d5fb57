"""Reads the input images of a run, in the versions that were resolved."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from tempfile import TemporaryFile
from typing import IO, Any, cast

from easel.aws.bucket import Bucket
from easel.contract.errors import ReferenceGoneError
from easel.ledger.references import IMAGES
from easel.request.references import Inputs, Reference


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """An input image as it is sent to OpenAI. The file is at its beginning."""

    name: str
    file: IO[bytes]
    content_type: str


class ReferenceFiles:
    """The files of the input images, in the bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @contextmanager
    def open(self, inputs: Inputs) -> Iterator[list[InputFile]]:
        """Copy the inputs into temporary files. The mask comes last.

        Raises ReferenceGoneError if a version no longer exists, or is not what was resolved.
        """
        with ExitStack() as files:
            yield [
                self._copy(reference, files.enter_context(TemporaryFile()))
                for reference in inputs.all
            ]

    def describe_gone(self, inputs: Inputs) -> ReferenceGoneError:
        """Return the error for inputs of which `open` has found one to be gone or changed."""
        gone = [reference.key for reference in inputs.all if not self._is_there(reference)]
        if gone:
            reason = "it was deleted permanently, or has changed"
        else:
            reason = "an input could not be read when the image was due; it is there again"
        return _gone(", ".join(gone or inputs.keys), reason)

    def _is_there(self, reference: Reference) -> bool:
        stored = self._bucket.head(reference.key, reference.version_id or None)
        return (
            stored is not None
            and stored.bytes == reference.bytes
            and stored.metadata.get("sha256", reference.sha256) == reference.sha256
        )

    def _copy(self, reference: Reference, file: IO[bytes]) -> InputFile:
        key = reference.key
        version = self._bucket.fetch(key, file, version_id=reference.version_id or None)
        if version is None:
            reason = "it was deleted permanently after the run had started"
            raise _gone(key, reason)
        file.seek(0)
        if file_digest(cast("Any", file), "sha256").hexdigest() != reference.sha256:
            reason = "its bytes are not those that the run started with"
            raise _gone(key, reason)
        file.seek(0)
        name = key.rpartition("/")[2]
        return InputFile(name=name, file=file, content_type=reference.content_type)


def _gone(key: str, reason: str) -> ReferenceGoneError:
    message = f"{IMAGES} is {key!a}, but {reason}; start a new run with another image"
    return ReferenceGoneError(message)
