"""The API's OpenAPI description, made from the routes, the response shapes and the field tables.

`python -m functions.api.openapi` prints it.
"""

import inspect
import json
from typing import Any

from aws_lambda_powertools.event_handler import ApiGatewayResolver
from pydantic import TypeAdapter

from easel.contract.naming import RUN_ID_LETTER, UPLOAD_ID
from easel.request.names import BATCH_NAME, IMAGE_ID
from easel.request.request import TABLE
from easel.schedules import schedule
from functions.api import schemas
from functions.api.batches import BYTES, FORMAT, START_REQUIRED, START_TABLE
from functions.api.problems import CONTENT_TYPE
from functions.api.routes import DATA
from functions.api.runs import BODY_FIELDS, KEY_HEADER, MAX_KEY
from functions.api.schedules import PUT_FIELDS
from functions.api.uploads import UPLOAD_KINDS

ABOUT = (
    "Serverless AI image generation on AWS. Each run has an idempotency key, chosen by the caller: "
    "the same key with the same body is the same run, and is paid for once. Every data route needs "
    "an access token with the scope that it lists. Errors are problem details (RFC 9457): `title` "
    "and `what_to_do` are for people, `error` is the name for programs. The gateway itself sends "
    "401, 403 and 429."
)
VERSION = "1"
STARTS_NOTHING = ("/estimate", "/batches", "/uploads")
Schema = dict[str, Any]


def describe(resolver: ApiGatewayResolver) -> Schema:
    """Return the whole description."""
    document: Schema = json.loads(
        resolver.get_openapi_json_schema(title="Easel", version=VERSION, description=ABOUT)
    )
    document["servers"] = [{"url": "."}]
    shapes = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)
    for shape in (schemas.Problem, schemas.GatewayMessage):
        shapes[shape.__name__] = TypeAdapter(shape).json_schema()
    shapes |= {"Request": request_schema(), "BatchStart": start_schema()}
    shapes |= {"SchedulePut": schedule_schema()}
    about = "an access token, as printed by `make token`"
    scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about}
    document["components"]["securitySchemes"] = {"token": scheme}
    scopes = {(method.lower(), path): scope for method, path, scope in DATA}
    # The resolver has no public list of its routes, and it does not read summaries from docstrings.
    routes = resolver._dynamic_routes + resolver._static_routes
    functions = {(route.method.lower(), route.openapi_path): route.func for route in routes}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation.update(_words(functions[method, path]), tags=[path.split("/")[1]])
            operation["security"] = [{"token": [scopes[method, path]]}]
            _complete(operation, path, method)
    order = [path for _, path, _ in DATA]
    document["paths"] = dict(
        sorted(document["paths"].items(), key=lambda item: order.index(item[0]))
    )
    return document


def request_schema() -> Schema:
    """Return the schema of a request, from its field table. A null counts as no value."""
    fields = {name: _nullable(TABLE[name].schema()) for name in BODY_FIELDS}
    return _object(fields) | {"title": "Request"}


def start_schema() -> Schema:
    """Return the schema of a batch's start, from its field table. A null counts as no value."""
    fields = {name: _nullable(field.schema()) for name, field in START_TABLE.items()}
    fields |= {name: START_TABLE[name].schema() for name in START_REQUIRED}
    known = {"format": _format_schema()} | fields
    return _object(known, required=list(START_REQUIRED)) | {"title": "BatchStart"}


def schedule_schema() -> Schema:
    """Return the schema of a schedule without its name, from its field table."""
    fields = {name: _nullable(schedule.TABLE[name].schema()) for name in PUT_FIELDS}
    fields |= {
        "when": schedule.TABLE["when"].schema(),
        "request": {"anyOf": [_ref("Request"), {"type": "null"}]},
    }
    return _object(fields, required=["when"]) | {"title": "SchedulePut"}


def _words(function: Any) -> Schema:
    """Return a route's operationId, summary and description, from its function."""
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    words = {"operationId": function.__name__, "summary": " ".join(summary.split())}
    return words | ({"description": " ".join(rest.split())} if rest else {})


def _object(fields: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": fields, "additionalProperties": False, **more}


def _nullable(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    nullable = schema | {"type": [schema["type"], "null"]}
    return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable


def _format_schema() -> Schema:
    first, *others = FORMAT.options
    return {"type": ["string", "null"], "enum": [first, *others, None], "default": first}


def _complete(operation: Schema, path: str, method: str) -> None:
    """Add what the route's function does not declare to an operation."""
    operation["responses"] = _responses(operation["responses"], path, method)
    body = _request_body(path, method)
    if body:
        operation["requestBody"] = body
    parameters = operation.setdefault("parameters", [])
    parameters += _parameters(path, method)
    for parameter in parameters:
        # A query has no null, only a missing parameter.
        kinds = parameter["schema"].pop("anyOf", [])
        kinds = [kind for kind in kinds if kind != {"type": "null"}]
        schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}
        parameter["schema"] |= schema
        in_path = parameter["in"] == "path"
        patterns = {
            "/images/": IMAGE_ID,
            "/batches/": BATCH_NAME,
            "/uploads/": UPLOAD_ID,
            "/schedules/": schedule.NAME,
        }
        for prefix, pattern in patterns.items():
            if in_path and path.startswith(prefix):
                parameter["schema"] |= {"pattern": f"^{pattern.pattern}$"}


def _request_body(path: str, method: str) -> Schema | None:
    if method not in ("post", "put"):
        return None
    name = {"type": "string"}
    match path:
        case "/runs" | "/estimate":
            schema, example = _ref("Request"), {"topic": "Sport", "count": 2}
        case "/batches":
            fields = {"name": name | {"pattern": f"^{BATCH_NAME.pattern}$"}}
            fields |= {"format": _format_schema(), "bytes": BYTES.schema()}
            schema = _object(fields, required=["name", "bytes"])
            example = {"name": "spring", "bytes": 1234}
        case "/uploads":
            fields = {field: kind.schema() for field, kind in UPLOAD_KINDS.items()}
            schema = _object(fields, required=list(fields))
            example = {"name": "teapot.png", "type": "image/png", "bytes": 1234}
        case "/batches/{name}/start":
            schema, example = _ref("BatchStart"), {"version_id": "VERSION", "dry_run": True}
        case "/schedules/{name}":
            schema = _ref("SchedulePut")
            example = {"when": "cron(0 8 ? * MON-FRI *)", "time_zone": "Europe/Berlin"}
        case "/folders/restore":
            schema = _object({"name": name}, required=["name"])
            example = {"name": "campaign/spring"}
        case _:
            return None
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "content": content}


def _parameters(path: str, method: str) -> list[Schema]:
    if (method, path) == ("post", "/runs"):
        schema = {"type": "string", "pattern": f"^{RUN_ID_LETTER}{{1,{MAX_KEY}}}$"}
        about = (
            "identifies the run; sending it again with the same body returns the same run, which is"
            " paid for once"
        )
        header: Schema = {"name": KEY_HEADER, "in": "header", "required": True}
        return [header | {"schema": schema, "description": about}]
    if (method, path) == ("get", "/estimate"):
        query = {"in": "query", "required": False, "explode": False}
        schemas = {name: TABLE[name].schema() for name in BODY_FIELDS}
        return [{"name": name, "schema": schema, **query} for name, schema in schemas.items()]
    return []


def _responses(good: Schema, path: str, method: str) -> Schema:
    is_schedule = path.startswith("/schedules")
    starts = not is_schedule and (
        method == "delete" or (method == "post" and path not in STARTS_NOTHING)
    )
    noun = "batch" if path.startswith("/batches") else "run"
    about = f"The {noun}, which is now running" if starts else "The answer"
    success = {"202" if starts else "200": good["200"] | {"description": about}}
    if (method, path) in (("post", "/batches"), ("post", "/uploads")):
        success = {"201": good["200"] | {"description": "Where to PUT the file"}}
    if (method, path) == ("post", "/runs"):
        ended = "The run with this key, which has ended: earlier, or while it was waited for"
        success["200"] = good["200"] | {"description": ended}
    if starts:
        location = {"schema": {"type": "string"}, "description": f"the address of the {noun}"}
        success["202"] = success["202"] | {"headers": {"Location": location}}
    problems = {"400": "The request is not valid; nothing was paid"}
    if "{" in path or (method, path) == ("delete", "/folders"):
        problems["404"] = "Not found"
    if (starts and noun == "run") or path.startswith(("/images/", "/schedules/")):
        problems["409"] = "Conflicts with what already exists"
    if method == "put" or (method == "post" and "{id}" not in path):
        problems["413"] = "The body is too large"
        problems["415"] = "The body is not application/json"
    problems["500"] = "The deployment has a problem"
    problems["503"] = "Temporarily busy; retry after Retry-After seconds"
    gateway = {
        "401": "No valid token",
        "403": "A token without the scope",
        "429": "Too many requests at once",
    }
    unnamed = {}
    starts_runs = path in ("/runs", "/batches/{name}/start") and method == "post"
    if starts_runs or method == "put":
        unnamed = {CONTENT_TYPE: {"schema": _ref("Problem")}}  # for a token without a subject
    described = (
        success
        | {status: _response(about, "Problem", CONTENT_TYPE) for status, about in problems.items()}
        | {
            status: _response(about, "GatewayMessage", "application/json")
            for status, about in gateway.items()
        }
    )
    described["401"]["content"] |= unnamed
    return described


def _response(about: str, shape: str, content_type: str) -> Schema:
    return {"description": about, "content": {content_type: {"schema": _ref(shape)}}}


def _ref(shape: str) -> Schema:
    return {"$ref": f"#/components/schemas/{shape}"}


def main() -> None:
    """Print the description."""
    from functions.api.handler import RESOLVER

    print(json.dumps(describe(RESOLVER), indent=2))


if __name__ == "__main__":
    main()
