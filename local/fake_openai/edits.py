"""The requests of image edits: a form with files, or JSON with data URLs and ids of files."""

import asyncio
import base64
import binascii
import io
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from local.fake_openai import inputs
from local.fake_openai.files import Files
from local.fake_openai.image_files import ImageFile
from local.fake_openai.painting import ImageRequest
from local.fake_openai.requests import MAX_INPUT_IMAGES, RefusedError, check_edit

MAX_FILES = 100  # more than an edit may have, so that the error can name their number
MAX_JSON = 100_000_000  # bytes
MAX_URL = 20_971_520  # characters of a data URL
IMAGE_FIELDS = ("image", "image[]")
NUMBERS = ("n", "output_compression")  # a form has them as text
Item = TypeVar("Item")


async def receive(request: Request, files: Files) -> ImageRequest:
    """Return the checked edit of an HTTP request. Raise RefusedError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = await _json(request)
        return await asyncio.to_thread(check, body, files)
    if kind != "multipart/form-data":
        message = (
            f"Unsupported content type: '{kind}'. Use multipart/form-data or application/json."
        )
        raise RefusedError(None, message, "unsupported_content_type")
    try:
        # Files of more than 1 MB are kept on the disk until the form is closed.
        async with request.form(max_files=MAX_FILES) as form:
            return await asyncio.to_thread(_check_form, form)
    except HTTPException as error:
        raise RefusedError(None, error.detail, "invalid_multipart_form") from None


def check(body: object, files: Files) -> ImageRequest:
    """Return the checked edit of a JSON body. Its file ids are looked up in `files`.

    Raise RefusedError.
    """
    if not isinstance(body, dict):
        raise RefusedError(None, "The body must be a JSON object.", "invalid_type")
    parameters = {name: value for name, value in body.items() if name not in ("images", "mask")}
    check_edit(parameters)
    references = body.get("images")
    if not references:
        raise _missing("images")
    if not isinstance(references, list):
        raise _wrong_type("images", "an array", references)
    images = [
        _referenced(reference, f"images[{place}]", files)
        for place, reference in enumerate(_not_too_many(references, "images"))
    ]
    mask = _referenced(body["mask"], "mask", files) if "mask" in body else None
    return _checked(parameters, images, mask)


def _check_form(form: FormData) -> ImageRequest:
    parameters: dict[str, Any] = {}
    uploads: list[UploadFile] = []
    mask = None
    for name, value in form.multi_items():
        if name in (*IMAGE_FIELDS, "mask"):
            if not isinstance(value, UploadFile):
                raise _wrong_type(name, "a file", value)
            if name in IMAGE_FIELDS:
                uploads.append(value)
                continue
            if mask:
                raise RefusedError("mask", "Invalid 'mask': expected one file.")
            mask = _uploaded(value, "mask")
        elif isinstance(value, UploadFile):
            raise _wrong_type(name, "a string", value)
        elif name in parameters:
            raise RefusedError(name, f"Invalid '{name}': expected one value.")
        else:
            is_number = name in NUMBERS and value.isdecimal()
            parameters[name] = int(value) if is_number else value
    check_edit(parameters)
    if not uploads:
        raise _missing("image")
    is_single = len(uploads) == 1
    images = [
        _uploaded(upload, "image" if is_single else f"image[{place}]")
        for place, upload in enumerate(_not_too_many(uploads, "image"))
    ]
    return _checked(parameters, images, mask)


def _checked(
    parameters: Mapping[str, Any], images: list[ImageFile], mask: ImageFile | None
) -> ImageRequest:
    size = check_edit(parameters)
    return ImageRequest(parameters=parameters, inputs=inputs.read(images, mask, size))


def _uploaded(upload: UploadFile, param: str) -> ImageFile:
    kind = (upload.content_type or "").partition(";")[0].strip().lower()
    return ImageFile(param=param, file=upload.file, size=upload.size or 0, kind=kind)


def _referenced(reference: object, param: str, files: Files) -> ImageFile:
    """Return the image that a file id or a data URL refers to."""
    if not isinstance(reference, dict):
        raise _wrong_type(param, "an object", reference)
    unknown = sorted(reference.keys() - {"file_id", "image_url"})
    if unknown:
        param = f"{param}.{unknown[0]}"
        raise RefusedError(param, f"Unknown parameter: '{param}'.", "unknown_parameter")
    if len(reference) != 1:
        message = f"Invalid '{param}': provide exactly one of 'file_id' and 'image_url'."
        raise RefusedError(param, message)
    ((name, value),) = reference.items()
    param = f"{param}.{name}"
    if not isinstance(value, str):
        raise _wrong_type(param, "a string", value)
    return _from_url(value, param) if name == "image_url" else _from_id(value, param, files)


def _from_id(file_id: str, param: str, files: Files) -> ImageFile:
    file = files.find(file_id)
    if not file:
        raise RefusedError(param, f"No such File object: {file_id}", "file_not_found")
    if file.purpose != "vision":
        message = f"Invalid '{param}': the purpose of the file is '{file.purpose}', not 'vision'."
        raise RefusedError(param, message)
    content = file.content()
    return ImageFile(param=param, file=io.BytesIO(content), size=len(content), kind=None)


def _from_url(url: str, param: str) -> ImageFile:
    """Return the image in a data URL. This server downloads nothing, so it refuses other URLs."""
    if len(url) > MAX_URL:
        message = f"Invalid '{param}': string too long."
        raise RefusedError(param, message, "string_above_max_length")
    start, _, encoded = url.partition(";base64,")
    if not encoded or not start.startswith("data:"):
        raise RefusedError(param, f"Error while downloading '{param}'.", "invalid_image_url")
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise RefusedError(param, "Invalid base64 image_url.", "invalid_base64") from None
    kind = start.removeprefix("data:").lower()
    return ImageFile(param=param, file=io.BytesIO(content), size=len(content), kind=kind)


async def _json(request: Request) -> object:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON:
            raise RefusedError(None, "The request body is too large.", "request_too_large")
    try:
        return json.loads(body)
    except ValueError:
        message = "We could not parse the JSON body of your request."
        raise RefusedError(None, message, None) from None


def _not_too_many(items: list[Item], param: str) -> list[Item]:
    if len(items) > MAX_INPUT_IMAGES:
        message = (
            f"Invalid '{param}': array too long. Expected an array with maximum length "
            f"{MAX_INPUT_IMAGES}, but got an array with length {len(items)} instead."
        )
        raise RefusedError(param, message, "array_above_max_length")
    return items


def _missing(param: str) -> RefusedError:
    message = f"Missing required parameter: '{param}'."
    return RefusedError(param, message, "missing_required_parameter")


def _wrong_type(param: str, expected: str, value: object) -> RefusedError:
    names: Mapping[type, str] = {str: "a string", dict: "an object", list: "an array"}
    kind = names.get(type(value), "another value")
    message = f"Invalid type for '{param}': expected {expected}, but got {kind} instead."
    return RefusedError(param, message, "invalid_type")
