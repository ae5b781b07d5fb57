"""The reader of a batch's input file. One wrong line fails the whole file, as in the real API."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_PICTURES = 200  # the API's limit for one batch


@dataclass(frozen=True, kw_only=True)
class Line:
    """One request. Its body is checked only when it is carried out."""

    number: int
    custom_id: str
    body: Mapping[str, Any]

    @property
    def pictures(self) -> int:
        """Return the number of images that it requests."""
        count = self.body.get("n", 1)
        return count if isinstance(count, int) and count > 0 else 1


def read(content: bytes, endpoint: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """Return the requests, and the errors as a failed batch shows them."""
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    taken: set[str] = set()
    for number, raw in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(raw)
        except ValueError:
            line = None
        model = lines[0].body.get("model") if lines else None
        problems = list(_problems(line, endpoint, taken, model))
        errors += [
            {"code": code, "message": message, "param": param, "line": number}
            for code, message, param in problems
        ]
        if not problems:
            taken.add(line["custom_id"])
            lines.append(Line(number=number, custom_id=line["custom_id"], body=line["body"]))
    if not lines and not errors:
        errors.append(_file_error("empty_file", "The input file is empty."))
    pictures = sum(line.pictures for line in lines)
    if pictures > MAX_PICTURES:
        message = f"A batch may request {MAX_PICTURES} images, and this one requests {pictures}."
        errors.append(_file_error("too_many_tasks", message))
    return lines, errors


def _problems(
    line: Any, endpoint: str, taken: set[str], model: object
) -> Iterator[tuple[str, str, str | None]]:
    """Yield the code, the message and the field of each problem of a line."""
    if not isinstance(line, dict):
        yield "invalid_json_line", "This line is not parseable as valid JSON.", None
        return
    for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
        if not isinstance(line.get(name), kind):
            message = f"Missing required parameter: '{name}'."
            yield "missing_required_parameter", message, name
            return
    if line["custom_id"] in taken:
        message = f"The custom_id '{line['custom_id']}' is used more than once."
        yield "duplicate_custom_id", message, "custom_id"
    if line["method"] != "POST":
        yield "invalid_method", f"The method '{line['method']}' is not POST.", "method"
    if line["url"] != endpoint:
        message = f"The url '{line['url']}' is not the batch's endpoint, {endpoint}."
        yield "invalid_url", message, "url"
    if model is not None and line["body"].get("model") != model:
        message = (
            f"All requests of a batch must name the same model, and the first names '{model}'."
        )
        yield "model_mismatch", message, "body.model"


def _file_error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": None}
