"""The bodies of requests and responses, and the changes that faults make to them."""

from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

S3_XML = "http://s3.amazonaws.com/doc/2006-03-01/"


def chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    """Yield the parts of a chunked body unchanged, including trailers.

    Raise ConnectionError if it ends too early.
    """
    size = 1
    while size:
        line = stream.readline()
        if not line:
            raise ConnectionAbortedError("half a body")
        size = int(line.partition(b";")[0], 16)
        yield line
        if size:
            yield stream.read(size + 2)
    while (line := stream.readline()) not in (b"\r\n", b""):
        yield line
    yield line


def corrupted(body: bytes, *, layers: int) -> bytes:
    """Return the body with one bit flipped.

    The bit is in the middle of the body. A chunked body has `layers` size lines before its content.
    There, the bit is in the first byte of the content.
    """
    place = 0 if layers else len(body) // 2
    for _ in range(layers):
        place = body.index(b"\r\n", place) + 2
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


def without(delete: bytes, errors: Sequence[tuple[str, str]]) -> tuple[bytes, list[dict[str, str]]]:
    """Remove the keys that contain a part listed in `errors` from a DeleteObjects request.

    Return the rest, empty if no key is left, and S3's error for each removed key.
    """
    root = ET.fromstring(delete)  # noqa: S314 - our own client wrote it
    refused = []
    for entry in root.findall("{*}Object"):
        key, version = entry.findtext("{*}Key") or "", entry.findtext("{*}VersionId") or ""
        code = next((code for part, code in errors if part in key), None)
        if code:
            root.remove(entry)
            refused.append(
                {"Key": key, "VersionId": version, "Code": code, "Message": "a test wants it so"}
            )
    return b"" if root.find("{*}Object") is None else ET.tostring(root), refused


def with_errors(result: bytes, refused: Sequence[dict[str, str]]) -> bytes:
    """Return the DeleteResult with the refused keys added as errors."""
    root = ET.fromstring(result)  # noqa: S314 - the emulator wrote it
    inside = "".join(ET.tostring(child, encoding="unicode") for child in root)
    lines = (
        "".join(f"<{name}>{escape(value)}</{name}>" for name, value in error.items() if value)
        for error in refused
    )
    errors = "".join(f"<Error>{line}</Error>" for line in lines)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult'
        f' xmlns="{S3_XML}">{inside}{errors}</DeleteResult>'.encode()
    )
