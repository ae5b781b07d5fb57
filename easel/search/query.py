"""What a caller searches for, and the table of its parameters.

The API, the command line and the reference are made from the table.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from easel.contract.errors import InputError, summarize
from easel.request.fields import CheckedText, Choice, Field, Flag, Kind, Text
from easel.request.names import PERSON, check_person
from easel.request.tags import MAX_LENGTH
from easel.search.document import BATCH, FAVOURITE, HIDDEN, SHARED, fact, tag_fact
from easel.search.leaf import END, FIRST_NUMBER, START, LeafText
from easel.search.words import query_words

MAX_WORDS = 200  # characters
TIME = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")
TIMES = "a date such as 2026-11-24, or a time such as 2026-11-24T08:00:00Z"
NOT_HIDDEN, ONLY_HIDDEN, ALL = "no", "yes", "all"


class Words(Text):
    """Text with at least one word."""

    def check(self, name: str, value: Any) -> str:
        """Return the text."""
        text = super().check(name, value)
        if not query_words(text):
            raise InputError(name, summarize(value), "text with at least one letter or digit")
        return text


@dataclass(frozen=True, kw_only=True)
class Query:
    """What an image must have: beginnings of words, and facts. It must have none of `excluded`.

    Positions are from `since`, up to but without `until`.
    """

    words: tuple[str, ...] = ()
    required: Set[str] = frozenset()
    excluded: Set[str] = frozenset()
    since: str = START
    until: str = END

    def matches(self, tokens: Set[str]) -> bool:
        """Return whether a document with these tokens matches. The time is not compared."""
        return (
            self.required <= tokens
            and not self.excluded & tokens
            and all(any(token.startswith(word) for token in tokens) for word in self.words)
        )

    def numbers(self, leaf: LeafText) -> set[int]:
        """Return the numbers of the documents of a leaf that match."""
        found = {*range(FIRST_NUMBER, FIRST_NUMBER + len(leaf.positions))}
        for token in self.required:
            found &= leaf.having(token.encode())
            if not found:
                return found
        # Long words are rare, so most leaves are done with after one look.
        for word in sorted(self.words, key=len, reverse=True):
            found &= leaf.having_word(word.encode())
            if not found:
                return found
        for token in self.excluded:
            found -= leaf.having(token.encode())
        return found


def read_query(parameters: Mapping[str, Any], **facts: str | None) -> Query:
    """Return the query of some parameters of the table. Raises InputError.

    `facts` are exact values, such as the folder.
    """
    values = {name: field.read(parameters, None) for name, field in TABLE.items()}
    required = {fact(kind, value) for kind, value in facts.items() if value is not None}
    required |= {fact("who", values["person"])} if values["person"] else set()
    required |= {fact("model", values["model"])} if values["model"] else set()
    required |= {tag_fact(values["tag"])} if values["tag"] else set()
    excluded: set[str] = set()
    for name, token in (("favourite", FAVOURITE), ("shared", SHARED), ("batch", BATCH)):
        if values[name] is not None:
            (required if values[name] else excluded).add(token)
    if values["hidden"] != ALL:
        (required if values["hidden"] == ONLY_HIDDEN else excluded).add(HIDDEN)
    since, until = values["from"], values["to"]
    return Query(
        words=tuple(query_words(values["q"])) if values["q"] else (),
        required=frozenset(required),
        excluded=frozenset(excluded),
        since=_since(since) if since else START,
        until=_until(until) if until else END,
    )


def needs_index(parameters: Mapping[str, Any]) -> bool:
    """Return whether the search has to answer, and not the gallery, which shows all images."""
    return parameters.get("hidden") == ONLY_HIDDEN or bool(parameters.keys() - {"hidden"})


def check_time(value: object, name: str) -> str:
    """Return a date or time as it is. Raises InputError."""
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    try:
        if match and datetime.fromisoformat(match[0]) and _until(match[0]):
            return match[0]
    except (ValueError, OverflowError):
        pass
    raise InputError(name, value, TIMES)


def _since(text: str) -> str:
    return _stamp(_moment(text))


def _until(text: str) -> str:
    """Return the first moment after a date, or after a time. Both are included."""
    is_date = len(text) == len("2026-11-24")
    return _stamp(_moment(text) + (timedelta(days=1) if is_date else timedelta(microseconds=1)))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z".rjust(27, "0")


def _row(name: str, kind: Kind, note: str, default: Any = None) -> Field:
    facts: dict[str, Any] = {"setting": None, "actions": (), "in_batch": False}
    return Field(name=name, kind=kind, note=note, default=default, **facts)


TABLE = {
    row.name: row
    for row in (
        _row(
            "q",
            Words(MAX_WORDS, private=True),
            "words of the image, or their beginnings; all of them must occur",
        ),
        _row(
            "from",
            CheckedText(check_time, {}),
            "stored since this date or time in UTC, such as 2026-11-24",
        ),
        _row("to", CheckedText(check_time, {}), "stored until this date or time in UTC, included"),
        _row(
            "person",
            CheckedText(check_person, {"pattern": f"^{PERSON.pattern}$"}),
            "made by this person or program",
        ),
        _row("model", Text(100), "made by this image model"),
        _row("tag", Text(MAX_LENGTH, private=True), "has this tag; case and accents do not matter"),
        _row("favourite", Flag(), "only favourites, or none of them"),
        _row("shared", Flag(), "only shared images, or none of them"),
        _row("batch", Flag(), "only images made in a batch, or none of them"),
        _row(
            "hidden",
            Choice((NOT_HIDDEN, ONLY_HIDDEN, ALL)),
            "no: without hidden images; yes: only those; all: both",
            NOT_HIDDEN,
        ),
    )
}
