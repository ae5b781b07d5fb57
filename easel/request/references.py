"""The images that a request's images are made from: their names in a request, and what was found.

A request names keys of the bucket. The run's first execution resolves them to versions, which all
later executions use.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from easel.contract import naming
from easel.contract.errors import InputError, Summary, label, summarize
from easel.request.fields import Kind, Schema
from easel.request.names import check_image_key

MAX_REFERENCES = 16
# The function has 512 MB of temporary storage.
MAX_TOTAL_BYTES = 200_000_000
SHA256 = re.compile("[0-9a-f]{64}")
NAME = 'a key, or {"key": …, "sha256": …}'
USABLE_KEYS = (
    "the key of an image of Easel, like my_s3_folder/image_….png, or of a checked upload, like "
    "references/0123….png"
)


@dataclass(frozen=True, kw_only=True)
class ReferenceName:
    """An image as a request names it. With `sha256`, only these bytes are meant."""

    key: str
    sha256: str | None = None


@dataclass(frozen=True)
class OneReference(Kind):
    """The name of one image that passes `check_key`."""

    check_key: Callable[[object, str], str]

    def check(self, name: str, value: Any) -> ReferenceName:
        """Return the name."""
        if isinstance(value, str):
            return ReferenceName(key=self.check_key(value, name))
        if not isinstance(value, dict) or "key" not in value:
            raise InputError(name, summarize(value), NAME)
        odd = next((field for field in value if field not in ("key", "sha256")), None)
        if odd is not None:
            raise InputError(name, Summary(f"an object with the field {label(odd)}"), NAME)
        sha256 = value.get("sha256")
        if sha256 is not None and not (isinstance(sha256, str) and SHA256.fullmatch(sha256)):
            allowed = "64 hexadecimal characters in lower case"
            raise InputError(f"{name}.sha256", summarize(sha256), allowed)
        return ReferenceName(key=self.check_key(value["key"], name), sha256=sha256)

    def schema(self) -> Schema:
        """Return the schema of a key, or of an object with a key and a checksum."""
        key = {"type": "string", "minLength": 1, "maxLength": naming.MAX_KEY_BYTES}
        sha256 = {"type": "string", "pattern": f"^{SHA256.pattern}$"}
        whole = {
            "type": "object",
            "properties": {"key": key, "sha256": sha256},
            "required": ["key"],
            "additionalProperties": False,
        }
        return {"anyOf": [key, whole]}


@dataclass(frozen=True)
class References(Kind):
    """A list of 1 to 16 images."""

    each: OneReference

    def check(self, name: str, value: Any) -> tuple[ReferenceName, ...]:
        """Return the names."""
        allowed = f"a list of 1 to {MAX_REFERENCES}, each {NAME}"
        if not isinstance(value, list):
            raise InputError(name, summarize(value), allowed)
        if not 1 <= len(value) <= MAX_REFERENCES:
            raise InputError(name, Summary(f"a list of {len(value)}"), allowed)
        found = tuple(self.each.check(name, item) for item in value)
        keys = [reference.key for reference in found]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise InputError(name, twice, "each key once")
        return found

    def schema(self) -> Schema:
        """Return the schema of a list."""
        items = self.each.schema()
        return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_REFERENCES}

    def from_text(self, text: str) -> list[Any]:
        """Split a cell at its commas, unless it is a JSON list, which keys with commas need."""
        if text.startswith("["):
            with suppress(ValueError, RecursionError):
                return list(json.loads(text))
        return [item.strip() for item in text.split(",")]


def check_reference(key: object, field: str) -> str:
    """Return the key of an image in a folder, or of a checked upload."""
    if isinstance(key, str) and naming.upload_id(key):
        return key
    try:
        return check_image_key(key, field)
    except InputError as error:
        # Words without a slash are no key. They may be a prompt in the wrong field.
        is_key = isinstance(key, str) and "/" in key
        raise InputError(field, key if is_key else summarize(key), USABLE_KEYS) from error


def check_mask(key: object, field: str) -> str:
    """Return the key of a checked upload that may be a mask."""
    if not isinstance(key, str) or not naming.upload_id(key) or not key.endswith(".png"):
        allowed = "the key of an uploaded PNG, like references/0123….png"
        is_key = isinstance(key, str) and "/" in key
        raise InputError(field, key if is_key else summarize(key), allowed)
    return key


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An input image in one version, with its size in pixels as a viewer shows it."""

    key: str
    version_id: str
    sha256: str
    bytes: int
    width: int
    height: int
    content_type: str
    alt_text: str = ""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The images that a run's images are made from. The mask belongs to the first one."""

    images: tuple[Reference, ...] = ()
    mask: Reference | None = None

    def __bool__(self) -> bool:
        return bool(self.images)

    @property
    def all(self) -> tuple[Reference, ...]:
        """Return the images, and then the mask."""
        return (*self.images, *([self.mask] if self.mask else []))

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of everything that is sent."""
        return tuple(reference.key for reference in self.all)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Return width and height of everything that is sent."""
        return tuple((reference.width, reference.height) for reference in self.all)

    @property
    def contents(self) -> tuple[str, ...]:
        """Return the checksums, for the request's digest."""
        return tuple(reference.sha256 for reference in self.all)

    def to_json(self) -> str:
        """Return the inputs as they are stored in the run's record."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "Inputs":
        """Read what `to_json` wrote. A run of an older version has none."""
        values: dict[str, Any] = json.loads(text) if text else {"images": (), "mask": None}
        mask = values["mask"]
        return cls(
            images=tuple(Reference(**image) for image in values["images"]),
            mask=Reference(**mask) if mask else None,
        )


NO_INPUTS = Inputs()
