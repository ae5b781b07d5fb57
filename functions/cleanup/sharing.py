"""Makes an image public, or private again, on request. Also shares what a run stored."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from easel.aws.observability import log_result, logger
from easel.contract.errors import ConfigError, ConflictError, NotFoundError
from easel.contract.messages import Sharing
from easel.contract.status import Status
from easel.ledger.records import ImageRecord, PromptRecord
from easel.ledger.shares import EDGE_SECONDS, Shares
from easel.request.actions import SHARE
from easel.request.request import Request
from easel.services import Services


def share_or_unshare(request: Request, services: Services) -> Sharing:
    """Share an image or end its share. Either can be repeated.

    Raises NotFoundError if there is no such image.
    """
    key, url, is_shared = str(request.image_key), None, request.action == SHARE
    owner = find_owner(key, services)
    if owner is None:
        raise NotFoundError(f"{key!a} is not an image of Easel, so it cannot be shared or unshared")
    if not request.dry_run:
        shares = services.shares
        if shares is None:
            raise ConfigError("the function's environment has no bucket for shares; deploy again")
        if is_shared:
            share = shares.start(*owner, key=key, now=services.now())
            url = share.url(str(services.delivery.url))
        else:
            shares.end(*owner)
        log_result(request.action, key=ascii(key))
    return Sharing(
        action=request.action,
        target=key,
        dry_run=request.dry_run,
        shared=is_shared and not request.dry_run,
        url=url,
        gone_after_seconds=None if is_shared else EDGE_SECONDS,
    )


def share_stored(
    prompt: PromptRecord, images: Iterable[ImageRecord], services: Services
) -> tuple[ImageRecord, ...]:
    """Share a run's stored images if its request asks for it. Return the images as they are now.

    An image that was shared or unshared before stays as it is, so a redrive changes nothing.
    """
    shares = services.shares if prompt.choices.get("share") else None
    if shares is None:
        return tuple(images)
    return tuple(_share(image, shares, services.now()) for image in images)


def _share(image: ImageRecord, shares: Shares, now: datetime) -> ImageRecord:
    # Someone may have unshared it since the run's first execution. That stays.
    is_done = image.shared_at or image.unshared_at
    if image.status != Status.STORED or image.key is None or is_done:
        return image
    try:
        share = shares.start(image.run_id, image.n, key=image.key, now=now)
    except (NotFoundError, ConflictError) as error:
        # It was deleted meanwhile. The run's report does not depend on it.
        logger.warning("not shared", key=ascii(image.key), reason=str(error))
        return image
    return replace(image, share=share.path, shared_at=share.since)


def find_owner(key: str, services: Services) -> tuple[str, int] | None:
    """Return the run id and the number of the image that has this key, or None.

    The table knows it even if the object is gone. Images of older versions are only in the bucket.
    """
    owner = services.ledger.owners.find(key)
    if owner:
        return owner
    stored = services.bucket.head(key)
    run_id = stored.metadata.get("run-id") if stored else None
    n = stored.metadata.get("n", "") if stored else ""
    return (run_id, int(n)) if run_id and n.isdecimal() else None
