"""The model of the contention benchmark refuses what the local AWS refuses."""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from bench.ledger_load import BusyDynamoDB
from bench.memory_table import TABLE, MemoryTable
from bench.virtual_time import VirtualTime
from tests.support.emulator import running_emulator, until

SECONDS = 4.0
KEYS = [("pk", "HASH"), ("sk", "RANGE")]


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": "x"}}


def transact(client: Any, *names: str) -> Any:
    puts = [{"Put": {"TableName": TABLE, "Item": key(name)}} for name in names]
    return client.transact_write_items(TransactItems=puts)


def update(client: Any, name: str) -> Any:
    values = {":one": {"N": "1"}}
    return client.update_item(
        TableName=TABLE,
        Key=key(name),
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues=values,
    )


def outcome(call: Callable[[], Any]) -> list[str]:
    """Return why a call is refused, as the code and the reason of each item, or an empty list."""
    try:
        call()
    except ClientError as error:
        reasons = error.response.get("CancellationReasons", [])
        return [error.response["Error"]["Code"], *(str(reason["Code"]) for reason in reasons)]
    return []


def meanwhile(client: Any) -> list[list[str]]:
    """Return the outcomes of calls while a transaction holds the items a and both."""
    return [
        outcome(lambda: transact(client, "b", "both")),
        outcome(lambda: transact(client, "both")),
        outcome(lambda: update(client, "both")),
        outcome(lambda: client.get_item(TableName=TABLE, Key=key("both"))),
        outcome(lambda: transact(client, "c")),
    ]


def in_the_model() -> list[list[str]]:
    clock, rng, outcomes = VirtualTime(), random.Random(1), []  # noqa: S311 - not a secret
    client = BusyDynamoDB(MemoryTable(), clock, rng, SECONDS)
    turns = iter((lambda: transact(client, "a", "both"), None))

    def work() -> None:
        turn = next(turns)
        if turn:
            turn()
        else:
            clock.sleep(0.1)
            outcomes.extend(meanwhile(client))
            clock.sleep(4 * SECONDS)
            outcomes.append(outcome(lambda: transact(client, "b", "both")))

    clock.run(work, threads=2)
    return outcomes


def on_the_local_aws(folder: Path) -> list[list[str]]:
    with running_emulator(
        folder, module="local.ministack", strict=f"conflicts={SECONDS}"
    ) as emulator:
        client = emulator.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in KEYS],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n, _ in KEYS],
        )
        first = threading.Thread(target=transact, args=(client, "a", "both"))
        first.start()
        until(lambda: "Item" in client.get_item(TableName=TABLE, Key=key("a")))
        # The last of these calls is answered when its own item is released.
        outcomes = meanwhile(client)
        first.join()
        return [*outcomes, outcome(lambda: transact(client, "b", "both"))]


def test_model_and_local_aws_refuse_the_same(tmp_path: Path) -> None:
    conflict = "TransactionConflict"
    cancelled = "TransactionCanceledException"

    outcomes = in_the_model()

    assert outcomes == on_the_local_aws(tmp_path)
    assert outcomes == [
        [cancelled, "None", conflict],
        [cancelled, conflict],
        ["TransactionConflictException"],
        [],
        [],
        [],
    ]
