"""The operation of a request, by the name that AWS gives it."""

import json
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

_OPENAI = {
    "POST /v1/chat/completions": "chat",
    "POST /v1/images/generations": "image",
    "POST /v1/images/edits": "image",
    "POST /v1/files": "file",
    "POST /v1/batches": "batch",
    "DELETE /v1/files": "delete_file",
}
_OF_BUCKET = {
    "versions": "ListObjectVersions",
    "list-type": "ListObjectsV2",
    "delete": "DeleteObjects",
}
_OF_OBJECT = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
}


@dataclass(frozen=True, kw_only=True)
class ParsedRequest:
    """One parsed request.

    `target` is a key, records or a path, for people to read. A rule's `contains` searches `text`.
    """

    service: str
    operation: str
    target: str
    text: str


def is_openai(path: str) -> bool:
    """Return whether a path is one of OpenAI's. No bucket has so short a name."""
    return path.startswith("/v1/")


def read(method: str, path: str, headers: Message, body: bytes) -> ParsedRequest:
    """Return a request, parsed by its service's rules. An object's bytes are never searched."""
    where = urlsplit(path)
    target_header = headers.get("X-Amz-Target")
    if target_header:
        prefix, _, operation = target_header.rpartition(".")
        text = body.decode(errors="replace")
        service = prefix.partition("_")[0].lower()
        return ParsedRequest(
            service=service,
            operation=operation,
            target=_records(json.loads(text or "{}")),
            text=text,
        )
    if is_openai(path):
        # The path of a file or of a batch ends with its id.
        call = f"{method} {where.path if method == 'POST' else where.path.rpartition('/')[0]}"
        return ParsedRequest(
            service="openai",
            operation=_OPENAI.get(call, method),
            target=where.path,
            text=body.decode(errors="replace"),
        )
    query = parse_qs(where.query, keep_blank_values=True)
    key = unquote(where.path).lstrip("/").partition("/")[2]
    if key:
        operation = (
            "CopyObject" if headers.get("x-amz-copy-source") else _OF_OBJECT.get(method, method)
        )
        operation += "Tagging" if "tagging" in query else ""
        return ParsedRequest(service="s3", operation=operation, target=key, text=key)
    operation = next(
        (name for mark, name in _OF_BUCKET.items() if mark in query),
        f"{method} {where.path}?{where.query}",
    )
    target = (
        " ".join(_named_keys(body))
        if operation == "DeleteObjects"
        else "".join(query.get("prefix", []))
    )
    return ParsedRequest(service="s3", operation=operation, target=target, text=target)


def _named_keys(body: bytes) -> list[str]:
    """Return the keys that a DeleteObjects names."""
    root = ET.fromstring(body)  # noqa: S314 - our own client wrote it
    return [entry.findtext("{*}Key") or "" for entry in root.findall("{*}Object")]


def _records(body: dict[str, Any]) -> str:
    if "TransactItems" in body:
        return ", ".join(
            f"{kind} {_record(action)}"
            for entry in body["TransactItems"]
            for kind, action in entry.items()
        )
    if "SecretId" in body:
        return str(body["SecretId"])
    return _record(body)


def _record(action: dict[str, Any]) -> str:
    key = action.get("Key") or action.get("Item")
    if key:
        return " ".join(str(next(iter(key[name].values()))) for name in ("pk", "sk") if name in key)
    values = action.get("ExpressionAttributeValues", {})
    return " ".join(str(next(iter(value.values()))) for value in values.values())
