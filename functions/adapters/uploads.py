"""Links to which a batch's manifest is put, which need no sign-in. They are signed as the uploader, who may put manifests alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from functions import keys
from functions.adapters import aws
from functions.adapters.signing import Signer
from functions.settings import api_settings, settings

UPLOAD_SECONDS = 15 * 60


@dataclass(frozen=True, kw_only=True)
class UploadLink:
    """Where a manifest is put by HTTP's PUT, until `expires_at` (ISO 8601 in UTC)."""

    key: str
    url: str
    expires_at: str


class Uploads:
    """Links to the manifests of one bucket."""

    def __init__(self, sts: Any, *, role: str, bucket: str, region: str, clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(sts, role=role, session="uploads", bucket=bucket, region=region, seconds=UPLOAD_SECONDS, clock=clock)

    def of(self, name: str, ending: str) -> UploadLink:
        """The link for one batch's manifest, for that key alone. Raises StorageBusyError or StorageDeniedError."""
        key = keys.batch_manifest(name, ending)
        seconds, expires_at = self._signer.lifetime()
        return UploadLink(key=key, url=self._signer.sign("put_object", key, seconds), expires_at=expires_at)


@cache
def uploads() -> Uploads:
    """Those of this stack's bucket."""
    return Uploads(aws.client("sts"), role=api_settings().uploader_role, bucket=settings().bucket, region=settings().region)
