"""Links to pictures, which need no sign-in and die at a told time. They are signed as the reader, who may read pictures alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from functions import keys
from functions.adapters import aws
from functions.adapters.signing import Signer
from functions.settings import api_settings, settings

LINK_SECONDS = 30 * 60


@dataclass(frozen=True, kw_only=True)
class PictureLinks:
    """Links to a picture, to its thumbnail, and to the picture as a file to keep; all die at `expires_at` (ISO 8601 in UTC)."""

    picture: str
    thumbnail: str
    download: str
    expires_at: str


class Links:
    """Links to the pictures of one bucket."""

    def __init__(
        self,
        sts: Any,
        *,
        role: str,
        bucket: str,
        region: str,
        seconds: int = LINK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer = Signer(sts, role=role, session="links", bucket=bucket, region=region, seconds=seconds, clock=clock)

    def of(self, key: str) -> PictureLinks:
        """The links of a stored picture. Raises StorageBusyError or StorageDeniedError where no session can be had."""
        seconds, expires_at = self._signer.lifetime()
        name, sign = quote(key.rpartition("/")[2]), self._signer.sign
        return PictureLinks(
            picture=sign("get_object", key, seconds),
            thumbnail=sign("get_object", keys.thumbnail(key), seconds),
            download=sign("get_object", key, seconds, ResponseContentDisposition=f"attachment; filename*=UTF-8''{name}"),
            expires_at=expires_at,
        )

    @property
    def origin(self) -> str:
        """Where all links lead, for the page's content policy: scheme, host and port. Asks nobody."""
        return self._signer.origin


@cache
def links() -> Links:
    """Those of this stack's bucket."""
    return Links(aws.client("sts"), role=api_settings().reader_role, bucket=settings().bucket, region=settings().region)
