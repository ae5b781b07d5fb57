"""AWS in memory (moto), and S3 with failures."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.support.services import BUCKET, FakeDeadline


@dataclass(frozen=True)
class Clients:
    s3: Any
    dynamodb: Any
    secretsmanager: Any


class ConditionalCopies:
    """An S3 whose CopyObject honours If-None-Match, as on AWS. In moto it does not."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def copy_object(self, **call: Any) -> Any:
        if call.pop("IfNoneMatch", None) == "*" and call["Key"] in keys_in(self._client):
            answer: Any = {
                "Error": {"Code": "PreconditionFailed"},
                "ResponseMetadata": {"HTTPStatusCode": 412},
            }
            raise ClientError(answer, "CopyObject")
        return self._client.copy_object(**call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class Refusing:
    """An S3 that keeps some keys despite a delete, or dies during it, or is slow."""

    def __init__(
        self,
        client: Any,
        codes: dict[str, str],
        *,
        dies_at: int | None = None,
        takes: tuple[FakeDeadline, float] | None = None,
    ) -> None:
        self._client, self._codes = client, codes
        self._dies_at, self._takes, self._calls = dies_at, takes, 0

    def delete_objects(self, **call: Any) -> Any:
        self._calls += 1
        if self._calls == self._dies_at:
            raise RuntimeError("the process died")
        if self._takes:
            self._takes[0].sleep(self._takes[1])
        those = call.pop("Delete")["Objects"]
        errors = [
            one | {"Code": self._codes[one["Key"]], "Message": "no"}
            for one in those
            if one["Key"] in self._codes
        ]
        others = [one for one in those if one["Key"] not in self._codes]
        answer = {}
        if others:
            delete = {"Objects": others, "Quiet": True}
            answer = self._client.delete_objects(**call, Delete=delete)
        return answer | {"Errors": errors}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def keys_in(s3: Any) -> list[str]:
    return sorted(found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def versions_in(s3: Any) -> list[tuple[str, str]]:
    """Return every version and every delete marker, as key and kind."""
    found = s3.list_object_versions(Bucket=BUCKET)
    kinds = {"version": found.get("Versions", []), "marker": found.get("DeleteMarkers", [])}
    return sorted((one["Key"], kind) for kind, those in kinds.items() for one in those)
