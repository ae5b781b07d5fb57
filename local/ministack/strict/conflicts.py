"""Gap: transactions of DynamoDB never conflict, because each one ends before the next begins.

On AWS, a transaction holds its items while it runs. Another transaction with one of these items is
cancelled with the reason TransactionConflict, and a single write of one fails with
TransactionConflictException:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html

Here a transaction takes effect at once, holds its items for some milliseconds, and is answered
then. So nobody conflicts with a transaction that has been answered. A busy emulator answers later,
but does not hold the items longer. These differences from AWS remain:

- BatchWriteItem, TransactGetItems and PartiQL never conflict.
- A transaction that conflicts does not evaluate the conditions of its other items.
"""

import asyncio
import functools
import json
import time
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb

from local.ministack.edits import replace

_SINGLE_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_ONGOING = "Transaction is ongoing for the item"

_Item = tuple[str, ...]


def apply(seconds: float) -> None:
    """Let each transaction take this long, and refuse other writes of its items meanwhile."""
    replace(dynamodb, "handle_request", lambda handle: _holding_items(handle, seconds))


def _holding_items(handle: Any, seconds: float) -> Any:
    held_until: dict[_Item, float] = {}

    def is_held(item: _Item) -> bool:
        return held_until.get(item, 0) > time.monotonic()

    async def transact(request: dict[str, Any], *call: Any) -> Any:
        items = [_item_of(write) for entry in request["TransactItems"] for write in entry.values()]
        conflicts = [is_held(item) for item in items]
        if any(conflicts):
            return _cancelled(conflicts)
        held_until.update(dict.fromkeys(items, time.monotonic() + seconds))
        try:
            answer = await handle(*call)
            await asyncio.sleep(seconds)
            return answer
        finally:
            for item in items:
                if not is_held(item):
                    held_until.pop(item, None)

    @functools.wraps(handle)
    async def handling(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Any:
        call = (method, path, headers, body, query)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action in _SINGLE_WRITES and is_held(_item_of(json.loads(body))):
            return error_response_json("TransactionConflictException", _ONGOING, 400)
        if action == "TransactWriteItems" and not _is_repeated(request := json.loads(body)):
            return await transact(request, *call)
        return await handle(*call)

    return handling


def _item_of(write: dict[str, Any]) -> _Item:
    """Return what identifies the item of a write. Its key is in Key, or in the new Item."""
    name = dynamodb._normalize_table_name(write.get("TableName"))
    table = dynamodb._tables.get(name) or {"pk_name": None, "sk_name": None}
    attributes = write.get("Key") or write.get("Item") or {}
    keys = (attributes.get(table["pk_name"]), attributes.get(table["sk_name"]))
    return (str(name), *(json.dumps(key) for key in keys))


def _is_repeated(request: dict[str, Any]) -> bool:
    """Return whether the request repeats a transaction that has taken effect."""
    token = request.get("ClientRequestToken")
    return bool(token) and dynamodb._txn_token_lookup(token) is not None


def _cancelled(conflicts: list[bool]) -> Any:
    conflict = {"Code": "TransactionConflict", "Message": _ONGOING}
    reasons = [conflict if conflicts_here else {"Code": "None"} for conflicts_here in conflicts]
    codes = ", ".join(reason["Code"] for reason in reasons)
    name = "TransactionCanceledException"
    answer = {
        "__type": name,
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        f"[{codes}]",
        "CancellationReasons": reasons,
    }
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": name}
    return 400, headers, json.dumps(answer).encode()
