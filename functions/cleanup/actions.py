"""Carries out what a request asks for existing images: delete, restore, share, unshare or move."""

from dataclasses import replace
from datetime import datetime

from easel.aws.lambda_runtime import Deadline
from easel.aws.observability import log_result
from easel.contract.errors import (
    ConfigError,
    ConflictError,
    FinalError,
    NotFoundError,
    TransientError,
)
from easel.contract.messages import Relocation, Removal, Restoration, Several, Sharing, StartRun
from easel.ledger.gallery import Gallery
from easel.ledger.moves import Moves
from easel.request.actions import BY_CLEANUP, MOVE, RESTORES, SHARE, UNSHARE
from easel.request.request import Request, parse
from easel.services import Services
from functions.cleanup import deletes
from functions.cleanup.sharing import find_owner, share_or_unshare

Outcome = Removal | Restoration | Sharing | Relocation
LAST_SECONDS = 60  # no image is begun later than this
SHOWN = 10


def carry_out(start: StartRun, services: Services, deadline: Deadline) -> Outcome | Several:
    """Carry out the request, as of the execution's start."""
    request = parse(start.request, services.requests, today=services.now().date())
    if request.action not in BY_CLEANUP:
        raise ConfigError(
            f"the cleanup step received a {request.action} request; the state machine may be older "
            "than the functions: deploy the stack again"
        )
    until = datetime.fromisoformat(start.started)
    if request.image_ids:
        return _on_each(request, until, services, deadline)
    return _on_one(request, until, services, deadline)


def _on_one(request: Request, until: datetime, services: Services, deadline: Deadline) -> Outcome:
    request = _with_present_key(request, services)
    if request.action in (SHARE, UNSHARE):
        deletes.check_identity(request, services.bucket)
        return share_or_unshare(request, services)
    if request.action == MOVE:
        deletes.check_identity(request, services.bucket)
        return _move(request, services)
    if request.action in RESTORES:
        return deletes.restore(request, services, deadline)
    return deletes.remove(request, until, services, deadline)


def _with_present_key(request: Request, services: Services) -> Request:
    """Return the request with the present key of an image that was moved."""
    owner = services.ledger.owners.find(request.image_key) if request.image_key else None
    image = services.ledger.image(*owner) if owner else None
    return replace(request, image_key=image.key) if image and image.key else request


def _on_each(request: Request, until: datetime, services: Services, deadline: Deadline) -> Several:
    """Carry out the request for each of its images.

    A repeated run skips finished images. If some images cannot be changed, it changes all others,
    and then raises ConflictError with the reasons.
    """
    gallery, ids = Gallery(services.table), request.image_ids or ()
    failed: list[str] = []
    objects = 0
    for done, image_id in enumerate(ids):
        if deadline.seconds() < LAST_SECONDS:
            raise TransientError(
                f"the function ran out of time after {done:,} of {len(ids):,} images; the retry "
                "continues"
            )
        try:
            key = gallery.find(image_id).key
            single = replace(request, image_ids=None, image_id=image_id, image_key=key)
            outcome = _on_one(single, until, services, deadline)
        except FinalError as error:
            failed.append(f"{image_id}: {error}")
            continue
        objects += getattr(outcome, "objects", 0)
    if failed:
        rest = len(failed) - SHOWN
        more = f"; and {rest} more" if rest > 0 else ""
        raise ConflictError(
            f"{len(ids) - len(failed):,} of {len(ids):,} images are done, and these are unchanged: "
            f"{'; '.join(failed[:SHOWN])}{more}"
        )
    log_result("several images changed", action=request.action, images=len(ids))
    return Several(
        action=request.action,
        target=request.target,
        dry_run=request.dry_run,
        images=len(ids),
        objects=objects,
    )


def _move(request: Request, services: Services) -> Relocation:
    key, folder = str(request.image_key), str(request.to_folder)
    owner = find_owner(key, services)
    if owner is None:
        raise NotFoundError(f"{key!a} is not an image of Easel, so it cannot be moved")
    new_key = f"{folder}/{key.rpartition('/')[2]}"
    if not request.dry_run:
        new_key = Moves(services.table, services.bucket).move(*owner, folder=folder)
        log_result(request.action, key=ascii(new_key))
    return Relocation(action=request.action, target=key, dry_run=request.dry_run, key=new_key)
