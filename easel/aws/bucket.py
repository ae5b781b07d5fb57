"""One S3 bucket. Puts and copies to final keys are conditional, so nothing is overwritten."""

import heapq
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import IO, Any
from urllib.parse import quote, urlencode

from botocore.exceptions import ClientError

from easel.aws.client import error_code, refusal, translate_errors
from easel.contract.errors import BadImageError, InputError, Summary

PAGE = 1000  # the limit of keys in one list or one delete
CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object's metadata, without its bytes. `modified` has whole seconds.

    A list has no metadata, version id and content type.
    """

    key: str
    bytes: int
    metadata: Mapping[str, str]
    modified: datetime
    version_id: str = ""
    content_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an object, or one delete marker (of 0 bytes).

    `modified` has whole seconds, so it is too coarse to order versions.
    """

    key: str
    id: str
    bytes: int
    modified: datetime
    latest: bool
    marker: bool


@dataclass(frozen=True, kw_only=True)
class FailedDelete:
    """An object that S3 failed to delete, and the error code."""

    key: str
    version_id: str | None
    code: str


class Bucket:
    """One bucket. Its owner is checked in each call."""

    def __init__(self, client: Any, *, name: str, owner: str, page: int = PAGE) -> None:
        self._client = client
        self._where = {"Bucket": name, "ExpectedBucketOwner": owner}
        self.name = name
        self.page = page

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        sha256: str | None = None,
    ) -> None:
        """Write an object under a key that belongs to a single purchase.

        If `sha256` (hexadecimal) is given, S3 refuses a body with another checksum.
        """
        proof = {"ChecksumSHA256": b64encode(bytes.fromhex(sha256)).decode()} if sha256 else {}
        with translate_errors(f"writing {key!a}"):
            self._client.put_object(
                **self._where,
                Key=key,
                Body=body,
                ContentType=content_type,
                Metadata=dict(metadata or {}),
                **proof,
            )

    def put_public(self, key: str, body: bytes, *, content_type: str, cache_control: str) -> None:
        """Write an object for browsers, and replace what has its key."""
        with translate_errors(f"writing {key!a}"):
            self._client.put_object(
                **self._where,
                Key=key,
                Body=body,
                ContentType=content_type,
                CacheControl=cache_control,
            )

    def put_if_absent(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> bool:
        """Write an object unless the key is taken. Return whether it was written."""
        tagging = {"Tagging": urlencode(tags)} if tags else {}
        return self._unless_taken(
            f"writing {key!a}",
            lambda: self._client.put_object(
                **self._where,
                Key=key,
                Body=body,
                ContentType=content_type,
                Metadata=dict(metadata or {}),
                IfNoneMatch="*",
                **tagging,
            ),
        )

    def tag(self, key: str, tags: Mapping[str, str]) -> bool:
        """Replace the tags of an object's current version. Return False if there is no object."""
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        with translate_errors(f"tagging {key!a}"):
            try:
                self._client.put_object_tagging(**self._where, Key=key, Tagging={"TagSet": tag_set})
            except ClientError as error:
                if not _is_absent(error):
                    raise
                return False
            return True

    def copy_if_absent(
        self, source: str, target: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> bool:
        """Copy inside S3 unless the target is taken. Return whether it was copied.

        Raises LookupError if the source does not exist.
        """
        return self._unless_taken(
            f"copying {source!a} to {target!a}",
            lambda: self._client.copy_object(
                **self._where,
                Key=target,
                CopySource={"Bucket": self.name, "Key": source},
                ExpectedSourceBucketOwner=self._where["ExpectedBucketOwner"],
                IfNoneMatch="*",
                MetadataDirective="REPLACE",
                # A virus scanner may have tagged the source. To copy the tags, the role would need
                # more permissions.
                TaggingDirective="REPLACE",
                ContentType=content_type,
                Metadata=dict(metadata),
            ),
        )

    def publish(self, source: StoredObject, target: str, *, into: str, cache_control: str) -> None:
        """Copy an object into another bucket of the same owner, and replace what is there.

        The copy has none of the source's metadata. Raises LookupError if the source does not exist.
        """
        with translate_errors(f"copying {source.key!a} to {target!a}"):
            try:
                self._client.copy_object(
                    Bucket=into,
                    ExpectedBucketOwner=self._where["ExpectedBucketOwner"],
                    Key=target,
                    CopySource={"Bucket": self.name, "Key": source.key},
                    ExpectedSourceBucketOwner=self._where["ExpectedBucketOwner"],
                    MetadataDirective="REPLACE",
                    TaggingDirective="REPLACE",
                    ContentType=source.content_type,
                    CacheControl=cache_control,
                )
            except ClientError as error:
                if _is_absent(error):
                    raise LookupError(f"{source.key!a} does not exist") from error
                raise

    def get(self, key: str, *, limit: int) -> bytes | None:
        """Return an object's bytes, or None if there is no object.

        Raises BadImageError if the object is larger than `limit` bytes, before they are read.
        """
        with translate_errors(f"reading {key!a}"):
            answer = self._open(key, None)
            if answer is None:
                return None
            size = answer["ContentLength"]
            if size > limit:
                raise BadImageError(
                    f"{key!a} has {size:,} bytes, more than the limit of {limit:,}; the object was "
                    "not changed"
                )
            body: bytes = answer["Body"].read()
            return body

    def get_range(self, key: str, start: int, *, most: int) -> tuple[bytes, int] | None:
        """Return at most `most` bytes from `start`, and the object's whole size.

        Return None if there is no object. `start` may be after the end.
        """
        wanted = {"Range": f"bytes={start}-{start + most - 1}"}
        with translate_errors(f"reading {key!a}"):
            try:
                answer = self._client.get_object(**self._where, Key=key, **wanted)
            except ClientError as error:
                if error_code(error) in ("InvalidRange", "416"):
                    return b"", start
                if _is_absent(error):
                    return None
                raise
            size = int(answer["ContentRange"].rpartition("/")[2])
            return answer["Body"].read(), size

    def fetch(
        self, key: str, into: IO[bytes], *, version_id: str | None = None, limit: int | None = None
    ) -> str | None:
        """Copy an object into a file in bounded memory.

        Return the id of its version, or None if there is no such object. Raises InputError if the
        object is larger than `limit` bytes, before they are read.
        """
        with translate_errors(f"reading {key!a}"):
            answer = self._open(key, version_id)
            if answer is None:
                return None
            size = answer["ContentLength"]
            if limit is not None and size > limit:
                raise InputError(key, Summary(f"{size:,} bytes long"), f"at most {limit:,} bytes")
            for chunk in answer["Body"].iter_chunks(CHUNK):
                into.write(chunk)
        return str(answer.get("VersionId", ""))

    def put_file(self, key: str, file: IO[bytes], *, content_type: str) -> None:
        """Write a file from its beginning, in bounded memory. Overwrite any existing object."""
        file.seek(0)
        with translate_errors(f"writing {key!a}"):
            self._client.put_object(**self._where, Key=key, Body=file, ContentType=content_type)

    def head(self, key: str, version_id: str | None = None) -> StoredObject | None:
        """Return an object's size and metadata, or None if there is no such object or version."""
        version = {"VersionId": version_id} if version_id else {}
        with translate_errors(f"checking {key!a}"):
            try:
                answer = self._client.head_object(**self._where, Key=key, **version)
            except ClientError as error:
                if _is_absent(error):
                    return None
                raise
            return StoredObject(
                key=key,
                bytes=answer["ContentLength"],
                metadata=answer["Metadata"],
                modified=answer["LastModified"],
                version_id=answer.get("VersionId", ""),
                content_type=answer.get("ContentType", ""),
            )

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the current objects under a prefix, page by page. S3 lists no metadata."""
        with translate_errors(f"listing {prefix!a}"):
            for page in self._pages("list_objects_v2", prefix):
                for o in page.get("Contents", []):
                    yield StoredObject(
                        key=o["Key"], bytes=o["Size"], metadata={}, modified=o["LastModified"]
                    )

    def histories(self, prefix: str) -> Iterator[list[Version]]:
        """Yield the history of each key under a prefix: its versions, then its delete markers.

        Both are sorted newest first. A history may span two pages, so it is yielded only when the
        listing has reached the next key. The caller may therefore remove it right away: the next
        page never starts after a removed key.
        """
        for _, history in groupby(self._versions(prefix), key=attrgetter("key")):
            yield sorted(history, key=attrgetter("marker"))

    def history(self, key: str) -> list[Version]:
        """Return the versions and delete markers of exactly this key."""
        # The key itself sorts before all longer keys with this prefix.
        return [version for version in next(self.histories(key), []) if version.key == key]

    def remove(self, versions: Sequence[tuple[str, str | None]]) -> list[FailedDelete]:
        """Permanently remove up to 1,000 versions or delete markers. Return what S3 kept.

        A key without a version gets a delete marker.
        """
        if len(versions) > PAGE:
            raise ValueError(f"{len(versions)} keys in one delete; S3 accepts at most {PAGE}")
        if not versions:
            return []
        objects = [
            {"Key": key} | ({"VersionId": version} if version else {}) for key, version in versions
        ]
        with translate_errors(f"deleting {len(versions)} objects, from {versions[0][0]!a}"):
            answer = self._client.delete_objects(
                **self._where, Delete={"Objects": objects, "Quiet": True}
            )
        # S3 answers 200 even if it refused single objects.
        return [
            FailedDelete(
                key=e["Key"], version_id=e.get("VersionId") or None, code=e.get("Code", "")
            )
            for e in answer.get("Errors", [])
        ]

    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 objects. Their versions stay. Raises an error if S3 kept any."""
        failed = self.remove([(key, None) for key in keys])
        if failed:
            doing = f"deleting {failed[0].key!a} ({len(failed)} of {len(keys)} objects remain)"
            raise refusal((item.code for item in failed), doing)

    def _open(self, key: str, version_id: str | None) -> Any:
        """Return S3's response with an object's body, or None if there is no such object."""
        version = {"VersionId": version_id} if version_id else {}
        try:
            return self._client.get_object(**self._where, Key=key, **version)
        except ClientError as error:
            wrong_version = error_code(error) in ("NoSuchVersion", "InvalidArgument")
            if _is_absent(error) or (version_id and wrong_version):
                return None
            raise

    def _versions(self, prefix: str) -> Iterator[Version]:
        with translate_errors(f"listing the versions of {prefix!a}"):
            for page in self._pages("list_object_versions", prefix):
                versions = (_version(v, marker=False) for v in page.get("Versions", []))
                markers = (_version(m, marker=True) for m in page.get("DeleteMarkers", []))
                # Each page has two lists, sorted by UTF-8 bytes. Python sorts strings in the same
                # order.
                yield from heapq.merge(versions, markers, key=attrgetter("key"))

    def _pages(self, operation: str, prefix: str) -> Iterator[Any]:
        paginator, size = self._client.get_paginator(operation), {"PageSize": self.page}
        yield from paginator.paginate(**self._where, Prefix=prefix, PaginationConfig=size)

    def _unless_taken(self, doing: str, call: Callable[[], object]) -> bool:
        with translate_errors(doing):
            try:
                call()
            except ClientError as error:
                if error_code(error) == "PreconditionFailed":
                    return False
                if error.operation_name == "CopyObject" and _is_absent(error):
                    raise LookupError(f"{doing}: the object does not exist") from error
                raise
            return True


def _version(entry: Mapping[str, Any], *, marker: bool) -> Version:
    return Version(
        key=entry["Key"],
        id=entry["VersionId"],
        bytes=entry.get("Size", 0),
        modified=entry["LastModified"],
        latest=entry["IsLatest"],
        marker=marker,
    )


def _is_absent(error: ClientError) -> bool:
    return error_code(error) in ("NoSuchKey", "404", "NotFound", "MethodNotAllowed")


def console_url(bucket: str, key: str, *, region: str) -> str:
    """Return the URL of an object in the S3 console."""
    console = f"https://{region}.console.aws.amazon.com/s3/object/{bucket}"
    return f"{console}?region={region}&prefix={quote(key, safe='')}"
