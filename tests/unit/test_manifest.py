"""A manifest is read line by line.

What is wrong with a line is told of that line, and never stops the others.
"""

import io
import json
from typing import Any

import pytest

from easel.contract.errors import InputError
from functions.batch.manifest import MAX_LINE, Line, read_lines


def read(body: bytes, key: str = "batches/a.jsonl") -> list[Line]:
    return list(read_lines(io.BytesIO(body), key=key))


def said(body: bytes, key: str = "batches/a.jsonl") -> list[tuple[int, Any]]:
    return [(line.number, line.given) for line in read(body, key)]


def test_reads_json_lines_with_a_byte_order_mark_windows_line_ends_and_blank_lines() -> None:
    body = b'\xef\xbb\xbf{"topic": "Sport"}\r\n\r\n{"topic": "\xc3\x84pfel\xe2\x80\xa8"}'
    assert said(body) == [(1, {"topic": "Sport"}), (3, {"topic": "Äpfel\u2028"})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"topic": "Sport"', "not JSON"),
        (b'["Sport"]', "a JSON list"),
        (b'{"topic": "\xff"}', "no UTF-8"),
        (b'{"count": NaN}', "not JSON"),
        (b"[" * 150_000, "nested too deep"),
        (b'{"prompt": "' + b"x" * 1_000_000 + b'"}', "of more bytes"),
    ],
)
def test_a_line_that_is_no_request_is_told_with_its_number_and_the_others_are_read(
    line: bytes, why: str
) -> None:
    first, wrong, last = read(b'{"topic": "A"}\n' + line + b'\n{"topic": "B"}')
    assert (first.given, last.given, last.number) == ({"topic": "A"}, {"topic": "B"}, 3)
    assert wrong.given is None
    assert wrong.number == 2
    assert why in str(wrong.error)


def test_the_longest_line_that_is_taken_fits_into_the_state_of_an_execution() -> None:
    longest = json.dumps({"prompt": "x" * (MAX_LINE - 20)}).encode()
    (line,) = read(longest)
    assert line.given
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
def test_a_file_of_another_kind_is_refused_by_its_name(start: bytes, kind: str) -> None:
    with pytest.raises(InputError, match=kind):
        read(start + b"rest")


def test_an_empty_file_has_no_lines() -> None:
    assert read(b"") == read(b"\n\n  \n") == []


CSV = "batches/a.csv"


def test_reads_csv_by_its_header_with_each_cell_as_its_field_takes_it() -> None:
    body = (
        'description,count,topics,style\r\n"A kite, red",3,"Sport,'
        ' Science",\r\n\r\n"two\nlines",,,watercolour\r\n'
    )
    assert said(b"\xef\xbb\xbf" + body.encode(), CSV) == [
        (2, {"description": "A kite, red", "count": 3, "topics": ["Sport", "Science"]}),
        (4, {"description": "two\nlines", "style": "watercolour"}),
    ]


def test_a_row_is_kept_as_json_lines_have_it_to_be_mended_there() -> None:
    (line,) = read(b"topic,count,style\nSport,11,\n", CSV)
    assert json.loads(line.raw) == {"topic": "Sport", "count": 11}


def test_a_cell_that_does_not_fit_stays_a_text_for_its_field_to_refuse() -> None:
    assert said(b"Count, topic\nthree,Sport\n", CSV) == [(2, {"count": "three", "topic": "Sport"})]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("topic,colour", "'colour' in line 1 .* only known fields"),
        ("topic,topic", "each column once"),
        ("", "without a header"),
        ("topic;style", "save the file as CSV with commas"),
        ("action", "'action' in line 1"),
        ("discription", "did you mean description"),
    ],
)
def test_a_header_that_can_not_be_is_named(header: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(f"{header}\nSport,x\n".encode(), CSV)


@pytest.mark.parametrize(("row", "why"), [("a,b,c", "of 3 cells"), ('"a"b,c', "not CSV")])
def test_a_row_that_is_none_is_told_and_the_next_is_read(row: str, why: str) -> None:
    wrong, last = read(f"topic,style\n{row}\nSport,ink\n".encode(), CSV)
    assert why in str(wrong.error)
    assert (wrong.number, last.number, last.given) == (2, 3, {"topic": "Sport", "style": "ink"})


def test_a_quote_that_never_ends_is_an_error_and_no_endless_row() -> None:
    (wrong,) = read(b'topic\n"Sport\n' + b"x\n" * 10, CSV)
    assert "not CSV" in str(wrong.error)


def test_bytes_that_are_no_utf8_reach_no_field_unseen() -> None:
    (line,) = read(b"topic\nSp\xffrt\n", CSV)
    assert line.given == {"topic": "Sp\udcffrt"}  # a lone surrogate, which request.parse refuses
