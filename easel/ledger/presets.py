"""The presets: some are declared in the deployment's settings, and people make the others."""

import json
from collections.abc import Mapping
from typing import Any

from easel.aws.table import Item, Table
from easel.contract.errors import ConflictError, InputError, NotFoundError
from easel.request.presets import Preset, apply_preset, check_preset_name

PRESETS = "presets"
MOST = 100


class Presets:
    """All presets. `declared` are the fields of those in the settings, by name.

    One object reads each preset once, for the lines of one batch. So it must not outlive the call
    of a function.
    """

    def __init__(self, table: Table, declared: Mapping[str, Any]) -> None:
        self._table = table
        self._declared = {
            name: Preset(name=name, fields=fields, declared=True)
            for name, fields in declared.items()
        }
        self._cache: dict[str, Preset | None] = {}

    def all(self) -> list[Preset]:
        """Return all presets by name."""
        stored = {item["sk"]: _read(item) for item in self._table.query(PRESETS)}
        return sorted((stored | self._declared).values(), key=lambda preset: preset.name)

    def find(self, name: str) -> Preset | None:
        """Return the preset with this name, or None."""
        if name in self._declared:
            return self._declared[name]
        item = self._table.get(PRESETS, name)
        return _read(item) if item else None

    def expand(self, raw: Any) -> tuple[Any, dict[str, Any] | None]:
        """Return a request with the fields of the preset that it names, and these fields or None.

        Raises InputError for an unknown preset. The request's own check finds all other mistakes.
        """
        name = raw.get("preset") if isinstance(raw, dict) else None
        if name is None:
            return raw, None
        check_preset_name(name, "preset")
        if name not in self._cache:
            self._cache[name] = self.find(name)
        preset = self._cache[name]
        if preset is None:
            known = ", ".join(each.name for each in self.all()) or "none; make one on the page"
            raise InputError("preset", name, f"one of the presets: {known}")
        fields = dict(preset.fields)
        return apply_preset(raw, fields), fields

    def put(self, preset: Preset) -> None:
        """Create or replace a preset.

        Raises ConflictError for a declared one, or if there are too many.
        """
        self._refuse_declared(preset.name)
        known = {each.name for each in self.all()}
        if preset.name not in known and len(known) >= MOST:
            raise ConflictError(f"there are {MOST} presets already; delete one first")
        item = {"pk": PRESETS, "sk": preset.name, "fields": json.dumps(dict(preset.fields))}
        item |= {"example": preset.example} if preset.example else {}
        self._table.write(self._table.put(item))

    def delete(self, name: str) -> None:
        """Delete a preset. Raises NotFoundError, or ConflictError for a declared one."""
        self._refuse_declared(name)
        delete = self._table.delete((PRESETS, name), condition="attribute_exists(pk)", values={})
        if not all(self._table.write(delete)):
            raise NotFoundError(f"there is no preset {name!a}; list the names with GET /presets")

    def _refuse_declared(self, name: str) -> None:
        if name in self._declared:
            raise ConflictError(
                f"preset {name} is from the deployment's settings; change `presets` in cdk.json"
            )


def _read(item: Item) -> Preset:
    fields = json.loads(item["fields"])
    return Preset(name=item["sk"], fields=fields, example=item.get("example"))
