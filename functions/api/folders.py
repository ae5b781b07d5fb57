"""Folders: what they hold, delete and undo. Their names go by query or body, since a slash in a path would route elsewhere."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions import keys
from functions.api import answers, incoming
from functions.api.outside import given
from functions.api.runs import begin
from functions.errors import MISSING, InputError, NotFoundError

router = APIGatewayHttpRouter()


@router.get("/folders")
def list_folders() -> answers.Folders:
    """All folders that hold pictures, with their count and bytes."""
    outside = given(router)
    incoming.check_parameters(router.current_event)
    found = [answers.Folder(name=folder.name, count=folder.pictures, bytes=folder.bytes) for folder in outside.gallery.folders()]
    return answers.Folders(folders=found)


@router.delete("/folders")
def delete_folder(
    name: Annotated[str, Query(min_length=1, max_length=1024)],
    confirm: Annotated[str | None, Query(description="has to be true, since a whole folder goes")] = None,
) -> Response[answers.Run]:
    """Delete the pictures of a folder and of those below it, which can be undone. The run that does it is the answer."""
    incoming.check_parameters(router.current_event, "name", "confirm")
    folder = keys.check_folder(name, field="name")
    if confirm != "true":
        raise InputError("confirm", MISSING if confirm is None else confirm, "true, since all pictures in the folder go")
    outside = given(router)
    if not any(known.name == folder or known.name.startswith(f"{folder}/") for known in outside.gallery.folders()):
        raise NotFoundError(f"there is no folder {folder!a} with pictures in it: GET /folders gives their names")
    return begin({"action": "delete_folder", "folder_name": folder, "confirm": True}, outside)


@router.post("/folders/restore")
def restore_folder() -> Response[answers.Run]:
    """Undo the delete of a folder that has ended. The run that does it is the answer."""
    asked = incoming.body(router.current_event)
    for name, value in asked.items():
        if name != "name":
            raise InputError(name, value, "no such field, only name")
    folder = keys.check_folder(asked.get("name", MISSING), field="name")
    return begin({"action": "restore_folder", "folder_name": folder}, given(router))
