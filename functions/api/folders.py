"""Folders: list, delete and restore.

Folder names are in the query or the body, because a slash in a path would match another route.
"""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import MISSING, InputError, NotFoundError, label, summarize
from easel.request.names import check_folder
from functions.api import schemas
from functions.api.caller import check_parameters, read_body
from functions.api.runs import start_upkeep
from functions.api.services import services_of

router = APIGatewayHttpRouter()


@router.get("/folders")
def list_folders() -> schemas.Folders:
    """Return all folders that hold images, with their image count and bytes."""
    services = services_of(router)
    check_parameters(router.current_event)
    folders = [
        schemas.Folder(name=folder.name, count=folder.images, bytes=folder.bytes)
        for folder in services.gallery.folders()
    ]
    return schemas.Folders(folders=folders)


@router.delete("/folders")
def delete_folder(
    name: Annotated[str, Query(min_length=1, max_length=1024)],
    confirm: Annotated[
        str | None, Query(description="must be true, because the whole folder is deleted")
    ] = None,
) -> Response[schemas.Run]:
    """Delete the images of a folder and its subfolders. Returns the run that deletes them.

    The delete can be undone.
    """
    services = services_of(router)
    check_parameters(router.current_event, "name", "confirm")
    folder = check_folder(name, "name")
    if confirm != "true":
        value = MISSING if confirm is None else confirm
        raise InputError("confirm", value, "true, because every image in the folder is deleted")
    names = [other.name for other in services.gallery.folders()]
    if not any(other == folder or other.startswith(f"{folder}/") for other in names):
        raise NotFoundError(
            f"there are no images in a folder {folder!a}; GET /folders lists the names"
        )
    run_input = {"action": "delete_folder", "folder_name": folder, "confirm": True}
    return start_upkeep(run_input, services)


@router.post("/folders/restore")
def restore_folder() -> Response[schemas.Run]:
    """Restore a deleted folder, once the delete has ended. Returns the run that restores it."""
    body = read_body(router.current_event)
    for name, value in body.items():
        if name != "name":
            reason = "there is no such field"
            raise InputError(label(name), summarize(value), "name", but=reason)
    folder = check_folder(body.get("name", MISSING), "name")
    return start_upkeep({"action": "restore_folder", "folder_name": folder}, services_of(router))
