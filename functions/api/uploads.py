"""Uploads: get a link to upload an image, and ask whether it is ready to make images from it."""

from typing import Annotated
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from easel.contract import naming
from easel.contract.errors import MISSING, InputError, NotFoundError
from easel.ledger.uploads import MAX_BYTES, TYPES, UploadStatus
from easel.request.fields import Choice, Text, WholeNumber, check_fields, drop_nulls
from functions.api import schemas, views
from functions.api.caller import read_body
from functions.api.services import services_of

router = APIGatewayHttpRouter()
# Errors and logs must not repeat the name, because a person wrote it.
UPLOAD_KINDS = {
    "name": Text(200, private=True),
    "type": Choice(TYPES),
    "bytes": WholeNumber(1, MAX_BYTES),
}
UploadId = Annotated[str, Path(description="an upload's id, from the answer to POST /uploads")]


@router.post("/uploads")
def make_upload() -> Response[schemas.NewUpload]:
    """Return a link to upload an image, which a request can then name in `reference_images`.

    The link is valid for fifteen minutes. It allows the upload of a file with this size and type
    and nothing else. The image is checked when it has arrived.
    """
    services, body = services_of(router), drop_nulls(read_body(router.current_event))
    check_fields(body, tuple(UPLOAD_KINDS))
    for name, kind in UPLOAD_KINDS.items():
        if name not in body:
            raise InputError(name, MISSING, "the name, type and size in bytes of the file")
        body[name] = kind.check(name, body[name])
    upload = services.uploads.add(uuid4().hex, name=body["name"])
    link = services.upload_links.of_image(upload.id, body["type"], size=body["bytes"])
    url = services.upload_url(upload.id)
    new = schemas.NewUpload(id=upload.id, url=url, upload=views.upload_to(link))
    return Response(
        status_code=201, content_type="application/json", body=new, headers={"Location": url}
    )


@router.get("/uploads/<id>")
def show_upload(id: UploadId) -> schemas.Upload:  # noqa: A002 - the route's own word
    """Return an upload: waiting until it has arrived and was checked, then ready or refused."""
    services = services_of(router)
    upload = services.uploads.find(id) if naming.UPLOAD_ID.fullmatch(id) else None
    days, owner_decides = services.api.upload_days, services.storage.recoverable_days is None
    expires_at = None if upload is None or owner_decides else upload.expires_at(days=days)
    if upload is None or (expires_at and expires_at < services.now()):
        raise NotFoundError(f"there is no upload {id!a}; POST /uploads begins one")
    is_ready = upload.status == UploadStatus.READY and upload.key is not None
    links = services.image_links.of(str(upload.key)) if is_ready else None
    return schemas.Upload(
        id=upload.id,
        status=upload.status,
        name=upload.name,
        key=upload.key if is_ready else None,
        width=upload.width,
        height=upload.height,
        bytes=upload.bytes,
        sha256=upload.sha256 if is_ready else None,
        has_transparency=upload.is_transparent,
        problem=upload.problem,
        picture=links.picture if links else None,
        thumbnail=links.thumbnail if links else None,
        expires_at=expires_at,
    )
