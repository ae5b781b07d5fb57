"""Folds text into the words that are compared: without case and accents, in any writing system."""

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD = 64  # characters of a word that are compared
_ASCII_WORD = re.compile("[a-z0-9]+")
# These are not seen, and they separate no words: soft hyphen, joiners, direction marks.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
# Letters whose accent is part of their shape, so that Unicode does not separate it.
_SHAPED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)
# Combining classes of signs that make another letter or vowel: in Indian scripts, Japanese, Thai,
# Lao and Tibetan. Accents, and the vowel points of Hebrew and Arabic, have other classes.
_PART_OF_LETTER = frozenset((0, 6, 7, 8, 9, 84, 91, 103, 107, 118, 122, 129, 130, 132))
# Chinese, Japanese, Thai, Lao, Tibetan, Burmese and Khmer write no blanks between words.
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def index_words(text: str) -> Iterator[str]:
    """Yield the words of a text in an image's document, with repetitions.

    Text without blanks is indexed by its pairs of characters, each of which a query may begin at.
    """
    for word, is_spaced in _split(text):
        if is_spaced:
            yield word
        else:
            letters = _letters(word)
            for n in range(len(letters)):
                yield "".join(letters[n : n + 2])


def query_words(text: str) -> list[str]:
    """Return the distinct words that a document must have, each as the beginning of a word."""
    found: dict[str, None] = {}
    for word, is_spaced in _split(text):
        letters = [word] if is_spaced else _letters(word)
        pairs = ["".join(letters[n : n + 2]) for n in range(max(1, len(letters) - 1))]
        found |= dict.fromkeys(pairs)
    return list(found)


def fold(text: str) -> str:
    """Return the text without case and accents."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text.translate(_INVISIBLE)).casefold().translate(_SHAPED)
    kept = (
        c
        for c in unicodedata.normalize("NFKD", text)
        if unicodedata.combining(c) in _PART_OF_LETTER
    )
    return unicodedata.normalize("NFC", "".join(kept))


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each folded word, and whether its writing system separates words by blanks."""
    folded = fold(text)
    if folded.isascii():
        for word in _ASCII_WORD.findall(folded):
            yield word[:MAX_WORD], True
        return
    for run in "".join(c if _is_part_of_word(c) else " " for c in folded).split():
        end = 0
        for match in _UNSPACED.finditer(run):
            if match.start() > end:
                yield run[end : match.start()][:MAX_WORD], True
            yield match[0], False
            end = match.end()
        if end < len(run):
            yield run[end:][:MAX_WORD], True


def _is_part_of_word(c: str) -> bool:
    # The signs of vowels in Indian scripts are marks, and parts of their word.
    return unicodedata.category(c)[0] in "LMN"


def _letters(word: str) -> list[str]:
    """Return the letters of a word, each with its signs."""
    letters: list[str] = []
    for c in word:
        if letters and unicodedata.category(c)[0] == "M":
            letters[-1] += c
        else:
            letters.append(c)
    return letters
