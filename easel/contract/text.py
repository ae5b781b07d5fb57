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
# Vowels and final consonants of Korean in decomposed form, as macOS writes file names.
_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))
# These are part of the letter before them, although Unicode calls them letters: Thai and Lao AM,
# and the voice marks of narrow katakana.
_ATTACHED_LETTERS = "\u0e33\u0eb3\uff9e\uff9f"
_VIRAMA = 9  # the combining class of the sign that ties a letter to the next one, as in Hindi
_WORD_MARKS = "_\u05f3\u05f4"  # Hebrew writes acronyms and foreign sounds with the latter two
# These are not seen, so they separate no words: soft hyphen, direction marks, word joiner.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u200e\u200f\u2060\ufeff"))


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


def is_joiner(c: str) -> bool:
    """Return whether a character has no shape, but is part of words or of emoji."""
    return c in (JOINER, NON_JOINER) or ord(c) in _TAGS


def printable(text: str) -> str:
    """Escape the characters that a terminal obeys or cannot show, such as control characters."""
    return "".join(
        c if c.isprintable() or is_joiner(c) else c.encode("unicode_escape").decode() for c in text
    )


def slug(text: str, limit: int) -> str:
    """Return the words of a text, joined by hyphens, for a file name. It may be empty."""
    seen = unicodedata.normalize("NFC", text).translate(_INVISIBLE)
    words = ""
    for c in seen:
        # A sign whose letter is left out, such as the square of #️⃣, would sit on the hyphen.
        is_loose = words[-1:] in ("", "-") and (is_joiner(c) or unicodedata.category(c)[0] == "M")
        words += c if _is_part_of_word(c) and not is_loose else "-"
    words = re.sub("-+", "-", words).strip("-")
    return words[: boundary(words, limit)].strip("-" + JOINER + NON_JOINER)


def _is_allowed(c: str) -> bool:
    return c in "\n\t" or not (unicodedata.category(c) in ("Cc", "Cs") or c in TURNING)


def _is_part_of_word(c: str) -> bool:
    """Return whether a character is part of a letter, a number or an emoji."""
    kind = unicodedata.category(c)
    is_symbol = kind == "So" or ord(c) in _SKIN_TONES or is_joiner(c)
    return kind[0] in "LMN" or c in _WORD_MARKS or is_symbol


def _belongs_together(text: str, position: int) -> bool:
    """Return whether the characters before and at a position are one character for a reader."""
    before, at = text[position - 1], text[position]
    if is_joiner(at) or before == JOINER or unicodedata.category(at)[0] == "M":
        return True
    if at in _ATTACHED_LETTERS or ord(at) in _SKIN_TONES or any(ord(at) in jamo for jamo in _JAMO):
        return True
    if unicodedata.combining(before) == _VIRAMA and unicodedata.category(at) == "Lo":
        return True
    if ord(at) not in _FLAG_LETTERS:
        return False
    # A flag is a pair of letters, so the letters of a row of flags are counted from its start.
    flags = position
    while flags and ord(text[flags - 1]) in _FLAG_LETTERS:
        flags -= 1
    return (position - flags) % 2 == 1
