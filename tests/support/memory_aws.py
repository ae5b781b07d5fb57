"""AWS in memory (moto), and S3 with failures."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from easel.aws.table import Table
from easel.ledger.budget import Budget, month_of
from tests.support.services import BUCKET, CAP, NOW, FakeDeadline

_begun: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Clients:
    s3: Any
    dynamodb: Any
    secretsmanager: Any


class OneAtATime:
    """A client that makes one call at a time, because moto is not safe for threads."""

    def __init__(self, client: Any) -> None:
        self._client, self._lock = client, Lock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                return method(*args, **kwargs)

        return call if callable(method) else method


def begin_month(dynamodb: Any, table: str) -> None:
    """Let the month of NOW begin in an empty table, as its first run does.

    moto takes a third of a second for that transaction, so its result is kept and written again.
    """
    if not _begun:
        Budget(Table(dynamodb, name=table), setting=CAP).begin(month_of(NOW))
        _begun.extend(dynamodb.scan(TableName=table)["Items"])
    for start in range(0, len(_begun), 25):  # the limit of one batch
        puts = [{"PutRequest": {"Item": item}} for item in _begun[start : start + 25]]
        dynamodb.batch_write_item(RequestItems={table: puts})


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
        objects = call.pop("Delete")["Objects"]
        errors = [
            item | {"Code": self._codes[item["Key"]], "Message": "no"}
            for item in objects
            if item["Key"] in self._codes
        ]
        others = [item for item in objects if item["Key"] not in self._codes]
        answer = {}
        if others:
            delete = {"Objects": others, "Quiet": True}
            answer = self._client.delete_objects(**call, Delete=delete)
        return answer | {"Errors": errors}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class Conflicting:
    """A DynamoDB in which other writers conflict a number of times.

    AWS reports a conflict in one of two ways, which `code` selects.
    """

    def __init__(
        self, client: Any, conflicts: int, code: str = "TransactionCanceledException"
    ) -> None:
        self._client, self.left, self._code = client, conflicts, code

    def transact_write_items(self, **call: Any) -> Any:
        if self.left:
            self.left -= 1
            others = [{"Code": "None"}] * (len(call["TransactItems"]) - 1)
            answer: Any = {
                "Error": {"Code": self._code},
                "CancellationReasons": [{"Code": "TransactionConflict"}, *others],
            }
            raise ClientError(answer, "TransactWriteItems")
        return self._client.transact_write_items(**call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def keys_in(s3: Any) -> list[str]:
    return sorted(entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def versions_in(s3: Any) -> list[tuple[str, str]]:
    """Return every version and every delete marker, as key and kind."""
    listing = s3.list_object_versions(Bucket=BUCKET)
    kinds = {"version": listing.get("Versions", []), "marker": listing.get("DeleteMarkers", [])}
    return sorted((entry["Key"], kind) for kind, entries in kinds.items() for entry in entries)


class DyingClient:
    """A client of a process that dies before its call number `at`. Its twins count together."""

    def __init__(self, client: Any, at: int, calls: list[str] | None = None) -> None:
        self._client, self._at = client, at
        self._calls: list[str] = [] if calls is None else calls

    def twin(self, client: Any) -> "DyingClient":
        return DyingClient(client, self._at, self._calls)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls.append(name)
            if len(self._calls) >= self._at:
                raise RuntimeError(f"the process died before {name}")
            return method(*args, **kwargs)

        return call
