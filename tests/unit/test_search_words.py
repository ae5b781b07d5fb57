"""The words of documents and queries, in several writing systems."""

import unicodedata

import pytest

from easel.search.query import Query
from easel.search.words import MAX_WORD, index_words, query_words


def matches(query: str, text: str) -> bool:
    return Query(words=tuple(query_words(query))).matches(frozenset(index_words(text)))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("KITE", "A red kite."),
        ("kit", "kites"),
        ("cafe", "Das Café am Meer"),
        ("CAFÉ", "cafe"),
        ("cafe", unicodedata.normalize("NFD", "café")),
        ("strasse", "Große Straße"),
        ("sorensen", "Sørensen"),
        ("lodz", "Łódź"),
        ("istanbul", "İSTANBUL"),
        ("athina", "athína"),
        ("αθηνα", "Αθήνα"),
        ("елка", "Ёлка"),
        ("kite red", "red, kite"),
        ("hund", "my_dog-hund.png"),
        ("42", "Route 42"),
        ("हिन्दी", "हिन्दी में"),
        ("हिन्", "हिन्दी"),
        ("தமிழ்", "தமிழ் மொழி"),
        ("محمد", "مُحَمَّد"),
        ("שלום", "שָׁלוֹם"),
        ("凧", "赤い凧が空に"),
        ("赤い凧", "大きな赤い凧"),
        ("ガラス", "ｶﾞﾗｽのコップ"),
        ("น้ำ", "แก้วน้ำ"),
        ("한국", unicodedata.normalize("NFD", "한국어")),
        ("soft", "so\u00adft"),
    ],
)
def test_query_matches_folded_text(query: str, text: str) -> None:
    assert matches(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("ite", "kite"),
        ("kites", "kite"),
        ("red kite", "red balloon"),
        ("हिन्दू", "हिन्दी"),
        ("か", "が"),
        ("凧赤", "赤い凧"),
        ("is", "kite"),
    ],
)
def test_query_refuses_other_text(query: str, text: str) -> None:
    assert not matches(query, text)


def test_vowel_signs_stay_part_of_word() -> None:
    assert list(index_words("हिन्दी में")) == ["हिन्दी", "में"]


def test_text_without_words_has_none() -> None:
    assert query_words(" —!? 🦊 ") == []


def test_long_word_is_compared_up_to_limit() -> None:
    long = "x" * (MAX_WORD + 10)
    assert list(index_words(long)) == ["x" * MAX_WORD]
    assert matches(long, long + "y")


def test_repeated_words_of_query_count_once() -> None:
    assert query_words("Kite kite KITE") == ["kite"]
