"""The bucket. Nothing is overwritten: every put and copy to a final key is conditional."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from functions.adapters import aws
from functions.errors import BadImageError
from functions.settings import settings

PAGE = 1000  # the most keys that one list or one delete takes
STAGING_CONNECT_SECONDS, STAGING_READ_SECONDS = 2, 5
STAGING_PUT_SECONDS = STAGING_CONNECT_SECONDS + STAGING_READ_SECONDS  # the longest that one put into staging hangs


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What S3 says of an object, without its bytes."""

    key: str
    bytes: int
    metadata: Mapping[str, str]


class ObjectStore:
    """One bucket of one owner."""

    def __init__(self, client: Any, *, bucket: str, owner: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "ExpectedBucketOwner": owner}
        self.bucket = bucket

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        """Write an object under a key that belongs to one purchase alone."""
        with aws.named(f"writing {key!a}"):
            self._client.put_object(**self._where, Key=key, Body=body, ContentType=content_type, Metadata=dict(metadata or {}))

    def put_if_absent(self, key: str, body: bytes, *, content_type: str) -> bool:
        """Write an object unless the key is taken; False where it is."""
        return self._unless_taken(
            f"writing {key!a}",
            lambda: self._client.put_object(**self._where, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"),
        )

    def copy_if_absent(self, source: str, target: str, *, content_type: str, metadata: Mapping[str, str]) -> bool:
        """Copy inside S3 unless the target is taken; False where it is."""
        return self._unless_taken(
            f"copying {source!a} to {target!a}",
            lambda: self._client.copy_object(
                **self._where,
                Key=target,
                CopySource={"Bucket": self.bucket, "Key": source},
                ExpectedSourceBucketOwner=self._where["ExpectedBucketOwner"],
                IfNoneMatch="*",
                MetadataDirective="REPLACE",
                ContentType=content_type,
                Metadata=dict(metadata),
            ),
        )

    def get(self, key: str, *, limit: int) -> bytes | None:
        """An object's bytes, None where there is none; BadImageError above `limit` bytes, before they are read."""
        with aws.named(f"reading {key!a}"):
            try:
                answer = self._client.get_object(**self._where, Key=key)
            except ClientError as error:
                if _is_absent(error):
                    return None
                raise
            if answer["ContentLength"] > limit:
                raise BadImageError(f"{key!a} has {answer['ContentLength']:,} bytes, more than {limit:,}; it stays there")
            body: bytes = answer["Body"].read()
            return body

    def head(self, key: str) -> StoredObject | None:
        """An object's size and metadata, None where there is none."""
        with aws.named(f"looking at {key!a}"):
            try:
                answer = self._client.head_object(**self._where, Key=key)
            except ClientError as error:
                if _is_absent(error):
                    return None
                raise
            return StoredObject(key=key, bytes=answer["ContentLength"], metadata=answer["Metadata"])

    def pages(self, prefix: str) -> Iterator[list[StoredObject]]:
        """The current objects under a prefix, up to 1,000 at a time; metadata is not listed by S3."""
        with aws.named(f"listing {prefix!a}"):
            paginator = self._client.get_paginator("list_objects_v2")
            for page in paginator.paginate(**self._where, Prefix=prefix, PaginationConfig={"PageSize": PAGE}):
                yield [StoredObject(key=o["Key"], bytes=o["Size"], metadata={}) for o in page.get("Contents", [])]

    def delete(self, keys: list[str]) -> None:
        """Delete up to 1,000 objects (their versions stay); StorageBusyError or StorageDeniedError if any is left."""
        if not keys:
            return
        if len(keys) > PAGE:
            raise ValueError(f"{len(keys)} keys in one delete, S3 takes {PAGE}")
        with aws.named(f"deleting {len(keys)} objects from {keys[0]!a} on"):
            answer = self._client.delete_objects(**self._where, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        # S3 answers 200 also when single objects were refused.
        refused = answer.get("Errors", [])
        if refused:
            first = refused[0]
            doing = f"deleting {first['Key']!a} ({len(refused)} of {len(keys)} objects stay)"
            raise aws.translate(ClientError({"Error": {"Code": first["Code"]}}, "DeleteObjects"), doing)

    def _unless_taken(self, doing: str, call: Any) -> bool:
        with aws.named(doing):
            try:
                call()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "PreconditionFailed":
                    return False
                raise
            return True


def _is_absent(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404", "NotFound")


def console_url(bucket: str, key: str, *, region: str) -> str:
    """The page of an object in the S3 console."""
    return f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={quote(key, safe='')}"


@cache
def store() -> ObjectStore:
    """This stack's bucket."""
    return ObjectStore(aws.client("s3"), bucket=settings().bucket, owner=settings().bucket_owner)


@cache
def staging_store() -> ObjectStore:
    """This stack's bucket with short single tries, for the step that repeats its put by itself until its deadline."""
    client = aws.client("s3", tries=1, connect_timeout=STAGING_CONNECT_SECONDS, read_timeout=STAGING_READ_SECONDS)
    return ObjectStore(client, bucket=settings().bucket, owner=settings().bucket_owner)
