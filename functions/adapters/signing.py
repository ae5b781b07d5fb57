"""Signs links with the credentials of a role of their own, whose session has a known end.

Those of a function in Lambda may end at any time, and a link dies with the credentials that signed it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from functions.adapters import aws

SESSION_SECONDS = 60 * 60  # the longest that a role may have which another role takes on
MAX_LINK_SECONDS = 7 * 24 * 60 * 60  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/ShareObjectPreSignedURL.html


class Signer:
    """Signs links to one bucket, in a session of a role that is renewed before a link of so many `seconds` could outlive it."""

    def __init__(
        self, sts: Any, *, role: str, session: str, bucket: str, region: str, seconds: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._sts = sts
        self._role = role
        self._session = session
        self._bucket = bucket
        self._region = region
        self._seconds = min(seconds, SESSION_SECONDS, MAX_LINK_SECONDS)
        self._clock = clock
        self._client: Any = None
        self._session_end = 0.0

    def lifetime(self) -> tuple[int, str]:
        """How many seconds a link lives that is signed now, and its end (ISO 8601 in UTC).

        Raises StorageBusyError or StorageDeniedError where no session can be had.
        """
        now = self._clock()
        if self._client is None or self._session_end - now < self._seconds:
            self._renew()
        seconds = min(self._seconds, int(self._session_end - now))
        return seconds, f"{datetime.fromtimestamp(int(now) + seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def sign(self, call: str, key: str, seconds: int, **more: str) -> str:
        """A link for one call of S3 (`get_object`, `put_object`) on one key, once the lifetime is known."""
        return self._signed(self._client, call, key, seconds, **more)

    @cached_property
    def origin(self) -> str:
        """Where all links lead, for the page's content policy: scheme, host and port. Asks nobody."""
        address = urlsplit(self._signed(self._s3("none", "none", "none"), "get_object", "any", 1))
        return f"{address.scheme}://{address.netloc}"

    def _signed(self, client: Any, call: str, key: str, seconds: int, **more: str) -> str:
        with aws.named("signing a link"):
            where = {"Bucket": self._bucket, "Key": key, **more}
            return str(client.generate_presigned_url(call, Params=where, ExpiresIn=seconds))

    def _renew(self) -> None:
        with aws.named(f"taking on the role for {self._session}"):
            answer = self._sts.assume_role(RoleArn=self._role, RoleSessionName=self._session, DurationSeconds=SESSION_SECONDS)
        given = answer["Credentials"]
        self._client = self._s3(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        self._session_end = given["Expiration"].timestamp()

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
