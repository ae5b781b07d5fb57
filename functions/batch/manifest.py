"""Reads a manifest line by line in bounded memory: JSON Lines or CSV, in UTF-8.

A bad line does not affect the other lines.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from easel.contract.errors import EaselError, InputError, Summary
from easel.request.fields import check_fields, from_texts
from easel.request.request import TABLE

SHOWN = 200  # bytes shown of a line that is too long
# The unit is bytes in JSON Lines and characters in CSV. The limit keeps an item below the 256 KiB
# of Step Functions.
MAX_LINE = 200_000
COLUMNS = tuple(name for name, field in TABLE.items() if field.in_batch)
FOREIGN = {
    b"\x1f\x8b": "gzip",
    b"PK": "zip or spreadsheet",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
}
LINE_ENDS = ("\n", "\r")
BOM = b"\xef\xbb\xbf"
ALLOWED = "JSON Lines (one JSON object per line) or CSV with a header, in UTF-8"
EXAMPLE = 'a JSON object, for example {"topic": "Sport"}'


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line that is not blank, with the request in it or its error.

    `number` counts from 1. `raw` is the line's text, or for CSV the same request as JSON.
    """

    number: int
    raw: str
    fields: dict[str, Any] | None
    error: EaselError | None = None


def read_lines(file: IO[bytes], *, key: str) -> Iterator[Line]:
    """Yield the lines of a manifest. The key's ending decides the format.

    Raises InputError if the file is not a manifest at all.
    """
    file.seek(0)
    start = file.read(4)
    for magic, kind in FOREIGN.items():
        if start.startswith(magic):
            raise InputError(key, Summary(f"a {kind} file"), ALLOWED)
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
            yield _bad(number, start, "too long", f"at most {MAX_LINE:,} bytes")
        elif piece.strip():
            yield _json_line(number, piece)


def _json_line(number: int, piece: bytes) -> Line:
    try:
        raw = piece.decode().strip()
    except UnicodeDecodeError:
        raw = piece.decode(errors="replace").strip()
        return _bad(number, raw, "not UTF-8", ALLOWED)
    try:
        value = json.loads(raw, parse_constant=_refuse_constant)
    except RecursionError:
        return _bad(number, raw, "nested too deep", EXAMPLE)
    except ValueError as error:
        return _bad(number, raw, f"not JSON ({error})", EXAMPLE)
    if not isinstance(value, dict):
        return _bad(number, raw, f"a JSON {type(value).__name__}", EXAMPLE)
    return Line(number=number, raw=raw, fields=value)


def _csv(file: IO[bytes], *, key: str) -> Iterator[Line]:
    # Bytes that are not UTF-8 become lone surrogates, which every field refuses.
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    rows = _Rows(text)
    try:
        header = _header(rows, key=key)
        _check_header(header, key=key)
        while True:
            number = rows.lines + 1
            try:
                cells = rows.read()
            except csv.Error as error:
                allowed = "cells separated by commas, with quotes doubled"
                raw = f"line {number} of {key}, which is not CSV"
                yield _bad(number, raw, f"not CSV ({error})", allowed)
                continue
            except _LongRowError:
                raw = f"line {number} of {key}, which is too long"
                yield _bad(number, raw, "too long", f"at most {MAX_LINE:,} characters")
                continue
            if cells is None:
                return
            if any(cells):
                yield _csv_line(number, header, cells)
    finally:
        text.detach()  # the caller closes the file


class _LongRowError(Exception):
    """A row has more than MAX_LINE characters."""


class _Rows:
    """The rows of a CSV file, in bounded memory.

    The csv module has no limit of its own: a line of 100 MB of commas would become a list of 100
    million cells.
    """

    def __init__(self, text: IO[str]) -> None:
        self._text, self.lines, self._left = text, 0, 0
        csv.field_size_limit(MAX_LINE)
        self._reader = csv.reader(iter(self._next_line, ""), strict=True)

    def read(self) -> list[str] | None:
        """Return the cells of the next row, or None at the end. Raises csv.Error, _LongRowError."""
        self._left = MAX_LINE
        return next(self._reader, None)

    def _next_line(self) -> str:
        """Return the next line, or "" at the end. A row has several lines if a quote does."""
        line = self._text.readline(self._left + 1)
        self.lines += 1
        if len(line) <= self._left:
            self._left -= len(line)
            return line
        while line and not line.endswith(LINE_ENDS):
            line = self._text.readline(MAX_LINE)
        raise _LongRowError


def _header(rows: _Rows, *, key: str) -> list[str]:
    where, allowed = f"line 1 of {key}", "the names of the columns, separated by commas"
    try:
        return [name.strip().lower() for name in rows.read() or []]
    except csv.Error as error:
        raise InputError(where, Summary(f"not CSV ({error})"), allowed) from error
    except _LongRowError:
        raise InputError(where, Summary("too long"), allowed) from None


def _check_header(header: list[str], *, key: str) -> None:
    if not any(header):
        raise InputError(key, Summary("a file without a header"), ALLOWED)
    # A file without a header has a request here.
    where = f"line 1 of {key}"
    shown = Summary(f"a header of {len(header)} column{'' if len(header) == 1 else 's'}")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise InputError(
            where, shown, "columns separated by commas; save the file as CSV with commas"
        )
    try:
        check_fields(dict.fromkeys(header, ""), COLUMNS)
    except InputError as error:
        column = f"column {error.field!a} in {where}"
        raise InputError(column, shown, error.allowed, but=error.reason) from error
    if len(set(header)) < len(header):
        raise InputError(where, shown, "each column once")


def _csv_line(number: int, header: list[str], cells: list[str]) -> Line:
    pairs = zip(header, cells, strict=False)
    fields = from_texts(TABLE, ((name, cell.strip()) for name, cell in pairs if cell.strip()))
    raw = json.dumps(fields)
    if len(cells) > len(header):
        allowed = f"the {len(header)} columns of the header"
        return _bad(number, raw, f"{len(cells)} cells long", allowed)
    return Line(number=number, raw=raw, fields=fields)


def _bad(number: int, raw: str, value: str, allowed: str) -> Line:
    error = InputError("the line", Summary(value), allowed)
    return Line(number=number, raw=raw, fields=None, error=error)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")
