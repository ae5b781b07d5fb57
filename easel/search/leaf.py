r"""A leaf: up to 128 documents in one item of the table, as a small inverted index.

The text of a leaf, before it is compressed, is a line of positions, and then one line for each word
or fact: the word, a blank, and one byte for each document that has it. These bytes are 0x80 and
above, so that a line break is always the beginning of a word.

    2026-11-24T03:15:02.000000Z#run-1#1 2026-11-24T03:15:03.000000Z#run-2#1
    kite \x80\x81
    red \x81
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

MOST = 128
FIRST_NUMBER = 0x80
MAX_TEXT = 200_000  # bytes of words in a leaf, far below the 400 KB of an item
START, END = "0", "~"  # below and above all positions, which begin with a year

Documents = dict[str, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """The documents in a range of positions: from `start`, up to but without `until`."""

    start: str
    until: str
    version: int
    data: bytes

    def covers(self, position: str) -> bool:
        """Return whether the position is in the range of this leaf."""
        return self.start <= position < self.until

    def documents(self) -> Documents:
        """Return the tokens of each document, by position."""
        text = LeafText(self.data)
        tokens: dict[str, set[str]] = {position: set() for position in text.positions}
        for line in text.lines():
            word, _, numbers = line.partition(b" ")
            for number in numbers:
                tokens[text.positions[number - FIRST_NUMBER]].add(word.decode())
        return {position: frozenset(words) for position, words in tokens.items()}


class LeafText:
    """The text of a leaf, to search in."""

    def __init__(self, data: bytes) -> None:
        self._text = zlib.decompress(data)
        head, _, _ = self._text.partition(b"\n")
        self._begin = len(head)
        self.positions = head.decode().split()

    def lines(self) -> list[bytes]:
        """Return the line of each word."""
        return self._text[self._begin + 1 : -1].split(b"\n") if self.positions else []

    def having(self, token: bytes) -> set[int]:
        """Return the numbers of the documents that have exactly this token."""
        begin = self._text.find(b"\n" + token + b" ", self._begin)
        return set() if begin < 0 else set(self._numbers(begin))

    def having_word(self, beginning: bytes) -> set[int]:
        """Return the numbers of the documents that have a word with this beginning."""
        numbers: set[int] = set()
        needle = b"\n" + beginning
        begin = self._text.find(needle, self._begin)
        while begin >= 0:
            numbers.update(self._numbers(begin))
            begin = self._text.find(needle, begin + 1)
        return numbers

    def _numbers(self, begin: int) -> bytes:
        blank = self._text.index(b" ", begin)
        return self._text[blank + 1 : self._text.index(b"\n", blank)]


def pack(documents: Mapping[str, Iterable[str]]) -> bytes:
    """Return the data of a leaf with these documents."""
    numbers: dict[str, bytearray] = {}
    for number, (_, words) in enumerate(sorted(documents.items()), FIRST_NUMBER):
        for word in words:
            numbers.setdefault(word, bytearray()).append(number)
    lines = [f"{word} ".encode() + found for word, found in sorted(numbers.items())]
    head = " ".join(sorted(documents)).encode()
    return zlib.compress(b"\n".join([head, *lines, b""]), 9)


def divide(documents: Documents, *, before: Iterable[str], most: int = MOST) -> list[Documents]:
    """Return the documents in parts that each fit into a leaf, sorted by position.

    `before` are the positions that the leaf had. If all others are newer, as usual, the first
    leaves become full. Otherwise each part has room for more.
    """
    ordered = sorted(documents)
    if len(documents) <= most and sum(map(_size, documents.values())) <= MAX_TEXT:
        return [documents]
    last = max(before, default="")
    is_append = all(position > last for position in documents.keys() - set(before))
    each = most if is_append else most // 2
    return list(_parts(documents, ordered, each))


def _parts(documents: Documents, ordered: list[str], each: int) -> Iterator[Documents]:
    part: Documents = {}
    size = 0
    for position in ordered:
        more = _size(documents[position])
        if part and (len(part) >= each or size + more > MAX_TEXT):
            yield part
            part, size = {}, 0
        part[position] = documents[position]
        size += more
    yield part


def _size(words: Iterable[str]) -> int:
    return sum(len(word.encode()) + 2 for word in words)
