"""Tables of fields. A table is a dataclass, and each of its fields declares what it accepts.

One table serves all of these: it checks a request, converts the cells of a CSV file and of a query,
and describes the fields in the API's OpenAPI document, in the page's /config.json, in README.md and
in docs/batches.md.
"""

import dataclasses
import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easel.contract.errors import InputError, label, summarize
from easel.contract.text import is_clean

MAX_DIGITS = 9
Schema = dict[str, Any]


class Kind(ABC):
    """The kind of values that a field accepts."""

    @property
    def is_private(self) -> bool:
        """Return whether a value may be the caller's own words, which errors never repeat."""
        return False

    def shown(self, value: object) -> object:
        """Return a value for an error, because errors are logged."""
        return summarize(value) if self.is_private else value

    @abstractmethod
    def check(self, name: str, value: Any) -> Any:
        """Return the value in the request's form. Raises InputError."""

    @abstractmethod
    def schema(self) -> Schema:
        """Return the kind as JSON Schema."""

    def from_text(self, text: str) -> Any:
        """Convert a CSV cell or a query parameter to a JSON value for `check`."""
        return text


@dataclass(frozen=True)
class Text(Kind):
    """Text of 1 to `limit` characters. A `private` text is never repeated in an error."""

    limit: int
    private: bool = False

    @property
    def is_private(self) -> bool:
        """Return whether the text is private."""
        return self.private

    def check(self, name: str, value: Any) -> str:
        """Return the text without surrounding blanks."""
        if not isinstance(value, str) or not value.strip() or len(value) > self.limit:
            raise self._wrong(name, value)
        if not is_clean(value):
            raise self._wrong(name, value)
        return value.strip()

    def schema(self) -> Schema:
        """Return the schema of a text that is not blank."""
        return {"type": "string", "minLength": 1, "maxLength": self.limit, "pattern": r"\S"}

    def _wrong(self, name: str, value: object) -> InputError:
        size = f"text of 1 to {self.limit:,} characters"
        allowed = f"{size}, not blank, without control characters"
        return InputError(name, self.shown(value), allowed)


@dataclass(frozen=True)
class Texts(Kind):
    """A list of 1 to `most` texts."""

    each: Text
    most: int

    @property
    def is_private(self) -> bool:
        """Return whether the texts are private."""
        return self.each.private

    def check(self, name: str, value: Any) -> tuple[str, ...]:
        """Return the texts."""
        if not isinstance(value, list) or not 1 <= len(value) <= self.most:
            allowed = f"a list of 1 to {self.most} {name}"
            raise InputError(name, self.shown(value), allowed)
        return tuple(self.each.check(name, "" if text is None else text) for text in value)

    def schema(self) -> Schema:
        """Return the schema of a list."""
        items = self.each.schema()
        return {"type": "array", "items": items, "minItems": 1, "maxItems": self.most}

    def from_text(self, text: str) -> list[str]:
        """Split a cell at its commas."""
        return [item.strip() for item in text.split(",")]


@dataclass(frozen=True)
class Choice(Kind):
    """One of several words."""

    options: tuple[str, ...]

    def check(self, name: str, value: Any) -> str:
        """Return the value, if it is one of the choices."""
        if not isinstance(value, str) or value not in self.options:
            raise InputError(name, value, " | ".join(self.options))
        return value

    def schema(self) -> Schema:
        """Return the schema of an enumeration."""
        return {"type": "string", "enum": list(self.options)}


@dataclass(frozen=True)
class WholeNumber(Kind):
    """A whole number."""

    least: int
    most: int

    def check(self, name: str, value: Any) -> int:
        """Return the number."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not self.least <= value <= self.most:
            raise InputError(name, value, f"a whole number from {self.least} to {self.most}")
        return int(value)

    def schema(self) -> Schema:
        """Return the schema of an integer."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def from_text(self, text: str) -> Any:
        """Return a number if the text is a number, or else the text."""
        is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
        return int(text) if is_number else text


@dataclass(frozen=True)
class Number(Kind):
    """A number."""

    least: float
    most: float

    def check(self, name: str, value: Any) -> float:
        """Return the number."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not self.least <= value <= self.most:
            raise InputError(name, value, f"a number from {self.least:g} to {self.most:g}")
        return float(value)

    def schema(self) -> Schema:
        """Return the schema of a number."""
        return {"type": "number", "minimum": self.least, "maximum": self.most}


class Flag(Kind):
    """True or false."""

    def check(self, name: str, value: Any) -> bool:
        """Return the flag."""
        if not isinstance(value, bool):
            raise InputError(name, value, "true or false")
        return value

    def schema(self) -> Schema:
        """Return the schema of a boolean."""
        return {"type": "boolean"}

    def from_text(self, text: str) -> Any:
        """Return the flag if the text is true or false, or else the text."""
        return {"true": True, "false": False}.get(text.lower(), text)


@dataclass(frozen=True)
class CheckedText(Kind):
    """Text that is checked by a function of names.py or models.py."""

    function: Callable[[object, str], str]
    constraints: Schema

    def check(self, name: str, value: Any) -> str:
        """Return the function's result."""
        return self.function(value, name)

    def schema(self) -> Schema:
        """Return the function's schema."""
        return {"type": "string", **self.constraints}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One row of a table.

    `setting` names the deployment's setting that provides the default. `actions` are the actions
    that accept the field, or () for all. `in_batch` is false if a line of a batch must not have it.
    """

    name: str
    kind: Kind
    note: str
    default: Any
    setting: str | None
    actions: tuple[str, ...]
    in_batch: bool

    def read(self, values: Mapping[str, Any], settings: object) -> Any:
        """Return the checked value, or the default. Raises InputError."""
        if self.name in values:
            return self.kind.check(self.name, values[self.name])
        return getattr(settings, self.setting) if self.setting else self.default

    def schema(self) -> Schema:
        """Return the field as JSON Schema, with its default and its note."""
        default = {} if self.default is None else {"default": self.default}
        return self.kind.schema() | default | {"description": self.note}


def column(
    kind: Kind,
    note: str,
    *,
    default: Any = None,
    setting: str | None = None,
    actions: tuple[str, ...] = (),
    in_batch: bool = True,
) -> Any:
    """Declare a field of a table: the kind of its values, and a note for people."""
    facts = {"default": default, "setting": setting, "actions": actions, "in_batch": in_batch}
    return dataclasses.field(metadata={"kind": kind, "note": note, **facts})


def table_of(declared: type) -> dict[str, Field]:
    """Return the rows of a dataclass of columns, by name."""
    rows = dataclasses.fields(declared)
    return {row.name: Field(name=row.name, **row.metadata) for row in rows}


def check_fields(raw: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise InputError for an unknown field. The error suggests the closest known one.

    The value of a misspelled field may be a prompt.
    """
    for name, value in raw.items():
        if name not in known:
            close = difflib.get_close_matches(label(name), known, 1)
            near = "".join(f" (did you mean {match}?)" for match in close)
            reason = f"there is no such field{near}"
            raise InputError(label(name), summarize(value), ", ".join(known), but=reason)


def drop_nulls(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without nulls, because null means the same as no field."""
    return {name: value for name, value in raw.items() if value is not None}


def from_texts(table: Mapping[str, Field], texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Convert cells or query parameters to JSON values, by the kinds of their fields.

    Text that does not fit its field stays text. The field's check then refuses it by name.
    """
    return {name: table[name].kind.from_text(text) for name, text in texts}
