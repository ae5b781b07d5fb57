"""The shapes of the requests' bodies, for the API's description."""

from typing import Any

from easel.ledger.limits import MAX_USD
from easel.request.names import BATCH_NAME, IMAGE_ID
from easel.request.presets import FIELDS as PRESET_FIELDS
from easel.request.request import TABLE
from easel.schedules import schedule
from functions.api import redrives
from functions.api.batches import BYTES, FORMAT, START_TABLE
from functions.api.choosing import ACTION, IDS, NOTES
from functions.api.people import MAX_PERSON
from functions.api.runs import BODY_FIELDS
from functions.api.schedules import PUT_FIELDS
from functions.api.uploads import UPLOAD_KINDS

Schema = dict[str, Any]
IMAGE_ID_SCHEMA: Schema = {"type": "string", "pattern": f"^{IMAGE_ID.pattern}$"}
FOLDER: Schema = TABLE["folder_name"].kind.schema()
NAME: Schema = {"type": "string"}
AN_ID = "1f0c9a2e4b7d8035-1"


def ref(shape: str) -> Schema:
    """Return a reference to one of the described shapes."""
    return {"$ref": f"#/components/schemas/{shape}"}


def object_schema(fields: Schema, **more: Any) -> Schema:
    """Return the schema of an object with these fields and no others."""
    return {"type": "object", "properties": fields, "additionalProperties": False, **more}


def nullable(schema: Schema) -> Schema:
    """Return a schema that accepts null as well."""
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    nullable = schema | {"type": [schema["type"], "null"]}
    return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable


def format_schema() -> Schema:
    """Return the schema of a manifest's format."""
    first, *others = FORMAT.options
    return {"type": ["string", "null"], "enum": [first, *others, None], "default": first}


def request_schema() -> Schema:
    """Return the schema of a request, from its field table. A null counts as no value."""
    fields = {name: nullable(TABLE[name].schema()) for name in BODY_FIELDS}
    return object_schema(fields) | {"title": "Request"}


def start_schema() -> Schema:
    """Return the schema of a batch's start, from its field table. A null counts as no value."""
    fields = {name: nullable(field.schema()) for name, field in START_TABLE.items()}
    about = "required, except for a dry run, which reports the version that it checked"
    fields["version_id"] |= {"description": about}
    return object_schema({"format": format_schema()} | fields) | {"title": "BatchStart"}


def schedule_schema() -> Schema:
    """Return the schema of a schedule without its name, from its field table."""
    fields = {name: nullable(schedule.TABLE[name].schema()) for name in PUT_FIELDS}
    fields |= {
        "when": schedule.TABLE["when"].schema(),
        "request": {"anyOf": [ref("Request"), {"type": "null"}]},
    }
    return object_schema(fields, required=["when"]) | {"title": "SchedulePut"}


def bodies() -> dict[str, tuple[Schema, Any]]:
    """Return the schema and an example of each path's body."""
    usd = {"type": ["number", "null"], "minimum": 0, "maximum": MAX_USD}
    person = {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_PERSON}
    notes = {field: nullable(kind.schema()) for field, kind in NOTES.items()}
    ids = {"ids": IDS.schema()}
    prompt = nullable(TABLE["edited_prompt"].schema())
    fields = {name: nullable(TABLE[name].schema()) for name in PRESET_FIELDS}
    upload = {field: kind.schema() for field, kind in UPLOAD_KINDS.items()}
    batch = {"name": NAME | {"pattern": f"^{BATCH_NAME.pattern}$"}}
    batch |= {"format": format_schema(), "bytes": BYTES.schema()}
    request: tuple[Schema, Any] = (ref("Request"), {"topic": "Sport", "count": 2})
    return {
        "/runs": request,
        "/estimate": request,
        "/runs/redrive": (
            object_schema({"ids": redrives.IDS.schema()}, required=["ids"]),
            {"ids": ["c4061ecb-order-4711", "c4061ecb-order-4712"]},
        ),
        "/runs/{id}/paint": (
            object_schema({"prompt": prompt}),
            {"prompt": "A red kite over a school yard, morning light"},
        ),
        "/batches": (
            object_schema(batch, required=["name", "bytes"]),
            {"name": "spring", "bytes": 1234},
        ),
        "/batches/{name}/start": (ref("BatchStart"), {"version_id": "VERSION", "dry_run": True}),
        "/uploads": (
            object_schema(upload, required=list(upload)),
            {"name": "teapot.png", "type": "image/png", "bytes": 1234},
        ),
        "/images/{id}": (object_schema(notes), {"favourite": True, "add_tags": ["spring"]}),
        "/images/{id}/move": (
            object_schema({"folder": FOLDER}, required=["folder"]),
            {"folder": "ads"},
        ),
        "/images/changes": (
            object_schema(ids | notes, required=["ids"]),
            {"ids": [AN_ID], "favourite": True},
        ),
        "/images/actions": (
            object_schema(
                ids | {"action": ACTION.schema(), "folder": nullable(FOLDER)},
                required=["ids", "action"],
            ),
            {"ids": [AN_ID], "action": "move", "folder": "ads"},
        ),
        "/presets/{name}": (
            object_schema(
                {"fields": object_schema(fields), "example": nullable(IMAGE_ID_SCHEMA)},
                required=["fields"],
            ),
            {"fields": {"style": "flat, two colours", "quality": "high"}},
        ),
        "/schedules/{name}": (
            ref("SchedulePut"),
            {"when": "cron(0 8 ? * MON-FRI *)", "time_zone": "Europe/Berlin"},
        ),
        "/budgets": (
            object_schema(
                {"usd": usd, "folder": nullable(FOLDER), "person": person}, required=["usd"]
            ),
            {"folder": "ads", "usd": 5},
        ),
        "/folders/restore": (
            object_schema({"name": NAME}, required=["name"]),
            {"name": "campaign/spring"},
        ),
    }


BODIES = bodies()
