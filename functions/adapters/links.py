"""Links to pictures, which need no sign-in and die at a told time.

They are signed with the credentials of a role of their own, whose session has a known end: those of a function in Lambda may end
at any time, and a link dies with the credentials that signed it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from botocore.config import Config

from functions import keys
from functions.adapters import aws
from functions.settings import api_settings, settings

LINK_SECONDS = 30 * 60
SESSION_SECONDS = 60 * 60  # the longest that a role may have which another role takes on
MAX_LINK_SECONDS = 7 * 24 * 60 * 60  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html


@dataclass(frozen=True, kw_only=True)
class PictureLinks:
    """Links to a picture, to its thumbnail, and to the picture as a file to keep; all die at `expires_at` (ISO 8601 in UTC)."""

    picture: str
    thumbnail: str
    download: str
    expires_at: str


class Links:
    """Signs links with a session of the reader role, which is renewed before a link could outlive it."""

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
        self._sts = sts
        self._role = role
        self._bucket = bucket
        self._region = region
        self._seconds = min(seconds, SESSION_SECONDS, MAX_LINK_SECONDS)
        self._clock = clock
        self._client: Any = None
        self._session_end = 0.0

    def of(self, key: str) -> PictureLinks:
        """The links of a stored picture. Raises StorageBusyError or StorageDeniedError where no session can be had."""
        client, now = self._signer(), self._clock()
        seconds = min(self._seconds, int(self._session_end - now))
        name = quote(key.rpartition("/")[2])
        expires = datetime.fromtimestamp(int(now) + seconds, UTC)
        return PictureLinks(
            picture=self._signed(client, key, seconds),
            thumbnail=self._signed(client, keys.thumbnail(key), seconds),
            download=self._signed(client, key, seconds, ResponseContentDisposition=f"attachment; filename*=UTF-8''{name}"),
            expires_at=f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        )

    @cached_property
    def origin(self) -> str:
        """Where all links lead, for the page's content policy: scheme, host and port. Asks nobody."""
        address = urlsplit(self._signed(self._s3("none", "none", "none"), "any", 1))
        return f"{address.scheme}://{address.netloc}"

    def _signed(self, client: Any, key: str, seconds: int, **more: str) -> str:
        with aws.named("signing a link"):
            where = {"Bucket": self._bucket, "Key": key, **more}
            return str(client.generate_presigned_url("get_object", Params=where, ExpiresIn=seconds))

    def _signer(self) -> Any:
        if self._client is None or self._session_end - self._clock() < self._seconds:
            with aws.named("taking on the reader role"):
                answer = self._sts.assume_role(RoleArn=self._role, RoleSessionName="links", DurationSeconds=SESSION_SECONDS)
            given = answer["Credentials"]
            self._client = self._s3(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
            self._session_end = given["Expiration"].timestamp()
        return self._client

    def _s3(self, access_key: str, secret_key: str, token: str) -> Any:
        # Links lead straight to the bucket in its own region: from elsewhere S3 redirects at first, and the signature would not fit.
        return boto3.client(
            "s3",
            region_name=self._region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=token,
            config=Config(signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}),
        )


@cache
def links() -> Links:
    """Those of this stack's bucket."""
    return Links(aws.client("sts"), role=api_settings().reader_role, bucket=settings().bucket, region=settings().region)
