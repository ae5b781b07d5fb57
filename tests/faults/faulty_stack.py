"""A local stack with faults: each call of its functions goes through a proxy that can fail it."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from easel.aws.table import Table
from easel.ledger.budget import Budget, month_of
from easel.ledger.charges import Charges
from easel.ledger.shards import MONTH, Shards
from functions.economy.place import VISIBLE_SECONDS
from tests.faults.caller import is_alive
from tests.faults.proxy import Call, Proxy
from tests.support.api_caller import fetch
from tests.support.local_stack import LocalStack

# A lock lasts longer than the function that places the order. A function that could not place it
# shortens the lock. One that is still placing it makes calls all the time.
UNLOCKED_SECONDS, SILENT_SECONDS = VISIBLE_SECONDS + 5, 60
_read = TypeDeserializer().deserialize
_write = TypeSerializer().serialize


class FaultyStack(LocalStack):
    """The stack with its proxies before AWS and OpenAI.

    The test's own calls bypass both.
    """

    def __init__(self, outputs: dict[str, Any], *, aws_faults: Proxy, openai_faults: Proxy) -> None:
        super().__init__(outputs)
        self.table = str(outputs["table"])
        self.aws_faults, self.openai_faults = aws_faults, openai_faults

    def forget(self) -> None:
        """Clear the stand-in's ledger and faults, and the proxies' rules and lists."""
        super().forget()
        for proxy in (self.aws_faults, self.openai_faults):
            proxy.on_kill = None
            proxy.forget()

    def clear(self) -> None:
        """Delete all faults, and keep what was counted."""
        self._openai("DELETE", "/_faults")
        for proxy in (self.aws_faults, self.openai_faults):
            proxy.clear()

    def calls(self, step: str = "") -> list[Call]:
        """Return the functions' calls to AWS and OpenAI, in order.

        `step` is a part of the function's name, such as Image.
        """
        both = [*self.aws_faults.calls, *self.openai_faults.calls]
        return sorted((call for call in both if step in call.function), key=lambda call: call.at)

    def records(self, run_id: str) -> list[dict[str, Any]]:
        """Return all current items of a run, by their sort key."""
        return self._items(f"run#{run_id}")

    def budget(self) -> dict[str, Any]:
        """Return the fields of this month's Funds, or {} before the first run."""
        shards = Shards(Table(self.dynamodb, name=self.table))
        (funds,) = shards.read(month_of(datetime.now(UTC)), [MONTH])
        return asdict(funds) if funds.version else {}

    def charged(self) -> int:
        """Return the sum of this month's charges, in micro-dollars."""
        charges = Charges(Table(self.dynamodb, name=self.table))
        return sum(each.micro_usd for each in charges.of(month_of(datetime.now(UTC))))

    @contextmanager
    def capped(self, micro_usd: int) -> Iterator[None]:
        """Set this month's cap within the block, as a person sets it while the stack runs."""
        if not self.budget():  # the first run of a month writes its item
            self.run({"size": "1024x640", "quality": "low", "folder_name": "warm"})
            self.forget()
        before = self.budget()["cap"]
        self._set_cap(micro_usd)
        try:
            yield
        finally:
            self._set_cap(before)

    def let_leases_run_out(self, run_id: str, *, sk: str | None = None) -> int:
        """Expire the leases of a run, so that a test does not have to wait.

        Return how many leases were live.

        With `sk`, only this record's lease expires. Otherwise all leases of the run do, even if
        their functions still run. The claim of an order is not a function's, and stays.
        """
        self.let_places_run_out()
        live = [
            item
            for item in self.records(run_id)
            if item.get("lease_until", 0) > time.time()
            and sk in (None, item["sk"])
            and "order" not in item
        ]
        return sum(self._run_out(item) for item in live)

    def let_places_run_out(self) -> None:
        """Free the slots that killed functions hold in the rate limit of image calls."""
        key = {"pk": {"S": "pace"}, "sk": {"S": "images"}}
        if "Item" in self.dynamodb.get_item(TableName=self.table, Key=key):
            values: dict[str, Any] = {":none": {"M": {}}}
            self.dynamodb.update_item(
                TableName=self.table,
                Key=key,
                UpdateExpression="SET calls = :none",
                ExpressionAttributeValues=values,
            )

    def let_order_locks_run_out(self, *, killed: int | None = None) -> None:
        """Expire the locks of orders that no function is placing any more.

        A function that could not place an order leaves the lock for a minute, in case the batch
        appears in OpenAI's list after all. A function that was killed, such as the process
        `killed`, leaves it as it was. So does one that failed before it could unlock the order.
        """
        now = time.time()
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.table,
            FilterExpression="begins_with(pk, :orders) AND held_until > :now",
            ExpressionAttributeValues={":orders": _write("order#"), ":now": _write(int(now))},
        )
        for page in pages:
            for item in page["Items"]:
                is_unlocked = int(_read(item["held_until"])) < now + UNLOCKED_SECONDS
                if not is_unlocked and self._is_placing(_read(item["pk"]), killed=killed):
                    continue
                Table(self.dynamodb, name=self.table).change(
                    (_read(item["pk"]), _read(item["sk"])),
                    "SET #held_until = :past",
                    condition="#held_until = :seen",
                    values={":past": 1, ":seen": int(_read(item["held_until"]))},
                )

    def run_batch(
        self, name: str, lines: Sequence[dict[str, Any]], **request: Any
    ) -> dict[str, Any]:
        """Run a batch of these lines to its end."""
        key = f"batches/{name}.jsonl"
        body = "".join(json.dumps(line) + "\n" for line in lines)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode())
        arn = self.states.start_execution(
            stateMachineArn=self.outputs["batch_state_machine_arn"],
            input=json.dumps({"manifest": key} | request),
        )["executionArn"]

        def is_over() -> bool:
            self.let_order_locks_run_out()
            return self.has_ended(arn)

        self.until(is_over)
        return self.wait_for_end(arn)

    def has_ended(self, arn: str) -> bool:
        """Return whether an execution is known and has ended."""
        execution = self.describe(arn)
        return execution is not None and execution["status"] != "RUNNING"

    def files_at_openai(self) -> list[str]:
        """Return the names of the input images that are at OpenAI."""
        url = f"{self.outputs['openai_base_url']}/files?purpose=vision"
        listed = fetch(url, headers={"Authorization": "Bearer any"}).json["data"]
        return [file["filename"] for file in listed]

    def versions(self, prefix: str) -> list[dict[str, Any]]:
        """Return every version of every object under a prefix, as S3 lists them.

        `deleted` is true for a delete marker.
        """
        pages = list(
            self.s3.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
        )
        objects = [
            version | {"deleted": False} for page in pages for version in page.get("Versions", [])
        ]
        return objects + [
            version | {"deleted": True}
            for page in pages
            for version in page.get("DeleteMarkers", [])
        ]

    def staged(self, run_id: str) -> list[str]:
        """Return the keys that a run has in staging."""
        return self.keys(f"staging/{run_id}/")

    def _set_cap(self, micro_usd: int) -> None:
        setting = self.budget()["setting"]
        Budget(Table(self.dynamodb, name=self.table), setting=setting).set_cap(
            month_of(datetime.now(UTC)), micro_usd
        )

    def _is_placing(self, order: str, *, killed: int | None) -> bool:
        """Return whether the function that locked an order may still be placing it."""
        calls = self.calls("Economy")
        writes = (f"Put {order} order", f"Update {order} order")
        done = [call for call in calls if call.target in writes and call.status == HTTPStatus.OK]
        if not done:
            return True
        lock = done[-1]
        later = [call for call in calls if call.pid == lock.pid and call.at > lock.at]
        has_begun_another = any(call.target.startswith("Put order#") for call in later)
        is_silent = time.monotonic() - max(call.at for call in [lock, *later]) > SILENT_SECONDS
        is_dead = lock.pid == killed or not is_alive(lock.pid or 0)
        return not (is_dead or has_begun_another or is_silent)

    def _items(self, pk: str) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": _write(pk)},
            ConsistentRead=True,
        )
        # No number in the table has a fraction.
        plain = [
            {name: _read(value) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]
        return [
            {
                name: int(value) if hasattr(value, "as_tuple") else value
                for name, value in item.items()
            }
            for item in plain
        ]

    def _run_out(self, item: dict[str, Any]) -> bool:
        try:
            self.dynamodb.update_item(
                TableName=self.table,
                Key={"pk": _write(item["pk"]), "sk": _write(item["sk"])},
                UpdateExpression="SET lease_until = :past",
                ConditionExpression="#status = :claimed AND lease_until = :seen",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    name: _write(value)
                    for name, value in {
                        ":past": 1,
                        ":claimed": "claimed",
                        ":seen": item["lease_until"],
                    }.items()
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True
