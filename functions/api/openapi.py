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
from easel.request.presets import NAME as PRESET_NAME
from easel.request.request import TABLE
from easel.schedules import schedule
from easel.search.query import TABLE as SEARCH
from functions.api import schemas
from functions.api.problems import CONTENT_TYPE
from functions.api.request_bodies import (
    BODIES,
    Schema,
    ref,
    request_schema,
    schedule_schema,
    start_schema,
)
from functions.api.routes import DATA
from functions.api.runs import BODY_FIELDS, KEY_HEADER, MAX_KEY

ABOUT = (
    "Serverless AI image generation on AWS. Each run has an idempotency key, chosen by the caller: "
    "the same key with the same body is the same run, and is paid for once. Every data route needs "
    "an access token with the scope that it lists. Errors are problem details (RFC 9457): `title` "
    "and `what_to_do` are for people, `error` is the name for programs. The gateway itself sends "
    "401, 403 and 429."
)
VERSION = "1"
STARTS_NOTHING = ("/estimate", "/batches", "/uploads", "/images/changes", "/runs/redrive")


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


def _words(function: Any) -> Schema:
    """Return a route's operationId, summary and description, from its function."""
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    words = {"operationId": function.__name__, "summary": " ".join(summary.split())}
    return words | ({"description": " ".join(rest.split())} if rest else {})


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
            "/presets/": PRESET_NAME,
        }
        for prefix, pattern in patterns.items():
            if in_path and path.startswith(prefix):
                parameter["schema"] |= {"pattern": f"^{pattern.pattern}$"}


def _request_body(path: str, method: str) -> Schema | None:
    if method not in ("post", "put", "patch") or path not in BODIES:
        return None
    schema, example = BODIES[path]
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
    if (method, path) == ("get", "/images"):
        query = {"in": "query", "required": False}
        return [
            {"name": name, "schema": field.schema(), "description": field.note, **query}
            for name, field in SEARCH.items()
        ]
    return []


def _responses(good: Schema, path: str, method: str) -> Schema:
    is_stored = path.startswith(("/schedules", "/presets"))
    starts = not is_stored and (
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
    if path == "/spending":
        content = {"application/json": {"schema": ref("Spending")}}
        content |= {"text/csv": {"schema": {"type": "string"}}}
        success["200"] = success["200"] | {"content": content}
    if starts:
        location = {"schema": {"type": "string"}, "description": f"the address of the {noun}"}
        success["202"] = success["202"] | {"headers": {"Location": location}}
    problems = {"400": "The request is not valid; nothing was paid"}
    if "{" in path or (method, path) in (("delete", "/folders"), ("put", "/budgets")):
        problems["404"] = "Not found"
    is_batch_change = path.startswith("/batches/{name}/re") or path == "/batches/{name}/stop"
    if (
        (starts and noun == "run")
        or is_batch_change
        or path.startswith(("/images/", "/schedules/"))
    ):
        problems["409"] = "Conflicts with what already exists"
    has_body = _request_body(path, method) is not None
    if has_body:
        problems["413"] = "The body is too large"
        problems["415"] = "The body is not application/json"
    problems["500"] = "The deployment has a problem"
    problems["503"] = "Temporarily busy; retry after Retry-After seconds"
    gateway = {
        "401": "No valid token",
        "403": "A token without the scope, or a person without the role",
        "429": "Too many requests at once",
    }
    unnamed = {}
    names_caller = starts and not path.endswith(("/redrive", "/resume", "/stop"))
    if names_caller or method == "put":
        unnamed = {CONTENT_TYPE: {"schema": ref("Problem")}}  # for a token without a subject
    described = (
        success
        | {status: _response(about, "Problem", CONTENT_TYPE) for status, about in problems.items()}
        | {
            status: _response(about, "GatewayMessage", "application/json")
            for status, about in gateway.items()
        }
    )
    described["401"]["content"] |= unnamed
    # The gateway checks the scope, and the function the role.
    described["403"]["content"] |= {CONTENT_TYPE: {"schema": ref("Problem")}}
    return described


def _response(about: str, shape: str, content_type: str) -> Schema:
    return {"description": about, "content": {content_type: {"schema": ref(shape)}}}


def main() -> None:
    """Print the description."""
    from functions.api.handler import RESOLVER

    print(json.dumps(describe(RESOLVER), indent=2))


if __name__ == "__main__":
    main()
