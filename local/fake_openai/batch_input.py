"""A batch's input file, read line by line; a file that is wrong anywhere fails as a whole, as at the real API."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_PICTURES = 200  # of one batch


@dataclass(frozen=True, kw_only=True)
class Line:
    """One request. Whether its body is a good one shows when its turn comes."""

    number: int
    custom_id: str
    body: Mapping[str, Any]

    @property
    def pictures(self) -> int:
        """How many it asks for."""
        asked = self.body.get("n", 1)
        return asked if isinstance(asked, int) and asked > 0 else 1


def read(content: bytes, endpoint: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """The requests, and the errors as a failed batch shows them."""
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    taken: set[str] = set()
    for number, raw in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(raw)
        except ValueError:
            line = None
        found = list(_wrong(line, endpoint, taken, lines[0].body.get("model") if lines else None))
        errors += [{"code": code, "message": message, "param": param, "line": number} for code, message, param in found]
        if not found:
            taken.add(line["custom_id"])
            lines.append(Line(number=number, custom_id=line["custom_id"], body=line["body"]))
    if not lines and not errors:
        errors.append(_whole("empty_file", "The input file is empty."))
    pictures = sum(line.pictures for line in lines)
    if pictures > MAX_PICTURES:
        errors.append(_whole("too_many_tasks", f"A batch may ask for {MAX_PICTURES} images, and this one asks for {pictures}."))
    return lines, errors


def _wrong(line: Any, endpoint: str, taken: set[str], model: object) -> Iterator[tuple[str, str, str | None]]:
    """Code, message and field of each thing that is wrong with a line."""
    if not isinstance(line, dict):
        yield "invalid_json_line", "This line is not parseable as valid JSON.", None
        return
    for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
        if not isinstance(line.get(name), kind):
            yield "missing_required_parameter", f"Missing required parameter: '{name}'.", name
            return
    if line["custom_id"] in taken:
        yield "duplicate_custom_id", f"The custom_id '{line['custom_id']}' is used more than once.", "custom_id"
    if line["method"] != "POST":
        yield "invalid_method", f"The method '{line['method']}' is not POST.", "method"
    if line["url"] != endpoint:
        yield "invalid_url", f"The url '{line['url']}' is not the batch's endpoint, {endpoint}.", "url"
    if model is not None and line["body"].get("model") != model:
        yield "model_mismatch", f"All requests of a batch must name the same model, and the first names '{model}'.", "body.model"


def _whole(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": None}
