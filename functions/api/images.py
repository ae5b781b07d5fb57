"""The gallery: list images, show one with its lineage, delete and restore."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.aws.bucket import console_url
from easel.contract import naming
from easel.contract.errors import ConflictError, InputError
from easel.contract.money import dollars
from easel.contract.status import Status
from easel.ledger import gallery
from easel.ledger.gallery import GalleryImage
from easel.ledger.records import PromptRecord
from easel.request.actions import SHARE, UNSHARE
from easel.request.fields import from_texts
from easel.request.names import check_folder
from easel.request.request import NOT_SHARED, TOPIC
from easel.search.query import ALL, needs_index, read_query
from easel.search.query import TABLE as SEARCH
from functions.api import schemas
from functions.api.caller import check_parameters
from functions.api.runs import start_upkeep
from functions.api.services import ApiServices, services_of
from functions.api.views import cut_prompt, show_share, show_sizes

router = APIGatewayHttpRouter()
ImageId = Annotated[str, Path(description="an image's id, such as 1f0c9a2e4b7d8035-1, not its key")]
Filter = Annotated[str | None, Query(min_length=1, max_length=1024)]
SHOWN = (
    "run_id",
    "n",
    "status",
    "key",
    "folder",
    "topic",
    "title",
    "alt_text",
    "model",
    "width",
    "height",
    "bytes",
)
MAX_USED_IN = 20
CHOICES = ("style", "size", "quality", "background", "output_format")


@router.get("/images")
def list_images(
    folder: Filter = None,
    topic: Annotated[str | None, Query(min_length=1, max_length=TOPIC.limit)] = None,
    status: Annotated[
        Literal["stored", "deleted"],
        Query(description="deleted: the images that can still be restored"),
    ] = "stored",
    cursor: Filter = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
) -> schemas.Images:
    """Return images, newest first. Deleted images are sorted by the time of their delete.

    With `q`, or another parameter of the search, only stored images are found, and changes are seen
    after about a second. A page with a cursor may have fewer images than `limit`.
    """
    services = services_of(router)
    known = ("folder", "topic", "status", "cursor", "limit", *SEARCH)
    parameters = check_parameters(router.current_event, *known)
    folder = check_folder(folder, "folder") if folder is not None else None
    search = from_texts(
        SEARCH, ((name, text) for name, text in parameters.items() if name in SEARCH)
    )
    if search and status == "deleted":
        reason = f"{next(iter(search))} searches stored images only"
        raise InputError("status", status, "stored", but=reason)
    query = read_query(search, folder=folder, topic=topic)
    if needs_index(search):
        results = services.search.page(query, after=cursor, limit=limit)
        return _page(results.images, results.prompts, results.cursor, services)
    days = services.storage.recoverable_days
    since = None
    if status == "deleted" and days is not None:
        since = f"{services.now() - timedelta(days=days):%Y-%m-%dT%H:%M:%S.%fZ}"
    criteria = gallery.Filter(
        status=Status(status),
        folder=folder,
        topic=topic,
        since=since,
        with_hidden=status == "deleted" or search.get("hidden") == ALL,
    )
    images, following = services.gallery.page(criteria, after=cursor, limit=limit)
    prompts = services.gallery.prompts(image.run_id for image in images)
    return _page(images, prompts, following, services)


@router.get("/images/<id>")
def show_image(id: ImageId) -> schemas.Lineage:  # noqa: A002 - the route's own word
    """Return an image with all that is known about it: full prompt, parameters, usage and cost."""
    services = services_of(router)
    image = services.gallery.find(id)
    prompt = services.gallery.prompts([image.run_id])[image.run_id]
    used_in, used_in_count = _used_in(image, services)
    whole = {"prompt": prompt.text, "prompt_cut": False}
    return schemas.Lineage(
        **_fields(image, prompt, services) | whole,
        **{name: prompt.choices[name] for name in CHOICES},
        references=_references(prompt, services),
        used_in=used_in,
        used_in_count=used_in_count,
        sizes=show_sizes(image, services),
        request=prompt.request,
        person=prompt.person,
        trigger=prompt.trigger,
        usage=image.usage,
        sha256=image.sha256,
        chat_model=prompt.chat_model,
        chat_cost_usd=dollars(prompt.chat_cost_micro_usd),
        possibly_paid=image.possibly_paid,
        run_started=datetime.fromisoformat(prompt.started),
    )


@router.delete("/images/<id>")
def delete_image(id: ImageId) -> Response[schemas.Run]:  # noqa: A002
    """Delete an image. Returns the run that deletes it.

    The image can be restored until the time in `recoverable_until`.
    """
    services = services_of(router)
    image = services.gallery.find(id)
    if image.status == Status.DELETED:
        raise ConflictError(f"image {id} is deleted already; POST /images/{id}/restore restores it")
    target = {"image_key": image.key, "image_id": image.id}
    return start_upkeep({"action": "delete_image", "confirm": True} | target, services)


@router.post("/images/<id>/restore")
def restore_image(id: ImageId) -> Response[schemas.Run]:  # noqa: A002
    """Restore a deleted image, once the delete has ended. Returns the run that restores it."""
    services = services_of(router)
    image = services.gallery.find(id)
    if image.status == Status.STORED:
        raise ConflictError(f"image {id} is not deleted, so there is nothing to restore")
    target = {"image_key": image.key, "image_id": image.id}
    return start_upkeep({"action": "restore_image"} | target, services)


@router.post("/images/<id>/share")
def share_image(id: ImageId) -> Response[schemas.Run]:  # noqa: A002
    """Give an image a public address. Returns the run that shares it.

    When the run has succeeded, `GET /images/{id}` has the address in `share`. A shared image keeps
    its address until it is unshared or deleted.
    """
    services = services_of(router)
    image = services.gallery.find(id)
    if services.delivery.url is None:
        raise ConflictError(f"image {id} cannot be shared: {NOT_SHARED}")
    if image.status == Status.DELETED:
        raise ConflictError(f"image {id} is deleted; restore it before you share it")
    target = {"image_key": image.key, "image_id": image.id}
    return start_upkeep({"action": SHARE} | target, services)


@router.delete("/images/<id>/share")
def unshare_image(id: ImageId) -> Response[schemas.Run]:  # noqa: A002
    """Make an image private again. Returns the run that removes the public copy.

    The old address answers 403 within a minute after the run, and never works again. It can be
    repeated, also for an image that is private.
    """
    services = services_of(router)
    image = services.gallery.find(id)
    target = {"image_key": image.key, "image_id": image.id}
    return start_upkeep({"action": UNSHARE} | target, services)


def _page(
    images: Iterable[GalleryImage],
    prompts: Mapping[str, PromptRecord],
    cursor: str | None,
    services: ApiServices,
) -> schemas.Images:
    shown = [
        schemas.Image(**_fields(image, prompts.get(image.run_id), services)) for image in images
    ]
    return schemas.Images(images=shown, cursor=cursor)


def _fields(
    image: GalleryImage, prompt: PromptRecord | None, services: ApiServices
) -> dict[str, Any]:
    """Return the fields of schemas.Image."""
    storage, is_stored = services.storage, image.status == Status.STORED
    text, was_cut = cut_prompt(prompt)
    deleted = None
    if not is_stored and image.deleted_at:
        deleted = datetime.fromisoformat(image.deleted_at)
    days = storage.recoverable_days
    until = deleted + timedelta(days=days) if deleted and days is not None else None
    url = None
    if is_stored and services.has_console:
        url = console_url(storage.bucket, image.key, region=storage.region)
    own_tags = sorted(image.tags or ())
    size, edges = (image.width, image.height), image.previews or ()
    links = services.image_links.of(image.key, size, edges) if is_stored else None
    return {name: getattr(image, name) for name in SHOWN} | {
        "id": image.id,
        "cost_usd": dollars(image.cost_micro_usd),
        "stored_at": datetime.fromisoformat(image.stored_at),
        "deleted_at": deleted,
        "recoverable_until": until,
        "prompt": text,
        "prompt_cut": was_cut,
        "run_url": services.run_url(image.run_id),
        "console_url": url,
        "links": links,
        "share": show_share(image, services),
        "reference_count": len(prompt.inputs.images) if prompt else 0,
        "favourite": image.favourite is True,
        "hidden": image.hidden is True,
        "tags": list(dict.fromkeys([*own_tags, *(prompt.tags if prompt else ())])),
        "own_tags": own_tags,
    }


def _references(prompt: PromptRecord, services: ApiServices) -> list[schemas.ReferenceImage]:
    """Return what an image was made from, with a thumbnail of what is still there."""
    inputs = prompt.inputs
    owners = services.gallery.owners(inputs.keys)
    stored = {key: image for image in owners for key in image.keys}
    shown = []
    for reference in inputs.all:
        image = stored.get(reference.key)
        key = image.key if image else reference.key
        has_thumbnail = image is not None or naming.upload_id(key) is not None
        shown.append(
            schemas.ReferenceImage(
                key=key,
                id=image.id if image else None,
                is_mask=reference == inputs.mask,
                sha256=reference.sha256,
                thumbnail=services.image_links.of(key).thumbnail if has_thumbnail else None,
            )
        )
    return shown


def _used_in(image: GalleryImage, services: ApiServices) -> tuple[list[schemas.MadeImage], int]:
    """Return the newest stored images that were made from this one, and how many there are."""
    uses = [services.reference_users.made_from(key, runs=MAX_USED_IN) for key in image.keys]
    runs = [run for found, _ in uses for run in found]
    runs.sort(key=lambda run: run.prompt.started if run.prompt else "", reverse=True)
    count = sum(number for _, number in uses)
    made = [
        schemas.MadeImage(
            id=naming.image_id(image.run_id, image.n),
            key=image.key,
            title=run.prompt.title if run.prompt else "",
            thumbnail=services.image_links.of(image.key).thumbnail,
        )
        for run in runs[:MAX_USED_IN]
        for image in run.images
        if image.status == Status.STORED and image.key
    ]
    # With more runs than are read, the number of requested images has to do.
    return made[:MAX_USED_IN], count if len(runs) >= MAX_USED_IN else len(made)
