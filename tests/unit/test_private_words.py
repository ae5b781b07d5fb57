"""The caller's own words are in no error, because errors are logged and listed."""

import io
import json
from typing import Any

import pytest

from easel.contract.errors import InputError
from easel.request import batch_request
from easel.request.request import TABLE, parse
from functions.batch.manifest import read_lines
from tests.support.services import NOW, batch_settings, request_settings

SECRET = "Erna"
WORDS = f"A surprise party for {SECRET}"
PRIVATE = (
    *("prompt", "description", "style", "topic", "topics", "safety_identifier"),
    *("tags", "avoid", "edited_prompt"),
)
TEXTS = [field for field in PRIVATE if field not in ("topics", "tags", "avoid")]
WRONG_TYPES: list[Any] = [
    [SECRET],
    [[SECRET]],
    {"text": SECRET},
    {SECRET: 1},
    f"{SECRET}\x1b[31m",
    f"{SECRET}\u202e",
    SECRET * 10_000,
]
REQUEST_TAGS: list[Any] = [
    {"tags": [f"<b>{SECRET}</b>"]},
    {"tags": [SECRET * 20]},
    {"tags": SECRET},
]
OTHER_FIELDS = sorted(set(TABLE) - set(PRIVATE))
REQUESTS: list[Any] = [
    *({field: wrong} for field in TEXTS for wrong in WRONG_TYPES),
    *REQUEST_TAGS,
    *({"topics": wrong} for wrong in (*WRONG_TYPES[1:], SECRET, ["Sport", 7], [SECRET, ""])),
    # Words in the wrong column, as after a missing quote in a CSV file.
    *({field: wrong} for field in OTHER_FIELDS for wrong in (WORDS, [SECRET], {SECRET: WORDS})),
    # Words in a field that does not exist, as a value and as a name.
    {"promt": SECRET},
    {"Prompt": [SECRET]},
    {WORDS: ""},
    {f"{SECRET}!": 1},
    {f"{SECRET}\x1b[31m": 1},
    {f"{SECRET} ": 1},
    # Fields that do not fit together.
    {"prompt": SECRET, "description": SECRET},
    {"prompt": SECRET, "style": SECRET},
    *({"action": "delete_image", "image_key": "f/a.png", field: SECRET} for field in TEXTS),
    # Not a request at all.
    SECRET,
    [SECRET],
    [{"prompt": WORDS}],
]


def refusal(raw: Any) -> str:
    if isinstance(raw, dict) and set(raw) & {"folder_name", "file_name", "model", "tags", "avoid"}:
        raw = raw | {"count": 0}  # these words can be a folder, a file name, a model or a tag
    with pytest.raises(InputError) as exc_info:
        parse(raw, request_settings(), today=NOW.date())
    return f"{exc_info.value} {exc_info.value.field}"


def test_private_fields_are_marked_in_the_table() -> None:
    marked = {name for name, field in TABLE.items() if field.kind.is_private}
    assert marked == set(PRIVATE)


@pytest.mark.parametrize("raw", REQUESTS, ids=lambda raw: ascii(raw)[:60])
def test_error_names_field_without_words(raw: Any) -> None:
    message = refusal(raw)

    assert SECRET not in message
    assert "; allowed: " in message
    assert message.isprintable()


def test_length_and_type_are_still_shown() -> None:
    assert "prompt is a list of 1 value; allowed: text of 1 to 32,000" in refusal({"prompt": ["x"]})
    assert "style is a text of 201 characters; allowed" in refusal({"style": "x" * 201})
    assert "topic is a text of 2 characters with U+0007; allowed" in refusal({"topic": "a\x07"})
    assert 'quality is "ultra"; allowed: auto | low' in refusal({"quality": "ultra"})
    assert "count is 11; allowed: a whole number from 1 to 10" in refusal({"count": 11})
    assert "promt is a text of 4 characters, but there is no such field (did you mean " in refusal(
        {"promt": SECRET}
    )


@pytest.mark.parametrize("raw", [SECRET, [SECRET], {"manifest": WORDS}, {"dry_run": WORDS}])
def test_batch_start_repeats_no_words(raw: Any) -> None:
    raw = {"manifest": "batches/a.csv"} | raw if isinstance(raw, dict) else raw
    with pytest.raises(InputError) as exc_info:
        batch_request.parse(raw, batch_settings())

    assert SECRET not in str(exc_info.value)


@pytest.mark.parametrize(
    "line",
    [
        f'{{"prompt": "{WORDS}"',
        f'"{WORDS}"',
        f'["{WORDS}"]',
        f"{{{WORDS}}}",
        f'{{"prompt": "{WORDS}", "count": NaN}}',
        f'{{"prompt": "{WORDS}\x00"}}',
        WORDS * 20_000,
    ],
    ids=lambda line: ascii(line)[:40],
)
def test_unreadable_line_repeats_no_words(line: str) -> None:
    (wrong,) = read_lines(io.BytesIO(line.encode()), key="batches/a.jsonl")

    assert wrong.error
    assert SECRET not in str(wrong.error)


@pytest.mark.parametrize("row", [f'"{WORDS}"x,', f"{WORDS},a,b", f'"{WORDS}'])
def test_unreadable_row_repeats_no_words(row: str) -> None:
    (wrong,) = read_lines(io.BytesIO(f"topic,style\n{row}".encode()), key="batches/a.csv")

    assert wrong.error
    assert SECRET not in str(wrong.error)


def test_request_in_a_list_is_summarized() -> None:
    assert refusal([{"prompt": WORDS}] * 3).startswith("the request is a list of 3 values; allowed")
    assert refusal(json.dumps({"prompt": WORDS})).startswith("the request is a text of 39 char")
