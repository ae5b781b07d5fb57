"""One DynamoDB table: plain Python values in and out, and writes that are retried after a conflict.

In every expression `#name` stands for the attribute `name`.
"""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from easel.aws.client import error_code, translate_errors
from easel.contract.errors import StorageBusyError

Item = dict[str, Any]
Key = tuple[str, str]  # pk and sk
MAX_TRIES = 20
LONGEST_PAUSE = 0.1  # seconds between two tries
MAX_BATCH = 100  # the limit of items in one batched read
TRANSIENT = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
CONDITION_FAILED = "ConditionalCheckFailed"

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Index(NamedTuple):
    """The items of a secondary index with this value in the attribute `key`."""

    name: str
    key: str
    value: str


class Table:
    """One table. `sleep` is time.sleep, except in tests."""

    def __init__(
        self, client: Any, *, name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, pk: str, sk: str) -> Item | None:
        """Return an item, or None. The read is strongly consistent."""
        with translate_errors(f"reading the record {pk} {sk}"):
            answer = self._client.get_item(
                TableName=self._name, Key=_key((pk, sk)), ConsistentRead=True
            )
        return plain(answer["Item"]) if "Item" in answer else None

    def query(self, pk: str) -> list[Item]:
        """Return all items of a partition by sort key. The read is strongly consistent."""
        with translate_errors(f"reading the records of {pk}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=_typed({":pk": pk}),
                ConsistentRead=True,
            )
            return [plain(item) for page in pages for item in page["Items"]]

    def page(
        self,
        index: Index,
        *,
        since: str | None,
        start: Item | None,
        limit: int,
        newest_first: bool = True,
    ) -> tuple[list[Item], bool]:
        """Return at most `limit` items of an index, and whether there are more.

        `since` is the lowest `at_id`. `start` has the keys of the item before the page. The index
        lags slightly behind the table.
        """
        condition, values = "#key = :value", {":value": index.value}
        if since:
            condition, values = f"{condition} AND at_id > :since", values | {":since": since}
        begin = {"ExclusiveStartKey": _typed(start | {index.key: index.value})} if start else {}
        with translate_errors(f"reading the index {index.name}"):
            answer = self._client.query(
                TableName=self._name,
                IndexName=index.name,
                KeyConditionExpression=condition,
                ExpressionAttributeNames={"#key": index.key},
                ExpressionAttributeValues=_typed(values),
                ScanIndexForward=not newest_first,
                Limit=limit,
                **begin,
            )
        return [plain(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def newest(self, pk: str, *, below: str, limit: int, consistent: bool = True) -> list[Item]:
        """Return at most `limit` items of a partition whose `sk` is lower, in descending order.

        There may be fewer although there are more, because DynamoDB reads 1 MB at once.
        """
        with translate_errors(f"reading the records of {pk}"):
            answer = self._client.query(
                TableName=self._name,
                KeyConditionExpression="pk = :pk AND sk < :below",
                ExpressionAttributeValues=_typed({":pk": pk, ":below": below}),
                ScanIndexForward=False,
                ConsistentRead=consistent,
                Limit=limit,
            )
        return [plain(item) for item in answer["Items"]]

    def between(self, pk: str, first: str, last: str, *, limit: int) -> tuple[list[Item], bool]:
        """Return at most `limit` items of a partition by sort key, and whether there are more.

        Both ends belong to the range. The read is strongly consistent. There may be fewer items
        although there are more, because DynamoDB reads 1 MB at once.
        """
        with translate_errors(f"reading the records of {pk}"):
            answer = self._client.query(
                TableName=self._name,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues=_typed({":pk": pk, ":first": first, ":last": last}),
                ConsistentRead=True,
                Limit=limit,
            )
        return [plain(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """Return items in no particular order, without the missing ones.

        The reads are strongly consistent, in groups as large as DynamoDB allows. Raises
        StorageBusyError.
        """
        groups = (keys[start : start + MAX_BATCH] for start in range(0, len(keys), MAX_BATCH))
        return [item for group in groups for item in self._get_group(group)]

    def _get_group(self, keys: Sequence[Key]) -> list[Item]:
        remaining: list[Any] = [_key(key) for key in keys]
        items: list[Item] = []
        for attempt in range(MAX_TRIES):
            with translate_errors(f"reading {len(remaining)} records"):
                request = {self._name: {"Keys": remaining, "ConsistentRead": True}}
                answer = self._client.batch_get_item(RequestItems=request)
            items += [plain(item) for item in answer["Responses"].get(self._name, [])]
            # These keys did not fit into the response, or were throttled.
            remaining = answer["UnprocessedKeys"].get(self._name, {}).get("Keys", [])
            if not remaining:
                return items
            self._sleep(_jitter(attempt))
        unread = f"{len(remaining)} of {len(keys)} were not read after {MAX_TRIES} attempts"
        raise StorageBusyError(f"reading records: {unread}")

    def write(self, *actions: Item) -> list[bool]:
        """Do all actions or none. Return for each action whether its condition held.

        If all values are true, the actions are done. Raises StorageBusyError if the write keeps
        conflicting with other transactions, which botocore does not retry.
        """
        return self.write_anew(lambda: actions)

    def write_anew(self, make: Callable[[], Sequence[Item]]) -> list[bool]:
        """Write as `write` does. After a conflict, `make` is called for the actions again.

        So the next attempt can avoid the item that others are writing.
        """
        for attempt in range(MAX_TRIES):
            actions = make()
            with translate_errors("writing a record"):
                try:
                    # botocore adds a client request token, so its retries are idempotent.
                    self._client.transact_write_items(TransactItems=list(actions))
                    return [True] * len(actions)
                except ClientError as error:
                    reasons = _cancellation_reasons(error, len(actions))
                    if reasons is None:
                        raise
            if CONDITION_FAILED in reasons:
                return [reason != CONDITION_FAILED for reason in reasons]
            self._sleep(_jitter(attempt))
        raise StorageBusyError(
            f"writing a record: {MAX_TRIES} attempts conflicted with other writers"
        )

    def change(
        self,
        key: Key,
        expression: str,
        *,
        condition: str | None = None,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> Item | None:
        """Change one item. Return the changed item, or None if the condition did not hold.

        `names` maps placeholders to attribute names that are not plain words.
        """
        doing = f"changing the record {key[0]} {key[1]}"
        call = self._expressions(expression, condition, values, names)
        for attempt in range(MAX_TRIES):
            with translate_errors(doing):
                try:
                    answer = self._client.update_item(
                        TableName=self._name, Key=_key(key), ReturnValues="ALL_NEW", **call
                    )
                    return plain(answer.get("Attributes", {}))
                except ClientError as error:
                    if error_code(error) == f"{CONDITION_FAILED}Exception":
                        return None
                    if error_code(error) != "TransactionConflictException":
                        raise
            self._sleep(_jitter(attempt))
        raise StorageBusyError(f"{doing}: {MAX_TRIES} attempts conflicted with other writers")

    def put(self, item: Item) -> Item:
        """Return the action that writes an item and overwrites any existing one."""
        return {"Put": {"TableName": self._name, "Item": _typed(item)}}

    def put_if_absent(self, item: Item) -> Item:
        """Return the action that writes an item if it does not exist yet."""
        absent = "attribute_not_exists(pk)"
        return {
            "Put": {"TableName": self._name, "Item": _typed(item), "ConditionExpression": absent}
        }

    def update(
        self, key: Key, expression: str, *, condition: str | None = None, values: Mapping[str, Any]
    ) -> Item:
        """Return the action that changes an item."""
        call = self._expressions(expression, condition, values)
        return {"Update": {"TableName": self._name, "Key": _key(key), **call}}

    def absent(self, key: Key) -> Item:
        """Return the action that checks that an item does not exist. It changes nothing."""
        condition = "attribute_not_exists(pk)"
        check = {"TableName": self._name, "Key": _key(key), "ConditionExpression": condition}
        return {"ConditionCheck": check}

    def delete(self, key: Key, *, condition: str, values: Mapping[str, Any]) -> Item:
        """Return the action that removes an item."""
        call = self._expressions(None, condition, values)
        return {"Delete": {"TableName": self._name, "Key": _key(key), **call}}

    def _expressions(
        self,
        update: str | None,
        condition: str | None,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> Item:
        words = re.findall(r"#\w+", f"{update or ''} {condition or ''}")
        attribute_names = {word: word[1:] for word in words} | dict(names or {})
        parts = {
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": attribute_names,
            "ExpressionAttributeValues": _typed(values),
        }
        return {name: part for name, part in parts.items() if part}


def plain(item: Mapping[str, Any]) -> Item:
    """Return an item from DynamoDB's format in plain values."""
    return {name: _plain_value(_deserialize(value)) for name, value in item.items()}


def _jitter(attempt: int) -> float:
    longest = min(LONGEST_PAUSE, 0.01 * 2**attempt)
    return random.uniform(0.005, longest + 0.005)  # noqa: S311 - not a secret


def _cancellation_reasons(error: ClientError, actions: int) -> list[str] | None:
    """Return the cancellation reason of each action, or None if the error is something else.

    It is something else unless a condition or something transient cancelled the transaction.
    """
    code = error_code(error)
    if code == "TransactionConflictException":
        return ["TransactionConflict"] * actions
    if code != "TransactionCanceledException":
        return None
    details = error.response.get("CancellationReasons", [])
    reasons = [str(reason.get("Code", "None")) for reason in details]
    return reasons if TRANSIENT.intersection(reasons) or CONDITION_FAILED in reasons else None


def _key(key: Key) -> Item:
    return _typed({"pk": key[0], "sk": key[1]})


def _typed(item: Mapping[str, Any]) -> Item:
    return {name: _serialize(value) for name, value in item.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Binary):
        return value.value  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return {name: _plain_value(inner) for name, inner in value.items()}
    # Money is whole micro-dollars and time whole microseconds, so no number has a fraction.
    return int(value) if isinstance(value, Decimal) else value
