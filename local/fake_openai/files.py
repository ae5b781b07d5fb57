"""The stand-in's Files API: what is uploaded for a batch, and what a batch made, which is painted while it is downloaded."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from local.fake_openai.answers import answer, error, is_done, is_replaced, new_id, refusal
from local.fake_openai.faults import Faults
from local.fake_openai.pages import page

MAX_BYTES = 200_000_000  # of a batch's input
KEPT_SECONDS = 30 * 24 * 3600  # how long the real API keeps a batch's files
CONTENT = "/v1/files/content"  # what a rule calls the content of any file


@dataclass(kw_only=True)
class File:
    """A file in pieces that are made when they are read. `size` in bytes; that of a result is 0 until it was downloaded once."""

    filename: str
    purpose: str
    pieces: Sequence[Callable[[], bytes]]
    size: int = 0
    id: str = field(default_factory=lambda: new_id("file-"))
    created: int = field(default_factory=lambda: int(time.time()))

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created,
            "expires_at": self.created + KEPT_SECONDS,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class Files:
    """The files of an account, oldest first."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._stored: dict[str, File] = {}

    def add(self, file: File) -> str:
        """Keep a file; gives its id."""
        self._stored[file.id] = file
        return file.id

    def find(self, file_id: object) -> File | None:
        """The file of this id."""
        return self._stored.get(file_id) if isinstance(file_id, str) else None

    def clear(self) -> None:
        """Forget all files."""
        self._stored.clear()

    async def upload(self, request: Request) -> Response:
        """POST /v1/files."""
        async with request.form() as form:
            sent, purpose = form.get("file"), form.get("purpose")
            if not isinstance(sent, UploadFile):
                return refusal("'file' is a required property", "missing_required_parameter", "file")
            if purpose != "batch":
                return refusal(f"'{purpose}' is not one of ['batch']", "invalid_value", "purpose")
            if (sent.size or 0) > MAX_BYTES:
                message = f"A batch's input may have {MAX_BYTES} bytes."
                return error(413, "invalid_request_error", message, "file_too_large", "file")
            content, name = await sent.read(), sent.filename or "upload"
        rule = self._faults.take(request.url.path, content.decode(errors="replace"))
        file = File(filename=name, purpose="batch", pieces=[lambda: content], size=len(content))
        if is_done(rule):
            self.add(file)
        return await answer(file.to_json(), rule)

    async def list(self, request: Request) -> Response:
        """GET /v1/files."""
        wanted = request.query_params.get("purpose")
        files = [file.to_json() for file in self._stored.values() if wanted in (None, file.purpose)]
        return page(files if request.query_params.get("order") == "asc" else files[::-1], request, usual=10_000, most=10_000)

    async def one(self, request: Request) -> Response:
        """GET and DELETE /v1/files/{id}."""
        file = self.find(request.path_params["id"])
        if not file:
            return _unknown(request)
        if request.method == "DELETE":
            del self._stored[file.id]
            return JSONResponse({"id": file.id, "object": "file", "deleted": True})
        return JSONResponse(file.to_json())

    async def content(self, request: Request) -> Response:
        """GET /v1/files/{id}/content."""
        file = self.find(request.path_params["id"])
        if not file:
            return _unknown(request)
        rule = self._faults.take(CONTENT, file.filename)
        if is_replaced(rule):
            return await answer({}, rule)
        if rule and rule.delay:
            await asyncio.sleep(rule.delay)
        # A streamed body has no length: the end of one that was cut shows as a missing last chunk.
        return StreamingResponse(_half(file) if rule and rule.cut else _whole(file), media_type="application/octet-stream")


async def _whole(file: File) -> AsyncIterator[bytes]:
    size = 0
    for make in file.pieces:
        piece = await run_in_threadpool(make)
        size += len(piece)
        yield piece
    file.size = size


async def _half(file: File) -> AsyncIterator[bytes]:
    half = len(file.pieces) // 2
    for make in file.pieces[:half]:
        yield await run_in_threadpool(make)
    # In the middle of a line, where nobody can take it for the end.
    last = await run_in_threadpool(file.pieces[half])
    yield last[: len(last) // 2]
    raise ConnectionAbortedError("cut as a test wants it")


def _unknown(request: Request) -> Response:
    return refusal(f"No such File object: {request.path_params['id']}", None, "id", status=404)
