"""Presigned links, which need no sign-in and expire at a known time.

A link expires with the credentials that signed it, and the credentials of a Lambda function may
expire at any time. A separate role signs the links, because the end of its session is known.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from easel.aws import presigned
from easel.aws.client import translate_errors
from easel.contract import naming
from easel.contract.messages import api_field

SESSION_SECONDS = 60 * 60  # the maximum for a role that another role assumes
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html
MAX_LINK_SECONDS = 7 * 24 * 60 * 60
READ_SECONDS = 30 * 60
UPLOAD_SECONDS = 15 * 60


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A link to a smaller WebP of an image, with its size in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Links:
    """Links that need no sign-in. They expire at expires_at."""

    picture: str
    thumbnail: str
    previews: list[Preview] = api_field(
        "the thumbnail and the larger previews that exist, smallest first, as for `srcset`"
    )
    download: str = api_field("the image as a download")
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class UploadLink:
    """A link to upload a file with HTTP PUT and these headers until it expires."""

    key: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class SigningConfig:
    """The role that signs the links, the name of its session, and the bucket with its region."""

    role: str
    session: str
    bucket: str
    region: str


class Signer:
    """Signs links to one bucket. A link is valid for `seconds`.

    The role's session is renewed if it would end before a new link expires.
    """

    def __init__(
        self,
        sts: Any,
        signing: SigningConfig,
        *,
        seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sts = sts
        self._signing = signing
        self._seconds = min(seconds, SESSION_SECONDS, MAX_LINK_SECONDS)
        self._clock = clock
        self._client: Any = None
        self._session_end = 0.0

    def lifetime(self) -> tuple[int, datetime]:
        """Return how many seconds a link signed now is valid, and when it expires.

        Raises StorageBusyError or StorageDeniedError if there is no session.
        """
        now = self._clock()
        if self._client is None or self._session_end - now < self._seconds:
            self._renew()
        seconds = min(self._seconds, int(self._session_end - now))
        return seconds, datetime.fromtimestamp(int(now) + seconds, UTC)

    def sign(self, call: str, key: str, seconds: int, **more: str | int) -> str:
        """Return a link for one S3 call on one key. Call lifetime() first to start the session.

        `more` are parameters of the call. The link is valid with these only.
        """
        return self._sign(self._client, call, {"Key": key, **more}, seconds)

    @cached_property
    def origin(self) -> str:
        """Return the scheme, host and port of all links, without a network call."""
        return presigned.origin(self._signing.bucket, region=self._signing.region)

    def _sign(self, client: Any, call: str, parameters: dict[str, Any], seconds: int) -> str:
        parameters = {"Bucket": self._signing.bucket, **parameters}
        with translate_errors("signing a link"):
            url = client.generate_presigned_url(call, Params=parameters, ExpiresIn=seconds)
        return str(url)

    def _renew(self) -> None:
        session = self._signing.session
        with translate_errors(f"assuming the role for {session}"):
            answer = self._sts.assume_role(
                RoleArn=self._signing.role,
                RoleSessionName=session,
                DurationSeconds=SESSION_SECONDS,
            )
        credentials = answer["Credentials"]
        self._client = presigned.regional_s3(
            self._signing.region,
            access_key=credentials["AccessKeyId"],
            secret_key=credentials["SecretAccessKey"],
            token=credentials["SessionToken"],
        )
        self._session_end = credentials["Expiration"].timestamp()


class ImageLinks:
    """Links to the images of one bucket, signed by a role that may only read images."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def of(
        self,
        key: str,
        size: tuple[int | None, int | None] = (None, None),
        edges: Iterable[int] = (),
    ) -> Links:
        """Return the links of a stored image. Raises StorageBusyError or StorageDeniedError.

        `size` is its width and height, and `edges` are those of its larger previews.
        """
        seconds, expires_at = self._signer.lifetime()
        sign = self._signer.sign
        thumbnail = sign("get_object", naming.thumbnail_key(key), seconds)
        previews = []
        width, height = size
        if width and height:
            by_edge = {naming.PREVIEW_EDGES[0]: thumbnail} | {
                edge: sign("get_object", naming.thumbnail_key(key, edge), seconds) for edge in edges
            }
            for edge, url in by_edge.items():
                wide, high = naming.preview_size(width, height, edge)
                previews.append(Preview(url=url, width=wide, height=high))
        return Links(
            picture=sign("get_object", key, seconds),
            thumbnail=thumbnail,
            previews=previews,
            download=self.download(key, seconds),
            expires_at=expires_at,
        )

    def file(self, key: str) -> tuple[str, str]:
        """Return a link to a file next to an image, and one to download it. Raises like `of`."""
        seconds, _ = self._signer.lifetime()
        return self._signer.sign("get_object", key, seconds), self.download(key, seconds)

    def download(self, key: str, seconds: int) -> str:
        """Return a link that a browser saves as a file. It is valid for `seconds`."""
        name = quote(key.rpartition("/")[2])
        as_file = f"attachment; filename*=UTF-8''{name}"
        return self._signer.sign("get_object", key, seconds, ResponseContentDisposition=as_file)

    @property
    def origin(self) -> str:
        """Return the origin of all links, for the page's Content-Security-Policy."""
        return self._signer.origin


class UploadLinks:
    """Links to upload manifests and images, signed by a role that may only put those."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def of(self, name: str, ending: str, *, size: int) -> UploadLink:
        """Return the upload link for one batch's manifest of this many bytes.

        S3 refuses any other key, size or type. Raises StorageBusyError or StorageDeniedError.
        """
        key, content_type = naming.batch_manifest(name, ending), naming.MANIFEST_TYPES[ending]
        return self._link(key, content_type, size=size)

    def of_image(self, upload_id: str, content_type: str, *, size: int) -> UploadLink:
        """Return the link for one image of this many bytes, with the same limits and errors."""
        return self._link(naming.upload_inbox_key(upload_id), content_type, size=size)

    def _link(self, key: str, content_type: str, *, size: int) -> UploadLink:
        seconds, expires_at = self._signer.lifetime()
        # Both become signed headers.
        signed: dict[str, Any] = {"ContentLength": size, "ContentType": content_type}
        url = self._signer.sign("put_object", key, seconds, **signed)
        headers = {"Content-Type": content_type}
        return UploadLink(key=key, url=url, headers=headers, expires_at=expires_at)
