"""DynamoDB as this project uses it: plain Python values in and out, and writes that outlast a passing conflict."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from functions.adapters import aws
from functions.errors import StorageBusyError
from functions.settings import settings

Item = dict[str, Any]
CONFLICT_TRIES = 8
PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class Table:
    """One table. `sleep` is the clock's, but for tests."""

    def __init__(self, client: Any, *, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, pk: str, sk: str) -> Item | None:
        """One item as it stands now."""
        with aws.named(f"reading the record {pk} {sk}"):
            answer = self._client.get_item(TableName=self._name, Key=_typed({"pk": pk, "sk": sk}), ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def query(self, pk: str) -> list[Item]:
        """All items of a partition as they stand now, by their sort key."""
        with aws.named(f"reading the records of {pk}"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=_typed({":pk": pk}),
                ConsistentRead=True,
            )
            return [plain(item) for page in pages for item in page["Items"]]

    def page(self, index: str, key: str, value: str, *, since: str | None, start: Item | None, limit: int) -> tuple[list[Item], bool]:
        """At most `limit` items of an index with `key` = `value`, newest first, and whether there are more.

        `since` is the lowest `at_id` that is wanted, `start` the keys of the item after which the page begins. An index lags by moments.
        """
        condition, values = "#key = :value", {":value": value}
        if since:
            condition, values = f"{condition} AND at_id > :since", values | {":since": since}
        begin = {"ExclusiveStartKey": _typed(start | {key: value})} if start else {}
        with aws.named(f"reading the index {index}"):
            answer = self._client.query(
                TableName=self._name,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeNames={"#key": key},
                ExpressionAttributeValues=_typed(values),
                ScanIndexForward=False,
                Limit=limit,
                **begin,
            )
        return [plain(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def get_many(self, these: Sequence[tuple[str, str]]) -> list[Item]:
        """Up to 100 items as they stand now, in no order; those that are not there are left out. Raises StorageBusyError."""
        wanted: list[Any] = [_typed({"pk": pk, "sk": sk}) for pk, sk in these]
        found: list[Item] = []
        for attempt in range(CONFLICT_TRIES if wanted else 0):
            with aws.named(f"reading {len(wanted)} records"):
                answer = self._client.batch_get_item(RequestItems={self._name: {"Keys": wanted, "ConsistentRead": True}})
            found += [plain(item) for item in answer["Responses"].get(self._name, [])]
            # What did not fit into one answer, or was throttled.
            wanted = answer["UnprocessedKeys"].get(self._name, {}).get("Keys", [])
            if not wanted:
                break
            self._sleep(_jitter(attempt))
        if wanted:
            raise StorageBusyError(f"reading records: {len(wanted)} of {len(these)} were not read in {CONFLICT_TRIES} tries")
        return found

    def write(self, *actions: Item) -> list[bool]:
        """Do all actions or none. Gives for each whether its condition held: all true means that it is done.

        Raises StorageBusyError when other transactions keep getting in the way: botocore retries none of those.
        """
        for attempt in range(CONFLICT_TRIES):
            with aws.named("writing a record"):
                try:
                    # The client request token that botocore adds makes its own resends harmless.
                    self._client.transact_write_items(TransactItems=list(actions))
                    return [True] * len(actions)
                except ClientError as error:
                    reasons = _cancelled(error, len(actions))
                    if reasons is None:
                        raise
            if "ConditionalCheckFailed" in reasons:
                return [reason != "ConditionalCheckFailed" for reason in reasons]
            self._sleep(_jitter(attempt))
        raise StorageBusyError(f"writing a record: {CONFLICT_TRIES} tries met other writers")

    def change(
        self, pk: str, sk: str, expression: str, *, condition: str, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> Item | None:
        """Change one item by itself and give it as it is then; None where the condition did not hold."""
        for attempt in range(CONFLICT_TRIES):
            with aws.named(f"changing the record {pk} {sk}"):
                try:
                    answer = self._client.update_item(
                        TableName=self._name,
                        Key=_typed({"pk": pk, "sk": sk}),
                        UpdateExpression=expression,
                        ConditionExpression=condition,
                        ExpressionAttributeNames=dict(names),
                        ReturnValues="ALL_NEW",
                        **({"ExpressionAttributeValues": _typed(values)} if values else {}),
                    )
                    return plain(answer.get("Attributes", {}))
                except ClientError as error:
                    code = error.response.get("Error", {}).get("Code")
                    if code == "ConditionalCheckFailedException":
                        return None
                    if code != "TransactionConflictException":
                        raise
            self._sleep(_jitter(attempt))
        raise StorageBusyError(f"changing the record {pk} {sk}: {CONFLICT_TRIES} tries met other writers")

    def put(self, item: Item) -> Item:
        """An action that writes an item, whatever stands there."""
        return {"Put": {"TableName": self._name, "Item": _typed(item)}}

    def put_if_absent(self, item: Item) -> Item:
        """An action that writes a new item."""
        return {"Put": {"TableName": self._name, "Item": _typed(item), "ConditionExpression": "attribute_not_exists(pk)"}}

    def update(self, pk: str, sk: str, expression: str, *, condition: str | None = None, values: Mapping[str, Any]) -> Item:
        """An action that changes an item. Attribute names in expressions stand as `#name`."""
        names = {word for word in (expression + " " + (condition or "")).replace(",", " ").replace("(", " ").split() if word[0] == "#"}
        action: Item = {
            "TableName": self._name,
            "Key": _typed({"pk": pk, "sk": sk}),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": _typed(values),
        }
        if names:
            action["ExpressionAttributeNames"] = {name.rstrip(")"): name.rstrip(")")[1:] for name in names}
        if condition:
            action["ConditionExpression"] = condition
        return {"Update": action}

    def delete(self, pk: str, sk: str, *, condition: str, names: Mapping[str, str], values: Mapping[str, Any]) -> Item:
        """An action that removes an item."""
        return {
            "Delete": {
                "TableName": self._name,
                "Key": _typed({"pk": pk, "sk": sk}),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": dict(names),
                "ExpressionAttributeValues": _typed(values),
            }
        }


def _jitter(attempt: int) -> float:
    return random.uniform(0.02, min(0.5, 0.02 * 2**attempt) + 0.001)  # noqa: S311 - jitter, no secret


def _cancelled(error: ClientError, actions: int) -> list[str] | None:
    """Why each action of a transaction was cancelled; None where the error is another, or no condition and no passing trouble."""
    code = error.response.get("Error", {}).get("Code")
    if code == "TransactionConflictException":
        return ["TransactionConflict"] * actions
    if code != "TransactionCanceledException":
        return None
    reasons = [str(reason.get("Code", "None")) for reason in error.response.get("CancellationReasons", [])]
    return reasons if PASSING.intersection(reasons) or "ConditionalCheckFailed" in reasons else None


def _typed(item: Mapping[str, Any]) -> Item:
    return {name: _serialize(value) for name, value in item.items()}


def plain(item: Mapping[str, Any]) -> Item:
    """An item as DynamoDB sends it, in plain values."""
    return {name: _number(_deserialize(value)) for name, value in item.items()}


def _number(value: Any) -> Any:
    # Money is whole micro-dollars, and time whole microseconds, so no number in the table has a fraction.
    if isinstance(value, dict):
        return {name: _number(inner) for name, inner in value.items()}
    return int(value) if isinstance(value, Decimal) else value


@cache
def table() -> Table:
    """This stack's table."""
    return Table(aws.client("dynamodb"), name=settings().table)
