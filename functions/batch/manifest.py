"""Reads a manifest line by line, in bounded memory: JSON Lines or CSV, in UTF-8. What is wrong with a line is told of that line alone."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from functions.errors import EaselError, InputError
from functions.request import FIELDS, check_fields

MAX_BYTES = 100_000_000
SHOWN = 200  # bytes of a line that is too long
MAX_LINE = 200_000  # bytes in JSON Lines, characters in CSV: with it, an item stays below the 256 KiB that Step Functions takes
NUMBERS, FLAGS = ("count", "output_compression"), ("dry_run", "confirm", "purge")
# A batch makes pictures, and is tried without buying as a whole.
COLUMNS = tuple(name for name in FIELDS if name not in ("action", "dry_run", "confirm", "purge", "image_key"))
FOREIGN = {
    b"\x1f\x8b": "gzip",
    b"PK": "zip (a spreadsheet?)",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
}
BOM = b"\xef\xbb\xbf"
ALLOWED = "JSON Lines (one JSON object a line) or CSV with a header, in UTF-8"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line that is not blank: what it says, or the error that it is. `number` counts from 1.

    `raw` is the line as it came, of CSV as JSON Lines would have it.
    """

    number: int
    raw: str
    said: dict[str, Any] | None
    error: EaselError | None = None


def lines(file: IO[bytes], *, key: str) -> Iterator[Line]:
    """The lines of a manifest; its key tells which kind it is. Raises InputError where it is none at all."""
    file.seek(0)
    start = file.read(4)
    for magic, kind in FOREIGN.items():
        if start.startswith(magic):
            raise InputError(key, f"a file in {kind}", ALLOWED)
    file.seek(len(BOM) if start.startswith(BOM) else 0)
    return _csv(file, key=key) if key.endswith(".csv") else _json_lines(file)


def _json_lines(file: IO[bytes]) -> Iterator[Line]:
    number = 0
    while piece := file.readline(MAX_LINE + 1):
        number += 1
        if len(piece) > MAX_LINE and not piece.endswith(b"\n"):
            while rest := file.readline(MAX_LINE):
                if rest.endswith(b"\n"):
                    break
            start = piece[:SHOWN].decode(errors="replace") + "…"
            yield Line(number=number, raw=start, said=None, error=_wrong("of more bytes", f"at most {MAX_LINE:,} bytes"))
        elif piece.strip():
            yield _json_line(number, piece)


def _json_line(number: int, piece: bytes) -> Line:
    example = 'a JSON object, for example {"topic": "Sport"}'
    try:
        raw = piece.decode().strip()
    except UnicodeDecodeError:
        return Line(number=number, raw=piece.decode(errors="replace").strip(), said=None, error=_wrong("no UTF-8", ALLOWED))
    try:
        said = json.loads(raw, parse_constant=_no_number)
    except RecursionError:
        return Line(number=number, raw=raw, said=None, error=_wrong("nested too deep", example))
    except ValueError as error:
        return Line(number=number, raw=raw, said=None, error=_wrong(f"no JSON ({error})", example))
    if not isinstance(said, dict):
        return Line(number=number, raw=raw, said=None, error=_wrong(f"a JSON {type(said).__name__}", example))
    return Line(number=number, raw=raw, said=said)


def _csv(file: IO[bytes], *, key: str) -> Iterator[Line]:
    # Bytes that are no UTF-8 become lone surrogates, which every field refuses.
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    csv.field_size_limit(MAX_LINE)
    try:
        header = _header(reader, key=key)
        _check_header(header, key=key)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                wrong = _wrong(f"no CSV ({error})", "cells with commas between, quotes doubled")
                yield Line(number=number, raw=f"line {number} of {key}: no CSV", said=None, error=wrong)
                continue
            if cells is None:
                return
            if any(cells):
                yield _csv_line(number, header, cells)
    finally:
        text.detach()  # the file is the caller's to close


def _header(reader: Iterator[list[str]], *, key: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        raise InputError(f"line 1 of {key}", f"no CSV ({error})", "the names of the columns, with commas between") from error


def _check_header(header: list[str], *, key: str) -> None:
    if not any(header):
        raise InputError(key, "a file with no header", ALLOWED)
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise InputError(f"line 1 of {key}", header[0][:100], "columns with commas between; save it as CSV with commas")
    try:
        check_fields(dict.fromkeys(header, ""), COLUMNS)
    except InputError as error:
        raise InputError(f"column {error.field!a} in line 1 of {key}", ",".join(header)[:100], error.allowed) from error
    if len(set(header)) < len(header):
        raise InputError(f"line 1 of {key}", ",".join(header)[:100], "each column once")


def _csv_line(number: int, header: list[str], cells: list[str]) -> Line:
    said = {name: _typed(name, cell.strip()) for name, cell in zip(header, cells, strict=False) if cell.strip()}
    raw = json.dumps(said)
    if len(cells) > len(header):
        return Line(number=number, raw=raw, said=None, error=_wrong(f"of {len(cells)} cells", f"the {len(header)} columns of the header"))
    if sum(len(cell) for cell in cells) > MAX_LINE:
        return Line(number=number, raw=raw, said=None, error=_wrong("longer", f"at most {MAX_LINE:,} characters"))
    return Line(number=number, raw=raw, said=said)


def _typed(name: str, cell: str) -> Any:
    """A cell as the field takes it; what does not fit stays a text, which the field refuses by name."""
    if name in NUMBERS and cell.isascii() and cell.isdecimal() and len(cell) < 10:
        return int(cell)
    if name in FLAGS:
        return {"true": True, "false": False}.get(cell.lower(), cell)
    return [topic.strip() for topic in cell.split(",")] if name == "topics" else cell


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _wrong(value: str, allowed: str) -> InputError:
    return InputError("the line", value, allowed)
