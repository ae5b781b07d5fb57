"""A manifest is read line by line.

An error in a line is reported for that line, and never stops the others.
"""

import io
import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from easel.contract.errors import InputError
from functions.batch.manifest import MAX_LINE, Line, read_lines


def read(body: bytes, key: str = "batches/a.jsonl") -> list[Line]:
    return list(read_lines(io.BytesIO(body), key=key))


def numbered_lines(body: bytes, key: str = "batches/a.jsonl") -> list[tuple[int, Any]]:
    return [(line.number, line.fields) for line in read(body, key)]


def test_json_lines_are_read_despite_bom_and_crlf() -> None:
    body = b'\xef\xbb\xbf{"topic": "Sport"}\r\n\r\n{"topic": "\xc3\x84pfel\xe2\x80\xa8"}'
    assert numbered_lines(body) == [(1, {"topic": "Sport"}), (3, {"topic": "Äpfel\u2028"})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"topic": "Sport"', "not JSON"),
        (b'["Sport"]', "a JSON list"),
        (b'{"topic": "\xff"}', "not UTF-8"),
        (b'{"count": NaN}', "not JSON"),
        (b"[" * 150_000, "nested too deep"),
        (b'{"prompt": "' + b"x" * 1_000_000 + b'"}', "too long"),
    ],
)
def test_invalid_line_is_reported_and_others_read(line: bytes, why: str) -> None:
    first, wrong, last = read(b'{"topic": "A"}\n' + line + b'\n{"topic": "B"}')

    assert (first.fields, last.fields, last.number) == ({"topic": "A"}, {"topic": "B"}, 3)
    assert wrong.fields is None
    assert wrong.number == 2
    assert why in str(wrong.error)


def test_longest_line_fits_into_a_state() -> None:
    longest = json.dumps({"prompt": "x" * (MAX_LINE - 20)}).encode()
    (line,) = read(longest)
    assert line.fields
    assert MAX_LINE < 256 * 1024 - 2_000


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"\xff\xfe{\x00", "UTF-16"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_unknown_file_kind_is_refused(start: bytes, kind: str) -> None:
    with pytest.raises(InputError, match=kind):
        read(start + b"rest")


def test_empty_file_has_no_lines() -> None:
    assert read(b"") == read(b"\n\n  \n") == []


CSV = "batches/a.csv"


def test_csv_cells_are_read_by_header() -> None:
    body = (
        'description,count,topics,style\r\n"A kite, red",3,"Sport,'
        ' Science",\r\n\r\n"two\nlines",,,watercolour\r\n'
    )
    assert numbered_lines(b"\xef\xbb\xbf" + body.encode(), CSV) == [
        (2, {"description": "A kite, red", "count": 3, "topics": ["Sport", "Science"]}),
        (4, {"description": "two\nlines", "style": "watercolour"}),
    ]


def test_csv_row_is_kept_as_json_line() -> None:
    (line,) = read(b"topic,count,style\nSport,11,\n", CSV)
    assert json.loads(line.raw) == {"topic": "Sport", "count": 11}


def test_invalid_cell_stays_text_for_its_field() -> None:
    assert numbered_lines(b"Count, topic\nthree,Sport\n", CSV) == [
        (2, {"count": "three", "topic": "Sport"})
    ]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("topic,colour", "'colour' in line 1 .* there is no such field"),
        ("topic,topic", "each column once"),
        ("", "without a header"),
        ("topic;style", "save the file as CSV with commas"),
        ("action", "'action' in line 1"),
        ("discription", "did you mean description"),
    ],
)
def test_invalid_header_is_named(header: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(f"{header}\nSport,x\n".encode(), CSV)


@pytest.mark.parametrize(("row", "why"), [("a,b,c", "3 cells long"), ('"a"b,c', "not CSV")])
def test_invalid_row_is_reported_and_next_read(row: str, why: str) -> None:
    wrong, last = read(f"topic,style\n{row}\nSport,ink\n".encode(), CSV)
    assert why in str(wrong.error)
    assert (wrong.number, last.number, last.fields) == (2, 3, {"topic": "Sport", "style": "ink"})


def test_endless_quote_is_an_error() -> None:
    (wrong,) = read(b'topic\n"Sport\n' + b"x\n" * 10, CSV)
    assert "not CSV" in str(wrong.error)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("row", [b"," * 300_000, b'"' + b"x" * 300_000 + b'"'])
def test_long_row_is_reported_and_next_read(row: bytes, ending: bytes) -> None:
    first, wrong, last = read(ending.join([b"topic,style", b"A,", row, b"Sport,ink", b""]), CSV)

    assert (first.number, first.fields) == (2, {"topic": "A"})
    assert (wrong.number, wrong.fields) == (3, None)
    assert "too long; allowed: at most 200,000 characters" in str(wrong.error)
    assert last.fields == {"topic": "Sport", "style": "ink"}


@pytest.mark.parametrize("start", [b"", b"topic\n", b'topic\n"'])
def test_csv_of_commas_takes_little_memory(start: bytes) -> None:
    body = io.BytesIO(start + b"," * 20_000_000)
    tracemalloc.start()

    try:
        with suppress(InputError):
            assert [line.error for line in read_lines(body, key=CSV) if line.fields] == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5_000_000  # twenty million cells would take 160 MB


def test_headerless_file_keeps_its_words() -> None:
    with pytest.raises(InputError) as exc_info:
        read(b"A kite for Tante Erna,3\n", CSV)

    assert "a header of 2 columns" in str(exc_info.value)
    assert "Erna" not in str(exc_info.value)


def test_invalid_utf8_is_never_hidden() -> None:
    (line,) = read(b"topic\nSp\xffrt\n", CSV)
    assert line.fields == {"topic": "Sp\udcffrt"}  # a lone surrogate, which request.parse refuses
