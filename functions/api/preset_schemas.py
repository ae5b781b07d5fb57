"""The shapes of the responses about presets."""

from dataclasses import dataclass
from typing import Any

from easel.contract.messages import api_field


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A preset: the fields that a request has unless it has its own."""

    name: str
    fields: dict[str, Any]
    example: str | None = api_field("the id of an image that shows what it looks like")
    thumbnail: str | None = api_field("a link to the example's thumbnail")
    declared: bool = api_field(
        "whether it is from the deployment's settings, which only they change"
    )


@dataclass(frozen=True, kw_only=True)
class Presets:
    """All presets by name."""

    presets: list[Preset]


@dataclass(frozen=True, kw_only=True)
class DeletedPreset:
    """The name of a deleted preset."""

    name: str
