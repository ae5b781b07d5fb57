"""One S3 bucket. Nothing is overwritten: every put and copy to a final key is conditional."""

import heapq
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import IO, Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from easel.aws.client import error_code, refusal, translate_errors
from easel.contract.errors import BadImageError, InputError

PAGE = 1000  # the most keys that one list or one delete takes
CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What S3 knows of an object, without its bytes. `modified` has whole seconds."""

    key: str
    bytes: int
    metadata: Mapping[str, str]
    modified: datetime


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an object, or one delete marker (of 0 bytes).

    `modified` has whole seconds: no order can be read from it.
    """

    key: str
    id: str
    bytes: int
    modified: datetime
    latest: bool
    marker: bool


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What S3 kept in spite of a delete, and its code for the reason."""

    key: str
    version_id: str | None
    code: str


class Bucket:
    """One bucket of one owner."""

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
        """Write an object under a key that belongs to one purchase alone.

        With `sha256` (hexadecimal), S3 refuses a body that has another sum.
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

    def put_if_absent(self, key: str, body: bytes, *, content_type: str) -> bool:
        """Write an object unless the key is taken. Return whether it was written."""
        return self._unless_taken(
            f"writing {key!a}",
            lambda: self._client.put_object(
                **self._where, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"
            ),
        )

    def copy_if_absent(
        self, source: str, target: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> bool:
        """Copy inside S3 unless the target is taken. Return whether it was copied.

        Raises LookupError if there is no source.
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
                ContentType=content_type,
                Metadata=dict(metadata),
            ),
        )

    def get(self, key: str, *, limit: int) -> bytes | None:
        """Return an object's bytes, or None if there is none.

        Raises BadImageError above `limit` bytes, before they are read.
        """
        with translate_errors(f"reading {key!a}"):
            answer = self._opened(key, None)
            if answer is None:
                return None
            size = answer["ContentLength"]
            if size > limit:
                raise BadImageError(
                    f"{key!a} has {size:,} bytes, more than the limit of {limit:,}; the object was"
                    " not changed"
                )
            body: bytes = answer["Body"].read()
            return body

    def fetch(
        self, key: str, into: IO[bytes], *, version_id: str | None = None, limit: int | None = None
    ) -> str | None:
        """Copy an object into a file in bounded memory.

        Return its version's id, or None if there is no such object. Raises InputError above
        `limit` bytes, before they are read.
        """
        with translate_errors(f"reading {key!a}"):
            answer = self._opened(key, version_id)
            if answer is None:
                return None
            size = answer["ContentLength"]
            if limit is not None and size > limit:
                raise InputError(key, f"of {size:,} bytes", f"at most {limit:,} bytes")
            for chunk in answer["Body"].iter_chunks(CHUNK):
                into.write(chunk)
        return str(answer.get("VersionId", ""))

    def put_file(self, key: str, file: IO[bytes], *, content_type: str) -> None:
        """Write a file from its beginning, whatever is at the key, in bounded memory."""
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
            )

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the current objects under a prefix, page by page; S3 does not list metadata."""
        with translate_errors(f"listing {prefix!a}"):
            for page in self._pages("list_objects_v2", prefix):
                for o in page.get("Contents", []):
                    yield StoredObject(
                        key=o["Key"], bytes=o["Size"], metadata={}, modified=o["LastModified"]
                    )

    def histories(self, prefix: str) -> Iterator[list[Version]]:
        """Yield the history of each key under a prefix: versions, then delete markers.

        Both are newest first. A key is yielded when the next one was listed, so a caller that
        removes it at once never removes what the next page is asked to start after, and a key
        that straddles pages is whole.
        """
        for _, history in groupby(self._versions(prefix), key=attrgetter("key")):
            yield sorted(history, key=attrgetter("marker"))

    def history(self, key: str) -> list[Version]:
        """Return the versions and delete markers of exactly this key."""
        # Of all keys that begin with it, it is itself the first.
        return [version for version in next(self.histories(key), []) if version.key == key]

    def remove(self, these: Sequence[tuple[str, str | None]]) -> list[Kept]:
        """Remove up to 1,000 versions or delete markers for good, and return what S3 kept.

        A key without a version gets a delete marker.
        """
        if len(these) > PAGE:
            raise ValueError(f"{len(these)} keys in one delete, S3 takes {PAGE}")
        if not these:
            return []
        objects = [
            {"Key": key} | ({"VersionId": version} if version else {}) for key, version in these
        ]
        with translate_errors(f"deleting {len(these)} objects, from {these[0][0]!a}"):
            answer = self._client.delete_objects(
                **self._where, Delete={"Objects": objects, "Quiet": True}
            )
        # S3 answers 200 also if it refused single objects.
        return [
            Kept(key=e["Key"], version_id=e.get("VersionId") or None, code=e.get("Code", ""))
            for e in answer.get("Errors", [])
        ]

    def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 objects; their versions stay. Raises if S3 kept any."""
        kept = self.remove([(key, None) for key in keys])
        if kept:
            doing = f"deleting {kept[0].key!a} ({len(kept)} of {len(keys)} objects remain)"
            raise refusal((one.code for one in kept), doing)

    def _opened(self, key: str, version_id: str | None) -> Any:
        """Return S3's answer with an object's body, or None if there is no such object."""
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
                # Two lists a page, both ascending in UTF-8, which is the order of Python's strings.
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
    return error_code(error) in ("NoSuchKey", "404", "NotFound")


def console_url(bucket: str, key: str, *, region: str) -> str:
    """Return the page of an object in the S3 console."""
    console = f"https://{region}.console.aws.amazon.com/s3/object/{bucket}"
    return f"{console}?region={region}&prefix={quote(key, safe='')}"
