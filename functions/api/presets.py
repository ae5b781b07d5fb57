"""Presets: named fields of a request, such as the style of the house."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import EaselError, InputError, summarize
from easel.contract.status import Status
from easel.ledger.gallery import GalleryImage
from easel.request import request
from easel.request.fields import check_fields
from easel.request.names import check_image_id
from easel.request.presets import Preset, check_preset_fields, check_preset_name
from easel.request.request import TABLE
from functions.api import preset_schemas as schemas
from functions.api.caller import check_parameters, read_body
from functions.api.problems import refusal
from functions.api.services import ApiServices, services_of

router = APIGatewayHttpRouter()
Name = Annotated[str, Path(description="the preset's name")]


@router.get("/presets")
def list_presets() -> schemas.Presets:
    """Return all presets by name."""
    services = services_of(router)
    check_parameters(router.current_event)
    return schemas.Presets(presets=[_show(preset, services) for preset in services.presets.all()])


@router.put("/presets/<name>")
def put_preset(name: Name) -> schemas.Preset:
    """Create a preset, or replace the one of this name.

    Runs that have begun keep the fields that it had. `example` is the id of an image.
    """
    services, body = services_of(router), read_body(router.current_event)
    check_parameters(router.current_event)
    check_fields(body, ("fields", "example"))
    fields = body.get("fields")
    if not isinstance(fields, dict):
        raise InputError("fields", summarize(fields), "an object with fields of a request")
    check_preset_name(name, "name")
    kept = check_preset_fields(fields, TABLE)
    try:
        request.parse(kept, services.requests, today=services.now().date())
    except EaselError as error:
        raise refusal(error, status=400) from error
    example = body.get("example")
    if example is not None:
        services.gallery.find(check_image_id(example, "example"))
    preset = Preset(name=name, fields=kept, example=example)
    services.presets.put(preset)
    return _show(preset, services)


@router.delete("/presets/<name>")
def delete_preset(name: Name) -> schemas.DeletedPreset:
    """Delete a preset. Runs and images that were made with it stay."""
    services = services_of(router)
    check_parameters(router.current_event)
    services.presets.delete(check_preset_name(name, "name"))
    return schemas.DeletedPreset(name=name)


def _show(preset: Preset, services: ApiServices) -> schemas.Preset:
    image = _example(preset.example, services) if preset.example else None
    return schemas.Preset(
        name=preset.name,
        fields=dict(preset.fields),
        example=preset.example,
        thumbnail=services.image_links.of(image.key).thumbnail if image else None,
        declared=preset.declared,
    )


def _example(image_id: str, services: ApiServices) -> GalleryImage | None:
    """Return the example of a preset, or None if it was deleted."""
    try:
        image = services.gallery.find(image_id)
    except EaselError:
        return None
    return image if image.status == Status.STORED else None
