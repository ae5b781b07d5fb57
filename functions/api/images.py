"""The gallery: pictures newest first, one with its lineage, delete and undo."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions import keys
from functions.adapters.gallery import Shelved
from functions.adapters.object_store import console_url
from functions.adapters.records import DELETED, STORED, PromptRecord
from functions.api import answers, incoming, pictures
from functions.api.outside import Outside, given, usd
from functions.api.runs import begin
from functions.request import MAX_TOPIC

router = APIGatewayHttpRouter()
PictureId = Annotated[str, Path(description="a picture's id, such as 1f0c9a2e-1; never its key")]
Filter = Annotated[str | None, Query(min_length=1, max_length=1024)]


@router.get("/images")
def list_images(
    folder: Filter = None,
    topic: Annotated[str | None, Query(min_length=1, max_length=MAX_TOPIC)] = None,
    status: Annotated[Literal["stored", "deleted"], Query(description="deleted: those that can still be had back")] = "stored",
    cursor: Filter = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
) -> answers.Images:
    """Pictures, newest first; of the deleted, those that were deleted last."""
    outside = given(router)
    incoming.check_parameters(router.current_event, "folder", "topic", "status", "cursor", "limit")
    days = outside.settings.recoverable_days
    since = _iso(outside.now() - timedelta(days=days)) if status == DELETED and days is not None else None
    folder = keys.check_folder(folder, field="folder") if folder is not None else None
    found, more = outside.gallery.page(status=status, folder=folder, topic=topic, after=cursor, since=since, limit=limit)
    prompts = outside.gallery.prompts(picture.run_id for picture in found)
    return answers.Images(images=[_image(picture, prompts.get(picture.run_id), outside) for picture in found], cursor=more)


@router.get("/images/<id>")
def show_image(id: PictureId) -> answers.Lineage:  # noqa: A002 - the route's own word
    """A picture with all that is known of it: its whole prompt, parameters, usage, cost."""
    outside = given(router)
    picture = outside.gallery.find(id)
    return _lineage(picture, outside.gallery.prompts([picture.run_id])[picture.run_id], outside)


@router.delete("/images/<id>")
def delete_image(id: PictureId) -> Response[answers.Run]:  # noqa: A002
    """Delete a picture; it can be had back for as long as `recoverable_until` says. The run that does it is the answer."""
    outside = given(router)
    return begin({"action": "delete_image", "image_key": outside.gallery.find(id).key, "confirm": True}, outside)


@router.post("/images/<id>/restore")
def restore_image(id: PictureId) -> Response[answers.Run]:  # noqa: A002
    """Undo a delete that has ended. The run that does it is the answer."""
    outside = given(router)
    return begin({"action": "restore_image", "image_key": outside.gallery.find(id).key}, outside)


def _image(picture: Shelved, prompt: PromptRecord | None, outside: Outside) -> answers.Image:
    stored, days = picture.status == STORED, outside.settings.recoverable_days
    text, was_cut = pictures.cut(prompt)
    gone = picture.deleted_at if not stored else None
    shown = {name: value for name, value in asdict(picture).items() if name in answers.Image.model_fields}
    own = {
        "id": picture.id,
        "cost_usd": usd(picture.cost_micro_usd),
        "deleted_at": gone,
        "recoverable_until": _iso(datetime.fromisoformat(gone) + timedelta(days=days)) if gone and days is not None else None,
        "prompt": text,
        "prompt_cut": was_cut,
        "run_url": outside.run_url(picture.run_id),
        "console_url": console_url(outside.settings.bucket, picture.key, region=outside.settings.region) if stored else None,
        "links": pictures.links(picture.key, outside) if stored else None,
    }
    return answers.Image.model_validate(shown | own)


def _lineage(picture: Shelved, prompt: PromptRecord, outside: Outside) -> answers.Lineage:
    choices = ("style", "size", "quality", "background", "output_format")
    return answers.Lineage.model_validate(
        _image(picture, prompt, outside).model_dump()
        | {name: prompt.choices[name] for name in choices}
        | {
            "prompt": prompt.text,
            "prompt_cut": False,
            "tags": prompt.tags,
            "usage": picture.usage,
            "sha256": picture.sha256,
            "chat_model": prompt.chat_model,
            "chat_cost_usd": usd(prompt.chat_cost_micro_usd),
            "possibly_paid": picture.possibly_paid,
            "run_started": prompt.started,
        }
    )


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
