"""Presets: fields of a request under a name, such as the style of the house."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from easel.contract.errors import InputError, summarize
from easel.request.fields import Field, drop_nulls

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# What a preset may fix. Each request has its own words.
FIELDS = (
    *("folder_name", "style", "avoid", "reference_images", "model", "size", "quality"),
    *("output_format", "output_compression", "background", "output_sizes", "crop", "sizes_format"),
    *("file_name", "tags"),
)
# A finished prompt is painted unchanged, so these do not apply to it.
NOT_WITH_PROMPT = ("style", "avoid")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset. `example` is the id of an image. A `declared` one is from the deployment."""

    name: str
    fields: Mapping[str, Any]
    example: str | None = None
    declared: bool = False


def check_preset_name(value: object, field: str) -> str:
    """Return a preset's name. Raises InputError."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        allowed = "1 to 40 characters from a-z 0-9 -, the first not a hyphen"
        raise InputError(field, value, allowed)
    return value


def check_preset_fields(fields: Mapping[str, Any], table: Mapping[str, Field]) -> dict[str, Any]:
    """Return a preset's fields without nulls. Raises InputError for one that it must not have.

    It does not check the values.
    """
    kept = drop_nulls(fields)
    for name, value in kept.items():
        if name not in FIELDS:
            shown = table[name].kind.shown(value) if name in table else summarize(value)
            reason = "a preset does not contain it"
            raise InputError(f"fields.{name}", shown, ", ".join(FIELDS), but=reason)
    if not kept:
        raise InputError("fields", summarize(fields), f"at least one of {', '.join(FIELDS)}")
    return kept


def apply_preset(raw: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with the fields of its preset. Its own fields win."""
    own = drop_nulls(raw)
    left_out = NOT_WITH_PROMPT if "prompt" in own else ()
    return {name: value for name, value in fields.items() if name not in left_out} | own
