"""OpenAI's Batch API: a file of requests goes up, within a day a file of answers can be had, at half the price."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import IO, Any, Literal, TypeVar

import httpx2
import openai
from openai import OpenAI

from functions.adapters.openai_answers import MAX_BYTES, MAX_SILENCE_SECONDS
from functions.adapters.openai_client import Account, Credential, credential
from functions.adapters.openai_errors import translate
from functions.errors import TransientError
from functions.settings import settings

ENDPOINT: Literal["/v1/images/generations"] = "/v1/images/generations"
MAX_PICTURES = 200  # that one batch may hold
ENDED = ("completed", "failed", "expired", "cancelled")
ORDER = "easel_order"  # the metadata by which a batch is found again
CALL_SECONDS = 60.0
UPLOAD_SECONDS = 300.0
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PlacedBatch:
    """A batch at OpenAI as it stands; the files are None where there is none (yet)."""

    id: str
    status: str
    answers: str | None
    errors: str | None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.status in ENDED


class OpenAIBatches:
    """The batches of one account at one base URL."""

    def __init__(self, credential: Credential, *, base_url: str | None) -> None:
        self._account = Account(credential, base_url=base_url)

    def find(self, order: str, *, since: datetime) -> PlacedBatch | None:
        """The batch that was created for an order, None where there is none. Looks at the account's batches back to `since`."""

        def search(client: OpenAI) -> Any:
            for batch in client.batches.list(limit=100, timeout=CALL_SECONDS):  # newest first, page by page
                if (batch.metadata or {}).get(ORDER) == order:
                    return batch
                if batch.created_at < since.timestamp():
                    return None
            return None

        found = self._called(f"looking for the batch of order {order}", search)
        return found and _placed(found)

    def create(self, order: str, requests: IO[bytes]) -> PlacedBatch:
        """Upload the requests and have them done: this costs money, and more where it is done twice."""
        doing = f"creating the batch of order {order}"

        def upload(client: OpenAI) -> str:
            requests.seek(0)
            return client.files.create(file=(f"{order}.jsonl", requests), purpose="batch", timeout=UPLOAD_SECONDS).id

        file = self._called(doing, upload)

        def create(client: OpenAI) -> Any:
            known = {ORDER: order}
            return client.batches.create(
                input_file_id=file, endpoint=ENDPOINT, completion_window="24h", metadata=known, timeout=CALL_SECONDS
            )

        return _placed(self._called(doing, create))

    def look(self, batch: str) -> PlacedBatch:
        """A batch as it stands."""
        return _placed(self._called(f"looking at batch {batch}", lambda client: client.batches.retrieve(batch, timeout=CALL_SECONDS)))

    def lines(self, file: str) -> Iterator[bytes]:
        """The lines of a file, one at a time as they arrive: it can be gigabytes long. Raises TransientError where it breaks off."""
        doing = f"reading file {file}"
        with _named(doing):
            answer = self._account.call(
                lambda client: client.files.with_streaming_response.content(
                    file, timeout=httpx2.Timeout(CALL_SECONDS, read=MAX_SILENCE_SECONDS)
                )
            )
            with answer as content:
                yield from _split(content.iter_bytes(), doing=doing)

    def _called(self, doing: str, call: Callable[[OpenAI], T]) -> T:
        with _named(doing):
            return self._account.call(call)


@contextmanager
def _named(doing: str) -> Iterator[None]:
    try:
        yield
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        raise translate(error, doing) from error


def _split(chunks: Iterator[bytes], *, doing: str) -> Iterator[bytes]:
    """Bytes as they come, cut at line ends."""
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


def _placed(batch: Any) -> PlacedBatch:
    return PlacedBatch(id=batch.id, status=batch.status, answers=batch.output_file_id, errors=batch.error_file_id)


@cache
def openai_batches() -> OpenAIBatches:
    """Those of this stack's OpenAI account."""
    return OpenAIBatches(credential(), base_url=settings().openai_base_url)
