"""Choosing among images: mark, tag, move, and act on many at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import MISSING, ConflictError, FinalError, InputError, Summary
from easel.contract.status import Status
from easel.ledger.marks import Change
from easel.request.actions import MAX_IMAGES, MOVE, RESTORES, SHARE, UNSHARE, ImageIds
from easel.request.fields import Choice, Flag, Kind, check_fields, drop_nulls
from easel.request.names import check_folder
from easel.request.request import NOT_SHARED
from easel.request.tags import Tags
from functions.api import schemas
from functions.api.caller import check_parameters, read_body
from functions.api.images import ImageId
from functions.api.runs import start_upkeep
from functions.api.services import services_of

router = APIGatewayHttpRouter()
AT_ONCE = 8  # below the 10 connections that boto3 keeps open
IDS = ImageIds(MAX_IMAGES)
# The marks of an image, and the kinds of their values.
NOTES: dict[str, Kind] = {
    "favourite": Flag(),
    "hidden": Flag(),
    "add_tags": Tags(),
    "remove_tags": Tags(),
}
# The actions on many images by their name here, each with the action of a run.
RUN_ACTIONS = {
    "delete": "delete_image",
    "restore": RESTORES[0],
    "share": SHARE,
    "unshare": UNSHARE,
    "move": MOVE,
}
ACTION = Choice(tuple(RUN_ACTIONS))


@router.patch("/images/<id>")
def change_image(id: ImageId) -> schemas.Marks:  # noqa: A002 - the route's own word
    """Change an image's marks: `favourite`, `hidden`, and its tags."""
    services = services_of(router)
    check_parameters(router.current_event)
    body = drop_nulls(read_body(router.current_event))
    check_fields(body, tuple(NOTES))
    change = _read_change(body)
    image = services.gallery.find(id)
    if image.status != Status.STORED:
        raise ConflictError(f"image {id} is deleted; restore it first")
    services.marks.change(image.run_id, image.n, change)
    image = services.gallery.find(id)
    return schemas.Marks(
        id=id,
        favourite=image.favourite is True,
        hidden=image.hidden is True,
        own_tags=sorted(image.tags or ()),
    )


@router.post("/images/changes")
def change_images() -> schemas.ChangedImages:
    """Change the marks of 1 to 1,000 images. PATCH /images/{id} has the same fields.

    The answer lists the images that were not changed, and why. All others were.
    """
    services = services_of(router)
    check_parameters(router.current_event)
    body = drop_nulls(read_body(router.current_event))
    check_fields(body, ("ids", *NOTES))
    ids = _read_ids(body)
    change = _read_change({name: body[name] for name in body if name != "ids"})

    def change_one(image_id: str) -> schemas.FailedChange | None:
        try:
            run_id, n = services.gallery.locate(image_id)
            services.marks.change(run_id, n, change)
        except FinalError as error:
            name = type(error).__name__
            return schemas.FailedChange(id=image_id, error=name, detail=str(error))
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failed = [failure for failure in pool.map(change_one, ids) if failure]
    return schemas.ChangedImages(changed=len(ids) - len(failed), failed=failed)


@router.post("/images/actions")
def act_on_images() -> Response[schemas.Run]:
    """Delete, restore, share, unshare or move 1 to 1,000 images. Returns the run that does it.

    If the run fails, its error names the images that were not changed. All others were.
    """
    services = services_of(router)
    check_parameters(router.current_event)
    body = drop_nulls(read_body(router.current_event))
    check_fields(body, ("ids", "action", "folder"))
    ids = _read_ids(body)
    action = RUN_ACTIONS[ACTION.check("action", body.get("action", MISSING))]
    request: dict[str, Any] = {"action": action, "image_ids": list(ids)}
    if action == MOVE:
        request["to_folder"] = _read_folder(body)
    elif "folder" in body:
        raise InputError("folder", body["folder"], "only with the action move")
    if action == SHARE and services.delivery.url is None:
        raise ConflictError(f"the images cannot be shared: {NOT_SHARED}")
    if action == "delete_image":
        request["confirm"] = True
    return start_upkeep(request, services)


@router.post("/images/<id>/move")
def move_image(id: ImageId) -> Response[schemas.Run]:  # noqa: A002
    """Move an image to another folder. Returns the run that moves it.

    It keeps its id, its links and its lineage. Moving it back undoes the move.
    """
    services = services_of(router)
    check_parameters(router.current_event)
    body = drop_nulls(read_body(router.current_event))
    check_fields(body, ("folder",))
    folder = _read_folder(body)
    image = services.gallery.find(id)
    if image.status != Status.STORED:
        raise ConflictError(f"image {id} is deleted; restore it before you move it")
    target = {"image_key": image.key, "image_id": image.id, "to_folder": folder}
    return start_upkeep({"action": MOVE} | target, services)


def _read_ids(body: dict[str, Any]) -> tuple[str, ...]:
    if "ids" not in body:
        raise InputError("ids", MISSING, f"1 to {MAX_IMAGES:,} ids of images")
    return IDS.check("ids", body["ids"])


def _read_folder(body: dict[str, Any]) -> str:
    return check_folder(body.get("folder", MISSING), "folder")


def _read_change(body: dict[str, Any]) -> Change:
    """Return the change in a body. Raises InputError for an empty body."""
    if not body:
        raise InputError(
            "the body", Summary("without a change"), f"at least one of {', '.join(NOTES)}"
        )
    return Change(**{name: NOTES[name].check(name, value) for name, value in body.items()})
