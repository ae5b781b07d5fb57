"""Text in any writing system: which characters are allowed, and where a text may be cut.

Joiners are part of words in Persian, in Indian scripts and in emoji, so they are kept everywhere.
"""

import re
import unicodedata

# These are bidi embeddings, overrides and isolates, which change the direction of the text after
# them.
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NON_JOINER, JOINER = "\u200c", "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)  # the flag of Scotland is a black flag and the letters gbsct


def is_clean(text: str) -> bool:
    """Return whether a text has no control characters and none that change its direction.

    Line breaks, tabs, joiners and direction marks are allowed.
    """
    return all(_is_allowed(c) or c == "\r" for c in text)


def clean(text: str) -> str:
    """Return the text without characters that `is_clean` refuses, byte order marks and returns."""
    return "".join(c for c in text if _is_allowed(c) and c != "\ufeff")


def shorten(text: str, limit: int) -> str:
    """Return the text on one line, with at most `limit` characters. A cut is shown by an ellipsis.

    Letters with their vowel signs and emoji with their joiners stay whole.
    """
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: boundary(line, limit - 1)].rstrip() + "…"


def boundary(text: str, position: int) -> int:
    """Return the last place at or before a position where a text may be cut.

    It covers the common cases of https://www.unicode.org/reports/tr29/ (grapheme clusters).
    """
    position = min(position, len(text))
    while 0 < position < len(text) and _belongs_together(text, position):
        position -= 1
    return position


def printable(text: str) -> str:
    """Escape the characters that a terminal obeys or cannot show, such as control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def slug(text: str, limit: int) -> str:
    """Return the words of a text, joined by hyphens, for a file name. It may be empty."""
    words = "".join(c if _is_part_of_word(c) else "-" for c in unicodedata.normalize("NFC", text))
    words = re.sub("-+", "-", words).strip("-" + JOINER + NON_JOINER)
    return words[: boundary(words, limit)].strip("-")


def _is_allowed(c: str) -> bool:
    return c in "\n\t" or not (unicodedata.category(c) in ("Cc", "Cs") or c in TURNING)


def _is_part_of_word(c: str) -> bool:
    """Return whether a character is part of a letter, a number or an emoji."""
    kind = unicodedata.category(c)
    is_symbol = kind == "So" or ord(c) in _SKIN_TONES or ord(c) in _TAGS
    return kind[0] in "LMN" or c in ("_", JOINER, NON_JOINER) or is_symbol


def _belongs_together(text: str, position: int) -> bool:
    """Return whether the characters before and at a position are one character for a reader."""
    before, at = text[position - 1], text[position]
    if at in (JOINER, NON_JOINER) or before == JOINER or unicodedata.category(at)[0] == "M":
        return True
    if ord(at) in _SKIN_TONES or ord(at) in _TAGS:
        return True
    if ord(at) not in _FLAG_LETTERS:
        return False
    # A flag is a pair of letters, so the letters of a row of flags are counted from its start.
    flags = position
    while flags and ord(text[flags - 1]) in _FLAG_LETTERS:
        flags -= 1
    return (position - flags) % 2 == 1
