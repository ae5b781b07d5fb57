"""`make reference`: writes the tables of fields into the docs, from the tables that check them."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cli.target import ROOT
from easel.request import batch_request, request
from easel.request.fields import Field

# Each table is between two comments with its name, in this page.
TABLES: dict[str, tuple[str, Mapping[str, Field]]] = {
    "Fields": ("README.md", request.TABLE),
    "BatchFields": ("docs/batches.md", batch_request.TABLE),
}
# These settings have another name in cdk.json.
SETTINGS = {"region": "aws_region"}


def main() -> int:
    """Write both tables. Return 1 if a page has no place for its table."""
    for name, (file, table) in TABLES.items():
        page = ROOT / file
        before = page.read_text()
        block = f"<!-- {name} -->\n\n{draw(table.values())}\n\n<!-- end of {name} -->"
        pattern = rf"<!-- {name} -->.*<!-- end of {name} -->"
        # Backslashes are doubled, because they are special in a replacement.
        new = block.replace("\\", r"\\")
        after, places = re.subn(pattern, new, before, flags=re.DOTALL)
        if places != 1:
            print(f"{file} has no marks for the table {name}", file=sys.stderr)
            return 1
        Path(page).write_text(after)
        print(f"{name} in {file}")
    return 0


def draw(fields: Iterable[Field]) -> str:
    """Return fields as a Markdown table: name, allowed values, default, meaning."""
    rows = [("field", "value", "default", "meaning"), ("--", "--", "--", "--")]
    for field in fields:
        note = field.note.replace("|", r"\|")
        rows.append((f"`{field.name}`", _value(field.kind.schema()), _default(field), note))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _value(schema: Mapping[str, Any]) -> str:
    """Describe in words the values that a schema allows."""
    match schema:
        case {"enum": words}:
            return ", ".join(f"`{word}`" for word in words)
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"minimum": least, "maximum": most}:
            return f"{least:,} to {most:,}"
        case {"type": "array", "maxItems": most}:
            return f"a list of 1 to {most:,}"
        case {"maxLength": most}:
            return f"text of 1 to {most:,} characters"
    return "text"


def _default(field: Field) -> str:
    if field.setting:
        return f"the setting `{SETTINGS.get(field.setting, field.setting)}`"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return "" if field.default is None else f"`{field.default}`"


if __name__ == "__main__":
    sys.exit(main())
