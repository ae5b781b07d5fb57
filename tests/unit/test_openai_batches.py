"""A result file is read line by line as it arrives, in pieces of any size."""

import pytest

from easel.contract.errors import TransientError
from easel.openai_client import batches
from easel.openai_client.batches import _split

TEXT = b'{"a": 1}\n\n{"b": "\xc3\xa4"}\n{"c": 3}'


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100])
def test_lines_are_whole_across_pieces(size: int) -> None:
    pieces = (TEXT[at : at + size] for at in range(0, len(TEXT), size))
    assert list(_split(pieces, doing="reading")) == TEXT.split(b"\n")


def test_line_is_yielded_before_next_piece() -> None:
    pieces_read = []

    def pieces() -> object:
        for piece in (b"first\nsec", b"ond\n"):
            pieces_read.append(piece)
            yield piece

    lines = _split(pieces(), doing="reading")  # type: ignore[arg-type]

    assert next(lines) == b"first"
    assert len(pieces_read) == 1


def test_endless_line_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BYTES", 1_000)
    with pytest.raises(TransientError, match="larger than 1,000 bytes"):
        list(_split((b"x" * 300 for _ in range(9)), doing="reading"))
