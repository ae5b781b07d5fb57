"""The Files API: inputs of batches, and results, which are painted while they are downloaded."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from local.fake_openai.faults import Faults
from local.fake_openai.responses import (
    ApiError,
    answer,
    is_done,
    is_replaced,
    new_id,
    page,
    refusal,
)

MAX_BYTES = 200_000_000  # the limit for a batch's input
RETENTION_SECONDS = 30 * 24 * 3600  # the real API keeps a batch's files this long
CONTENT = "/v1/files/content"  # the path of a fault rule for the content of any file


@dataclass(kw_only=True)
class File:
    """A file in pieces, which are made when they are read.

    `size` is in bytes. The size of a result is 0 until it has been downloaded.
    """

    filename: str
    purpose: str
    pieces: Sequence[Callable[[], bytes]]
    size: int = 0
    id: str = field(default_factory=lambda: new_id("file-"))
    created: int = field(default_factory=lambda: int(time.time()))

    def to_json(self) -> dict[str, Any]:
        """Return the file as the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created,
            "expires_at": self.created + RETENTION_SECONDS,
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
        """Store a file, and return its id."""
        self._stored[file.id] = file
        return file.id

    def find(self, file_id: object) -> File | None:
        """Return the file with this id, or None if there is none."""
        return self._stored.get(file_id) if isinstance(file_id, str) else None

    def clear(self) -> None:
        """Delete all files."""
        self._stored.clear()

    async def upload(self, request: Request) -> Response:
        """Answer POST /v1/files."""
        async with request.form() as form:
            upload, purpose = form.get("file"), form.get("purpose")
            if not isinstance(upload, UploadFile):
                message = "'file' is a required property"
                return refusal(message, "missing_required_parameter", "file")
            if purpose != "batch":
                return refusal(f"'{purpose}' is not one of ['batch']", "invalid_value", "purpose")
            if (upload.size or 0) > MAX_BYTES:
                message = f"A batch's input may have {MAX_BYTES} bytes."
                return ApiError(message=message, code="file_too_large", param="file").response(413)
            content, name = await upload.read(), upload.filename or "upload"
        rule = self._faults.take(request.url.path, content.decode(errors="replace"))
        file = File(filename=name, purpose="batch", pieces=[lambda: content], size=len(content))
        if is_done(rule):
            self.add(file)
        return await answer(file.to_json(), rule)

    async def list(self, request: Request) -> Response:
        """Answer GET /v1/files."""
        purpose = request.query_params.get("purpose")
        files = [
            file.to_json() for file in self._stored.values() if purpose in (None, file.purpose)
        ]
        if request.query_params.get("order") != "asc":
            files.reverse()
        return page(files, request, default=10_000, maximum=10_000)

    async def show_or_delete(self, request: Request) -> Response:
        """Answer GET and DELETE /v1/files/{id}."""
        file = self.find(request.path_params["id"])
        if not file:
            return _unknown(request)
        if request.method == "DELETE":
            del self._stored[file.id]
            return JSONResponse({"id": file.id, "object": "file", "deleted": True})
        return JSONResponse(file.to_json())

    async def content(self, request: Request) -> Response:
        """Answer GET /v1/files/{id}/content."""
        file = self.find(request.path_params["id"])
        if not file:
            return _unknown(request)
        rule = self._faults.take(CONTENT, file.filename)
        if is_replaced(rule):
            return await answer({}, rule)
        if rule and rule.delay:
            await asyncio.sleep(rule.delay)
        # A streamed body has no length, so the client detects a cut by the missing last chunk.
        body = _first_half(file) if rule and rule.cut else _whole(file)
        return StreamingResponse(body, media_type="application/octet-stream")


async def _whole(file: File) -> AsyncIterator[bytes]:
    size = 0
    for make in file.pieces:
        piece = await run_in_threadpool(make)
        size += len(piece)
        yield piece
    file.size = size


async def _first_half(file: File) -> AsyncIterator[bytes]:
    half = len(file.pieces) // 2
    for make in file.pieces[:half]:
        yield await run_in_threadpool(make)
    # The cut is in the middle of a line, so it cannot be mistaken for the end of the file.
    last = await run_in_threadpool(file.pieces[half])
    yield last[: len(last) // 2]
    raise ConnectionAbortedError("cut, as a test demands")


def _unknown(request: Request) -> Response:
    return refusal(f"No such File object: {request.path_params['id']}", None, "id", status=404)
