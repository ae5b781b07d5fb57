"""The API's description in OpenAPI: made from the routes and the answers' shapes, and what the gateway adds."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import ApiGatewayResolver

from functions import keys, models, request
from functions.adapters.gallery import PICTURE_ID
from functions.api import answers
from functions.api.batches import FORMATS, VERSION_ID
from functions.api.problems import CONTENT_TYPE
from functions.api.routes import DATA
from functions.api.runs import KEY_HEADER, MAX_KEY
from functions.keys import RUN_ID_LETTER

ABOUT = (
    "AI pictures, made on AWS Lambda and kept in S3. A run is asked for with a key of the caller's own, and is paid once however often "
    "it is asked for. Every data route wants an access token with the scope that it names. An error is a problem of RFC 9457 whose title "
    "is the name of one of Easel's errors; 401, 403 and 429 come from the gateway."
)
VERSION = "1"


def described(resolver: ApiGatewayResolver) -> dict[str, Any]:
    """The whole description."""
    made: dict[str, Any] = json.loads(resolver.get_openapi_json_schema(title="Easel", version=VERSION, description=ABOUT))
    made["servers"] = [{"url": "."}]
    shapes = made["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)
    for shape in (answers.Problem, answers.GatewayMessage):
        shapes[shape.__name__] = shape.model_json_schema()
    shapes |= {"Request": request_shape(), "BatchStart": start_shape()}
    token = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "an access token, as `make token` prints one"}
    made["components"]["securitySchemes"] = {"token": token}
    scopes = {(method.lower(), path): scope for method, path, scope in DATA}
    # The resolver has no public list of its routes, and takes no summary from a function's docstring.
    answers_it = {(route.method.lower(), route.openapi_path): route.func for route in resolver._dynamic_routes + resolver._static_routes}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            function = answers_it[method, path]
            operation |= {"operationId": function.__name__, "summary": function.__doc__, "tags": [path.split("/")[1]]}
            _complete(operation, path, method, scope=scopes[method, path])
    order = [path for _, path, _ in DATA]
    made["paths"] = dict(sorted(made["paths"].items(), key=lambda item: order.index(item[0])))
    return made


def request_shape() -> dict[str, Any]:
    """A request's fields, as functions/request.py checks them."""

    def text(limit: int) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": limit, "pattern": r"\S"}

    def one_of(values: tuple[str, ...]) -> dict[str, Any]:
        return {"type": "string", "enum": list(values)}

    fields: dict[str, dict[str, Any]] = {
        "topic": text(request.MAX_TOPIC),
        "topics": {"type": "array", "items": text(request.MAX_TOPIC), "minItems": 1, "maxItems": request.MAX_TOPICS},
        "description": text(request.MAX_DESCRIPTION),
        "prompt": text(request.MAX_PROMPT) | {"description": "painted as it is, with no chat call; not with description or style"},
        "style": text(request.MAX_STYLE),
        "count": {"type": "integer", "minimum": 1, "maximum": request.MAX_COUNT, "default": 1},
        "folder_name": {"type": "string", "minLength": 1, "maxLength": 1024, "examples": ["campaign/spring"]},
        "file_name": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "of {date} {time} {run8} {n} {topic}"},
        "model": text(100),
        "size": {"type": "string", "pattern": r"^(auto|\d{2,4}x\d{2,4})$", "default": "1024x1024"},
        "quality": one_of(("auto", *models.QUALITIES)) | {"default": "medium"},
        "output_format": one_of(request.OUTPUT_FORMATS) | {"default": "png"},
        "output_compression": {"type": "integer", "minimum": 0, "maximum": request.MAX_COMPRESSION},
        "background": one_of(request.BACKGROUNDS) | {"default": "auto"},
        "moderation": one_of(request.MODERATIONS) | {"default": "auto"},
        "dry_run": {"type": "boolean", "default": False},
        "aws_region": {"type": "string", "description": "only the stack's own"},
    }
    return {"type": "object", "title": "Request", "properties": fields, "additionalProperties": False}


def start_shape() -> dict[str, Any]:
    """The fields of a batch's start, as functions/batch/asked.py checks them. Null says what leaving out says."""

    def maybe(kind: str, **more: Any) -> dict[str, Any]:
        return {"type": [kind, "null"], **more}

    fields: dict[str, dict[str, Any]] = {
        "format": _format_shape(),
        "version_id": maybe("string", pattern=f"^{VERSION_ID.pattern}$", description="the manifest's version; else the latest"),
        "dry_run": maybe("boolean", description="check and price it, make nothing"),
        "allow_partial": maybe("boolean", description="make as many lines as fit into the month's budget"),
        "economy": maybe("boolean", description="at half the price, within a day"),
        "max_parallel_images": maybe("integer", minimum=1, maximum=1_000, description="at most the deployment's own"),
        "tolerated_failure_percentage": maybe("number", minimum=0, maximum=100),
    }
    return {"type": "object", "title": "BatchStart", "properties": fields, "additionalProperties": False}


def _format_shape() -> dict[str, Any]:
    return {"type": ["string", "null"], "enum": [*FORMATS, None], "default": FORMATS[0]}


def _complete(operation: dict[str, Any], path: str, method: str, *, scope: str) -> None:
    """Add to an operation what its route's function does not say."""
    operation["security"] = [{"token": [scope]}]
    operation["responses"] = _responses(operation["responses"], path, method)
    body = {("post", "/runs"): "Request", ("post", "/estimate"): "Request"}.get((method, path))
    if body:
        operation["requestBody"] = _body({"$ref": f"#/components/schemas/{body}"}, {"topic": "Sport", "count": 2})
    if (method, path) == ("post", "/batches"):
        fields = {"name": {"type": "string", "pattern": f"^{keys.BATCH_NAME.pattern}$"}, "format": _format_shape()}
        new = {"type": "object", "properties": fields, "required": ["name"], "additionalProperties": False}
        operation["requestBody"] = _body(new, {"name": "spring"})
    if (method, path) == ("post", "/batches/{name}/start"):
        operation["requestBody"] = _body({"$ref": "#/components/schemas/BatchStart"}, {"dry_run": True})
    if (method, path) == ("post", "/folders/restore"):
        name = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
        operation["requestBody"] = _body(name, {"name": "campaign/spring"})
    parameters = operation.setdefault("parameters", [])
    if (method, path) == ("post", "/runs"):
        shape = {"type": "string", "pattern": f"^{RUN_ID_LETTER}{{1,{MAX_KEY}}}$"}
        said = "names the run: sent again with the same body it is the same run, which is paid once"
        parameters.append({"name": KEY_HEADER, "in": "header", "required": True, "schema": shape, "description": said})
    if (method, path) == ("get", "/estimate"):
        fields = request_shape()["properties"].items()
        parameters += [{"name": name, "in": "query", "required": False, "schema": shape, "explode": False} for name, shape in fields]
    for parameter in parameters:
        # Left out is all the null that a query has.
        there = [shape for shape in parameter["schema"].pop("anyOf", []) if shape != {"type": "null"}]
        parameter["schema"] |= there[0] if len(there) == 1 else {"anyOf": there} if there else {}
        if path.startswith("/images/") and parameter["in"] == "path":
            parameter["schema"] |= {"pattern": f"^{PICTURE_ID.pattern}$"}
        if path.startswith("/batches/") and parameter["in"] == "path":
            parameter["schema"] |= {"pattern": f"^{keys.BATCH_NAME.pattern}$"}


def _responses(good: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    starts = method == "delete" or (method == "post" and path not in ("/estimate", "/batches"))
    what = "batch" if path.startswith("/batches") else "run"
    success = {"202" if starts else "200": good["200"] | {"description": f"The {what}, which goes on" if starts else "The answer"}}
    if (method, path) == ("post", "/batches"):
        success = {"201": good["200"] | {"description": "Where its manifest is put"}}
    if (method, path) == ("post", "/runs"):
        success["200"] = good["200"] | {"description": "The run of this key, which has ended already"}
    if starts:
        success["202"] = success["202"] | {
            "headers": {"Location": {"schema": {"type": "string"}, "description": f"where the {what} is told"}}
        }
    problems = {"400": "Something in the request is wrong; nothing was paid"}
    if "{" in path or (method, path) == ("delete", "/folders"):
        problems["404"] = "There is none with this name"
    if (starts and what == "run") or path.startswith("/images/"):
        problems["409"] = "It does not fit what is there already"
    if method == "post" and "{id}" not in path:
        problems |= {"413": "The body is too large", "415": "The body is no application/json"}
    problems |= {"500": "The deployment is at fault", "503": "Busy in passing: try again after Retry-After seconds"}
    gateway = {"401": "No valid token", "403": "A token without the scope", "429": "Too many requests at once"}
    return (
        success
        | {status: _answer(said, "Problem", CONTENT_TYPE) for status, said in problems.items()}
        | {status: _answer(said, "GatewayMessage", "application/json") for status, said in gateway.items()}
    )


def _answer(said: str, shape: str, content_type: str) -> dict[str, Any]:
    return {"description": said, "content": {content_type: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}}


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def main() -> None:
    """Print the description: `python -m functions.api.document`."""
    from functions.api.handler import RESOLVER

    print(json.dumps(described(RESOLVER), indent=2))


if __name__ == "__main__":
    main()
