"""Folders: list, delete and restore.

Folder names are in the query or the body, because a slash in a path would match another route.
"""

import unicodedata
from collections.abc import Iterable
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract.errors import MISSING, InputError, NotFoundError, label, summarize
from easel.ledger.folders import Folder
from easel.request.names import check_folder
from functions.api import schemas
from functions.api.caller import check_parameters, read_body
from functions.api.runs import start_upkeep
from functions.api.services import services_of

router = APIGatewayHttpRouter()
MAX_PREFIX_BYTES = 1_000  # DynamoDB refuses a condition on a sort key of more than 1,024


@router.get("/folders")
def list_folders(
    prefix: Annotated[
        str | None,
        Query(
            min_length=1, max_length=1024, description="the beginning of the names; case matters"
        ),
    ] = None,
    name: Annotated[
        str | None,
        Query(min_length=1, max_length=1024, description="this folder, without its subfolders"),
    ] = None,
    cursor: Annotated[str | None, Query(min_length=1, max_length=1400)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> schemas.Folders:
    """Return folders that hold images, sorted by name, with their image count and bytes."""
    services = services_of(router)
    given = check_parameters(router.current_event, "prefix", "name", "cursor", "limit")
    if name is None:
        prefix = unicodedata.normalize("NFC", prefix or "")
        if len(prefix.encode()) > MAX_PREFIX_BYTES:
            raise InputError("prefix", prefix, f"at most {MAX_PREFIX_BYTES:,} bytes in UTF-8")
        folders, following = services.folders.page(prefix=prefix, after=cursor, limit=limit)
        return _page(folders, following)
    for other in ("prefix", "cursor"):
        if other in given:
            raise InputError(other, given[other], "no value together with name")
    folder = services.folders.find(check_folder(name, "name"))
    return _page([folder] if folder else [], None)


def _page(folders: Iterable[Folder], cursor: str | None) -> schemas.Folders:
    """Return a page of folders as the API shows it."""
    shown = [
        schemas.Folder(name=folder.name, count=folder.images, bytes=folder.bytes)
        for folder in folders
    ]
    return schemas.Folders(folders=shown, cursor=cursor)


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
    if not services.folders.has_images(folder):
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
