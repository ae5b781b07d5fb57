"""Tags: short labels by which people collect images and account for spending."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from easel.contract.errors import InputError, summarize
from easel.contract.text import is_clean
from easel.request.fields import Kind, Schema

MAX_TAGS = 20
MAX_LENGTH = 50
REFUSED = '<>"\\,'
ALLOWED = f"1 to {MAX_LENGTH} characters without control characters or any of {' '.join(REFUSED)}"


def check_tag(name: str, value: object) -> str:
    """Return a tag in its normal form, with single spaces. Raises InputError."""
    if not isinstance(value, str) or not is_clean(value) or set(value) & set(REFUSED):
        raise InputError(name, summarize(value), ALLOWED)
    tag = " ".join(unicodedata.normalize("NFC", value).split())
    if not 1 <= len(tag) <= MAX_LENGTH:
        raise InputError(name, summarize(value), ALLOWED)
    return tag


def distinct(tags: Iterable[str]) -> tuple[str, ...]:
    """Return each tag once. Two that differ only in case are the same tag."""
    by_word: dict[str, str] = {}
    for tag in tags:
        by_word.setdefault(tag.casefold(), tag)
    return tuple(by_word.values())


@dataclass(frozen=True)
class Tags(Kind):
    """A list of tags."""

    @property
    def is_private(self) -> bool:
        """Return true, because a column of a CSV file may be shifted: tags may be a prompt."""
        return True

    def check(self, name: str, value: Any) -> tuple[str, ...]:
        """Return the tags, each of them once."""
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_TAGS:
            raise InputError(name, self.shown(value), f"a list of 1 to {MAX_TAGS} tags")
        return distinct(check_tag(name, tag) for tag in value)

    def schema(self) -> Schema:
        """Return the schema of a list of tags."""
        pattern = '^[^<>"\\\\,]+$'
        tag = {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": pattern}
        return {"type": "array", "items": tag, "minItems": 1, "maxItems": MAX_TAGS}

    def from_text(self, text: str) -> list[str]:
        """Split a cell at its commas."""
        return [item.strip() for item in text.split(",")]
