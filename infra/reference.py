"""`make reference`: writes the tables of docs/reference.md from the code that checks the values."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from easel.contract.batch_messages import BatchReport
from easel.contract.messages import Removal, Report, ReportedImage, Restoration
from easel.request import batch_request, request
from easel.request.fields import Field
from easel.schedules import schedule
from easel.search import query
from functions.api.problems import ADVICE
from infra.config import Config

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
# These settings have another name in cdk.json.
RENAMED_SETTINGS = {"region": "aws_region"}

Row = tuple[str, ...]


def main() -> None:
    """Write the tables into the page."""
    PAGE.write_text(render(PAGE.read_text()))
    print(f"{len(TABLES)} tables in {PAGE.relative_to(ROOT)}")


def render(page: str) -> str:
    """Return the page with today's tables between their marks. Raises ValueError for no marks."""
    for name, rows in TABLES.items():
        pattern = rf"(<!-- {name} -->\n).*(\n<!-- end of {name} -->)"
        # Backslashes are doubled, because they are special in a replacement.
        table = draw(rows()).replace("\\", r"\\")
        page, places = re.subn(pattern, rf"\1\n{table}\n\2", page, flags=re.DOTALL)
        if places != 1:
            raise ValueError(f"the page has no marks for the table {name}")
    return page


def draw(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table. The first row is its header."""
    header, *rest = [tuple(cell.replace("|", r"\|") for cell in row) for row in rows]
    lines = [header, ("--",) * len(header), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def request_rows(table: Mapping[str, Field]) -> list[Row]:
    """Return the rows for the fields of a request."""
    rows: list[Row] = [("field", "value", "default", "meaning")]
    for field in table.values():
        rows.append((f"`{field.name}`", _value(field.kind.schema()), _default(field), field.note))
    return rows


def message_rows(*messages: type) -> list[Row]:
    """Return the rows for the fields of messages that users read."""
    rows: list[Row] = [("field", "meaning")]
    for message in messages:
        prefix = "pictures[]." if message is ReportedImage else ""
        rows += [
            (f"`{prefix}{field.name}`", field.metadata["description"]) for field in fields(message)
        ]
    return rows


def setting_rows() -> list[Row]:
    """Return the rows for the settings, with their defaults in cdk.json."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    rows: list[Row] = [("setting", "default", "meaning")]
    for setting in fields(Config):
        rows.append((f"`{setting.name}`", _shown(context[setting.name]), setting.metadata["note"]))
    return rows


def error_rows() -> list[Row]:
    """Return the rows for the errors."""
    rows: list[Row] = [("error", "title", "what to do")]
    for error, advice in ADVICE.items():
        rows.append((f"`{error.__name__}`", advice.title, advice.what_to_do))
    return rows


TABLES: dict[str, Callable[[], list[Row]]] = {
    "Request": lambda: request_rows(request.TABLE),
    "Report": lambda: message_rows(Report, ReportedImage),
    "Removal": lambda: message_rows(Removal),
    "Restoration": lambda: message_rows(Restoration),
    "Batch": lambda: request_rows(batch_request.TABLE),
    "Schedule": lambda: request_rows(schedule.TABLE),
    "Search": lambda: request_rows(query.TABLE),
    "BatchReport": lambda: message_rows(BatchReport),
    "Settings": setting_rows,
    "Errors": error_rows,
}


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
    return "an object" if schema.get("type") == "object" else "text"


def _default(field: Field) -> str:
    if field.setting:
        return f"the setting `{RENAMED_SETTINGS.get(field.setting, field.setting)}`"
    return "" if field.default is None else _shown(field.default)


def _shown(value: Any) -> str:
    match value:
        case "":
            return ""
        case str():
            return f"`{value}`"
        case list():
            return ", ".join(value)
    return f"`{json.dumps(value)}`"


if __name__ == "__main__":
    main()
