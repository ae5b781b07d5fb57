"""Text of every writing system is cut between characters, and is readable in file names."""

import unicodedata
from itertools import pairwise

import pytest

from easel.contract import naming
from easel.contract.errors import InputError
from easel.contract.text import boundary, clean, printable, shorten, slug
from easel.request import names


def pieces(text: str) -> list[str]:
    """Return the parts of a text that a cut keeps whole."""
    ends = sorted({boundary(text, position) for position in range(len(text) + 1)})
    return [text[start:end] for start, end in pairwise(ends)]


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    "parts",
    [
        ["น้ำ", "ดื่", "ม"],
        ["த", "மி", "ழ்மொ", "ழி"],
        [decomposed("한"), decomposed("국"), decomposed("어")],
        ["مُ", "حَ", "مَّ", "د"],
        ["שָׁ", "ל", "וֹ", "ם"],
        ["क्ष", "त्रि", "य"],
        ["ශ්\u200dරී"],
        ["ភា", "សា", "ខ្មែ", "រ"],
        ["ｶﾞ", "ｽ"],
        ["🇩🇪", "🇫🇷", "🇯🇵"],
        ["1️⃣", "#️⃣", "a"],
        ["👍🏽", "👩🏿‍🚀", "❤️‍🔥"],
        ["🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "x"],
        ["葛\U000e0100", "城"],
        ["e\u0301", "a"],
    ],
)
def test_cut_keeps_each_character_whole(parts: list[str]) -> None:
    assert pieces("".join(parts)) == parts


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("น้ำตก", "น้ำตก"),
        ("தமிழ்மொழி", "தமிழ்மொழி"),
        (decomposed("한국어 책"), "한국어-책"),
        ("می‌خواهم", "می‌خواهم"),
        ("שָׁלוֹם עוֹלָם", "שָׁלוֹם-עוֹלָם"),
        ("צה״ל, צ׳כיה", "צה״ל-צ׳כיה"),
        ("विज्ञान", "विज्ञान"),
        ("👩🏿‍🚀 on Mars", "👩🏿‍🚀-on-Mars"),
        ("1️⃣ and #️⃣", "1️⃣-and"),
        ("a\u200fb\u00adc\u2060d", "abcd"),
        ("\u200d\u0301", ""),
        ("…", ""),
    ],
)
def test_file_name_has_the_words_of_a_topic(text: str, name: str) -> None:
    assert slug(text, 40) == name


@pytest.mark.parametrize("topic", ["می‌خواهم", "👨‍👩‍👧", "ශ්‍රී ලංකාව", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "นํ้า", "שָׁלוֹם"])
def test_image_can_be_named_by_its_key(topic: str) -> None:
    base = naming.image_base(
        names.check_folder(topic),
        names.check_file_name(topic + "{topic}_{n}"),
        started="2026-11-24T03:15:02Z",
        run_id="abc",
        n=1,
        topic=topic,
    )
    key = naming.image_key(base, "png", attempt=1)

    assert names.check_image_key(key) == key


@pytest.mark.parametrize(
    "folder", ["cats\u200d", "\u200ccats", "a/\u200d", "cats\u200f", "a\u00adb"]
)
def test_folder_that_looks_like_another_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="folder_name"):
        names.check_folder(folder)


def test_short_title_ends_with_a_whole_character() -> None:
    assert shorten("👩🏿‍🚀" * 3, 6) == "👩🏿‍🚀…"
    assert shorten(decomposed("한국"), 5) == decomposed("한") + "…"


def test_terminal_shows_joiners_and_no_commands() -> None:
    assert printable("می‌خواهم 👩‍🚀") == "می‌خواهم 👩‍🚀"
    assert printable("a\x1b[2J\u202e\u200b") == "a\\x1b[2J\\u202e\\u200b"


def test_clean_keeps_words_and_drops_commands() -> None:
    assert clean("می‌خواهم\x1b[2J\u202e\ufeff\r\n\t") == "می‌خواهم[2J\n\t"
