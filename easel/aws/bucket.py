"""The bucket. Nothing is overwritten: every put and copy to a final key is conditional."""

import heapq
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import IO, Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from functions.adapters import aws
from functions.errors import BadImageError, InputError
from functions.settings import settings

PAGE = 1000  # the most keys that one list or one delete takes
CHUNK = 1024 * 1024
STAGING_CONNECT_SECONDS, STAGING_READ_SECONDS = 2, 5
STAGING_PUT_SECONDS = STAGING_CONNECT_SECONDS + STAGING_READ_SECONDS  # the longest that one put into staging hangs


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What S3 says of an object, without its bytes. `modified` has whole seconds."""

    key: str
    bytes: int
    metadata: Mapping[str, str]
    modified: datetime


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an object, or one delete marker (of 0 bytes). `modified` has whole seconds: no order can be read from it."""

    key: str
    id: str
    bytes: int
    modified: datetime
    latest: bool
    marker: bool


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What S3 kept in spite of a delete, and the code that says why."""

    key: str
    version_id: str | None
    code: str


class ObjectStore:
    """One bucket of one owner."""

    def __init__(self, client: Any, *, bucket: str, owner: str, page: int = PAGE) -> None:
        self._client = client
        self._where = {"Bucket": bucket, "ExpectedBucketOwner": owner}
        self.bucket = bucket
        self.page = page

    def put(
        self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None, sha256: str | None = None
    ) -> None:
        """Write an object under a key that belongs to one purchase alone; S3 refuses other bytes than those of the sum `sha256`, in hex."""
        proof = {"ChecksumSHA256": b64encode(bytes.fromhex(sha256)).decode()} if sha256 else {}
        with aws.named(f"writing {key!a}"):
            self._client.put_object(**self._where, Key=key, Body=body, ContentType=content_type, Metadata=dict(metadata or {}), **proof)

    def put_if_absent(self, key: str, body: bytes, *, content_type: str) -> bool:
        """Write an object unless the key is taken; False where it is."""
        return self._unless_taken(
            f"writing {key!a}",
            lambda: self._client.put_object(**self._where, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"),
        )

    def copy_if_absent(self, source: str, target: str, *, content_type: str, metadata: Mapping[str, str]) -> bool:
        """Copy inside S3 unless the target is taken; False where it is. Raises LookupError where there is no source."""
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

    def fetch(self, key: str, into: IO[bytes], *, version_id: str | None = None, limit: int | None = None) -> str | None:
        """Copy an object into a file in bounded memory, and give its version's id; None where there is none.

        Raises InputError above `limit` bytes, before they are read.
        """
        version = {"VersionId": version_id} if version_id else {}
        with aws.named(f"reading {key!a}"):
            try:
                answer = self._client.get_object(**self._where, Key=key, **version)
            except ClientError as error:
                if _is_absent(error) or error.response.get("Error", {}).get("Code") in ("NoSuchVersion", "InvalidArgument"):
                    return None
                raise
            if limit is not None and answer["ContentLength"] > limit:
                raise InputError(key, f"of {answer['ContentLength']:,} bytes", f"at most {limit:,} bytes")
            for chunk in answer["Body"].iter_chunks(CHUNK):
                into.write(chunk)
        return str(answer.get("VersionId", ""))

    def put_file(self, key: str, file: IO[bytes], *, content_type: str) -> None:
        """Write a file from its beginning, whatever stands at the key, in bounded memory."""
        file.seek(0)
        with aws.named(f"writing {key!a}"):
            self._client.put_object(**self._where, Key=key, Body=file, ContentType=content_type)

    def head(self, key: str, version_id: str | None = None) -> StoredObject | None:
        """An object's size and metadata, None where there is none; the current object's unless a version is named."""
        version = {"VersionId": version_id} if version_id else {}
        with aws.named(f"looking at {key!a}"):
            try:
                answer = self._client.head_object(**self._where, Key=key, **version)
            except ClientError as error:
                if _is_absent(error):
                    return None
                raise
            return StoredObject(key=key, bytes=answer["ContentLength"], metadata=answer["Metadata"], modified=answer["LastModified"])

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """The current objects under a prefix, listed page by page as they are taken; metadata is not listed by S3."""
        with aws.named(f"listing {prefix!a}"):
            for page in self._pages("list_objects_v2", prefix):
                for o in page.get("Contents", []):
                    yield StoredObject(key=o["Key"], bytes=o["Size"], metadata={}, modified=o["LastModified"])

    def histories(self, prefix: str) -> Iterator[list[Version]]:
        """Each key under a prefix with all its versions, then all its delete markers, either newest first, as the pages come.

        A key is given when the next one was listed. So whoever removes it at once never removes what the next page is asked to start
        after, and a key that straddles pages is whole.
        """
        for _, history in groupby(self._versions(prefix), key=attrgetter("key")):
            yield sorted(history, key=attrgetter("marker"))

    def history(self, key: str) -> list[Version]:
        """The versions and delete markers of exactly this key, none where it never was."""
        # Of all keys that begin with it, it is itself the first.
        return [version for version in next(self.histories(key), []) if version.key == key]

    def _versions(self, prefix: str) -> Iterator[Version]:
        with aws.named(f"listing the versions of {prefix!a}"):
            for page in self._pages("list_object_versions", prefix):
                versions = (_version(v, marker=False) for v in page.get("Versions", []))
                markers = (_version(m, marker=True) for m in page.get("DeleteMarkers", []))
                # Two lists a page, both ascending in UTF-8, which is the order of Python's strings, too.
                yield from heapq.merge(versions, markers, key=attrgetter("key"))

    def _pages(self, operation: str, prefix: str) -> Iterator[Any]:
        pages = self._client.get_paginator(operation).paginate(**self._where, Prefix=prefix, PaginationConfig={"PageSize": self.page})
        yield from pages

    def remove(self, these: Sequence[tuple[str, str | None]]) -> list[Kept]:
        """Remove up to 1,000 versions or delete markers for good; a key without version gets a delete marker. Gives what S3 kept."""
        if len(these) > PAGE:
            raise ValueError(f"{len(these)} keys in one delete, S3 takes {PAGE}")
        if not these:
            return []
        named = [{"Key": key} | ({"VersionId": version} if version else {}) for key, version in these]
        with aws.named(f"deleting {len(these)} objects from {these[0][0]!a} on"):
            answer = self._client.delete_objects(**self._where, Delete={"Objects": named, "Quiet": True})
        # S3 answers 200 also when single objects were refused.
        return [Kept(key=e["Key"], version_id=e.get("VersionId") or None, code=e.get("Code", "")) for e in answer.get("Errors", [])]

    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 objects; their versions stay. Raises if S3 kept any."""
        kept = self.remove([(key, None) for key in keys])
        if kept:
            raise aws.refused((one.code for one in kept), f"deleting {kept[0].key!a} ({len(kept)} of {len(keys)} objects stay)")

    def _unless_taken(self, doing: str, call: Any) -> bool:
        with aws.named(doing):
            try:
                call()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "PreconditionFailed":
                    return False
                if error.operation_name == "CopyObject" and _is_absent(error):
                    raise LookupError(f"{doing}: there is no such object") from error
                raise
            return True


def _version(listed: Mapping[str, Any], *, marker: bool) -> Version:
    return Version(
        key=listed["Key"],
        id=listed["VersionId"],
        bytes=listed.get("Size", 0),
        modified=listed["LastModified"],
        latest=listed["IsLatest"],
        marker=marker,
    )


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
