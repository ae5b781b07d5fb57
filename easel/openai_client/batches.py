"""OpenAI's Batch API. It takes a file of requests and returns a file of answers within a day.

It charges half the price.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Literal, TypeVar

import httpx2
import openai
from openai import OpenAI

from easel.contract.errors import TransientError
from easel.openai_client.answers import MAX_BYTES, MAX_SILENCE_SECONDS
from easel.openai_client.client import Account
from easel.openai_client.errors import translate
from easel.openai_client.images import InputImage

Endpoint = Literal["/v1/images/generations", "/v1/images/edits"]
GENERATIONS: Endpoint = "/v1/images/generations"
EDITS: Endpoint = "/v1/images/edits"
# An input is deleted when its order is collected. If nobody collects it, OpenAI deletes it then.
INPUT_SECONDS = 3 * 24 * 60 * 60
MAX_IMAGES = 200  # our limit for one batch
ENDED = ("completed", "failed", "expired", "cancelled")
# The account's waiting batches may have only so many tokens:
# https://developers.openai.com/api/docs/guides/rate-limits#batch-api-rate-limits
QUEUE_FULL = frozenset({"token_limit_exceeded", "rate_limit_exceeded"})
ORDER = "easel_order"  # the metadata key for finding a batch
CALL_SECONDS = 60.0
UPLOAD_SECONDS = 300.0
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PlacedBatch:
    """The state of a batch at OpenAI. The files are None until they exist.

    `problem` is OpenAI's code for why it failed as a whole, or None.
    """

    id: str
    status: str
    answers: str | None
    errors: str | None
    problem: str | None = None

    @property
    def has_ended(self) -> bool:
        """Return whether the batch has ended."""
        return self.status in ENDED

    @property
    def found_queue_full(self) -> bool:
        """Return whether it failed only because too many requests were waiting at OpenAI."""
        return self.status == "failed" and self.problem in QUEUE_FULL


class OpenAIBatches:
    """The batches of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def find(self, order: str, *, since: datetime) -> PlacedBatch | None:
        """Return the batch that was created for an order, or None.

        Searches the account's batches back to `since`.
        """

        def search(client: OpenAI) -> Any:
            # The list is sorted newest first and is read page by page.
            for batch in client.batches.list(limit=100, timeout=CALL_SECONDS):
                if (batch.metadata or {}).get(ORDER) == order:
                    return batch
                if batch.created_at < since.timestamp():
                    return None
            return None

        match = self._call(f"looking up the batch of order {order}", search)
        return match and _to_placed_batch(match)

    def upload(self, image: InputImage) -> str:
        """Upload an image that images are made from. Return the id of the file at OpenAI."""

        def upload(client: OpenAI) -> str:
            return client.files.create(
                file=(image.name, image.file, image.content_type),
                purpose="vision",
                expires_after={"anchor": "created_at", "seconds": INPUT_SECONDS},
                timeout=UPLOAD_SECONDS,
            ).id

        return self._call(f"uploading {image.name!a} to OpenAI", upload)

    def delete(self, file: str) -> None:
        """Delete an uploaded image. Do nothing if it is gone."""

        def delete(client: OpenAI) -> None:
            with suppress(openai.NotFoundError):
                client.files.delete(file, timeout=CALL_SECONDS)

        self._call(f"deleting file {file}", delete)

    def create(self, order: str, requests: IO[bytes], *, endpoint: Endpoint) -> PlacedBatch:
        """Upload the requests and start the batch. This costs money each time it is called."""
        doing = f"creating the batch of order {order}"

        def upload(client: OpenAI) -> str:
            requests.seek(0)
            file = (f"{order}.jsonl", requests)
            return client.files.create(file=file, purpose="batch", timeout=UPLOAD_SECONDS).id

        file = self._call(doing, upload)

        def create(client: OpenAI) -> Any:
            return client.batches.create(
                input_file_id=file,
                endpoint=endpoint,
                completion_window="24h",
                metadata={ORDER: order},
                timeout=CALL_SECONDS,
            )

        return _to_placed_batch(self._call(doing, create))

    def adapt(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return an image call's parameters without those that the server does not accept."""
        return self._account.accepted.adapt(parameters)

    def look(self, batch: str) -> PlacedBatch:
        """Return the current state of a batch."""

        def retrieve(client: OpenAI) -> Any:
            return client.batches.retrieve(batch, timeout=CALL_SECONDS)

        return _to_placed_batch(self._call(f"reading batch {batch}", retrieve))

    def lines(self, file: str) -> Iterator[bytes]:
        """Yield the lines of a file one at a time, because the file can be gigabytes long.

        Raises TransientError if the download breaks off.
        """
        doing = f"reading file {file}"
        timeout = httpx2.Timeout(CALL_SECONDS, read=MAX_SILENCE_SECONDS)

        def download(client: OpenAI) -> Any:
            return client.files.with_streaming_response.content(file, timeout=timeout)

        with _translate_errors(doing), self._account.call(download) as content:
            yield from _split(content.iter_bytes(), doing=doing)

    def _call(self, doing: str, call: Callable[[OpenAI], T]) -> T:
        with _translate_errors(doing):
            return self._account.call(call)


@contextmanager
def _translate_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        raise translate(error, doing) from error


def _split(chunks: Iterator[bytes], *, doing: str) -> Iterator[bytes]:
    """Yield chunks of bytes as whole lines."""
    rest = bytearray()
    for chunk in chunks:
        start = len(rest)
        rest += chunk
        while (end := rest.find(b"\n", start)) >= 0:
            yield bytes(rest[:end])
            del rest[: end + 1]
            start = 0
        if len(rest) > MAX_BYTES:
            raise TransientError(f"{doing}: a line is larger than {MAX_BYTES:,} bytes")
    if rest:
        yield bytes(rest)


def _to_placed_batch(batch: Any) -> PlacedBatch:
    problems = batch.errors.data if batch.errors else None
    codes = [problem.code for problem in problems or () if problem.code]
    return PlacedBatch(
        id=batch.id,
        status=batch.status,
        answers=batch.output_file_id,
        errors=batch.error_file_id,
        problem=codes[0] if codes else None,
    )
