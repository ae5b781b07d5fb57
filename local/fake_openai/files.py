"""The Files API: batches, images for edits, and results, painted while they are downloaded."""

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
from local.fake_openai.requests import RefusedError, check_file
from local.fake_openai.responses import (
    ApiError,
    answer,
    is_done,
    is_replaced,
    new_id,
    page,
    refusal,
)

MAX_BYTES = 200_000_000  # the limit for a batch's input; edits accept smaller files only
RETENTION_SECONDS = 30 * 24 * 3600  # the real API keeps a batch's files this long
# The paths of fault rules: for the content of any file, for the deletion of any file, and for a
# shorter life of the next uploaded file. The answer of the last one is the life's seconds.
CONTENT, DELETE, EXPIRE = "/v1/files/content", "/v1/files/delete", "/v1/files/expire"


@dataclass(kw_only=True)
class File:
    """A file in pieces, which are made when they are read.

    `size` is in bytes. The size of a result is 0 until it has been downloaded. The file expires
    `lifetime` seconds after it was created, unless that is None.
    """

    filename: str
    purpose: str
    pieces: Sequence[Callable[[], bytes]]
    size: int = 0
    lifetime: int | None = RETENTION_SECONDS
    id: str = field(default_factory=lambda: new_id("file-"))
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def expires(self) -> int | None:
        """Return when the file expires, in seconds since 1970."""
        return None if self.lifetime is None else self.created + self.lifetime

    def content(self) -> bytes:
        """Return the whole file."""
        return b"".join(make() for make in self.pieces)

    def to_json(self) -> dict[str, Any]:
        """Return the file as the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created,
            "expires_at": self.expires,
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
        """Return the file with this id, or None if there is none, or if it has expired."""
        self._delete_expired()
        return self._stored.get(file_id) if isinstance(file_id, str) else None

    def clear(self) -> None:
        """Delete all files."""
        self._stored.clear()

    async def upload(self, request: Request) -> Response:
        """Answer POST /v1/files."""
        async with request.form() as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                message = "'file' is a required property"
                return refusal(message, "missing_required_parameter", "file")
            try:
                purpose, lifetime = check_file(
                    {name: form[name] for name in form if name != "file"}
                )
            except RefusedError as refused:
                return ApiError.of(refused).response(400)
            if (upload.size or 0) > MAX_BYTES:
                message = f"A file may have {MAX_BYTES} bytes."
                return ApiError(message=message, code="file_too_large", param="file").response(413)
            content, name = await upload.read(), upload.filename or "upload"
        # A rule finds the input of a batch by its lines, and an image by its name.
        text = content.decode(errors="replace") if purpose == "batch" else name
        rule, expiry = (self._faults.take(path, text) for path in (request.url.path, EXPIRE))
        file = File(
            filename=name,
            purpose=purpose,
            pieces=[lambda: content],
            size=len(content),
            lifetime=int(expiry.answer) if expiry else lifetime,
        )
        if is_done(rule):
            self.add(file)
        return await answer(file.to_json(), rule)

    async def list(self, request: Request) -> Response:
        """Answer GET /v1/files."""
        self._delete_expired()
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
        if request.method != "DELETE":
            return JSONResponse(file.to_json())
        rule = self._faults.take(DELETE, file.filename)
        if is_done(rule):
            del self._stored[file.id]
        return await answer({"id": file.id, "object": "file", "deleted": True}, rule)

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

    def _delete_expired(self) -> None:
        now = time.time()
        expired = [file.id for file in self._stored.values() if (file.expires or now + 1) <= now]
        for file_id in expired:
            del self._stored[file_id]


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
