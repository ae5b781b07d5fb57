"""A local stack in a storm: every call of its functions goes through a proxy that can fail it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from easel.aws.table import Table
from easel.ledger.budget import Budget, month_of
from tests.faults.proxy import Call, Proxy
from tests.support.local_stack import LocalStack

_read = TypeDeserializer().deserialize
_write = TypeSerializer().serialize


class Storm(LocalStack):
    """The stack, with what stands before AWS and before OpenAI.

    The test's own calls go past both.
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
        """From now on nothing fails; what was counted stays."""
        self._openai("DELETE", "/_faults")
        for proxy in (self.aws_faults, self.openai_faults):
            proxy.clear()

    def calls(self, step: str = "") -> list[Call]:
        """What the functions called at AWS and at OpenAI, in order.

        `step` is a part of the function's name, as Image.
        """
        both = [*self.aws_faults.calls, *self.openai_faults.calls]
        return sorted((call for call in both if step in call.function), key=lambda call: call.at)

    def records(self, run_id: str) -> list[dict[str, Any]]:
        """All items of a run as they stand now, by their sort key."""
        return self._items(f"run#{run_id}")

    def budget(self) -> dict[str, Any]:
        """This month's item, empty before the first run."""
        return next(iter(self._items(f"budget#{datetime.now(UTC):%Y-%m}")), {})

    @contextmanager
    def capped(self, micro_usd: int) -> Iterator[None]:
        """This month's cap for a while, as a person sets it while the stack runs."""
        before = self.budget()["cap"]
        self._set_cap(micro_usd)
        try:
            yield
        finally:
            self._set_cap(before)

    def let_leases_run_out(self, run_id: str, *, sk: str | None = None) -> int:
        """Stands for the time that a killed function's lease takes to pass.

        Gives how many claims were live.

        With `sk` that of one record alone; without, also claims of functions that still run end.

        """
        self.let_places_run_out()
        live = [
            item
            for item in self.records(run_id)
            if item.get("lease_until", 0) > time.time() and sk in (None, item["sk"])
        ]
        return sum(self._run_out(item) for item in live)

    def let_places_run_out(self) -> None:
        """The same for the places that killed functions have in the pace of image calls."""
        key = {"pk": {"S": "pace"}, "sk": {"S": "images"}}
        if "Item" in self.dynamodb.get_item(TableName=self.table, Key=key):
            values: dict[str, Any] = {":none": {"M": {}}}
            self.dynamodb.update_item(
                TableName=self.table,
                Key=key,
                UpdateExpression="SET calls = :none",
                ExpressionAttributeValues=values,
            )

    def versions(self, prefix: str) -> list[dict[str, Any]]:
        """Every version of every object under a prefix, as S3 lists them.

        `deleted` is true for a delete's mark.
        """
        pages = list(
            self.s3.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
        )
        objects = [
            found | {"deleted": False} for page in pages for found in page.get("Versions", [])
        ]
        return objects + [
            found | {"deleted": True} for page in pages for found in page.get("DeleteMarkers", [])
        ]

    def staged(self, run_id: str) -> list[str]:
        """The keys that a run has in staging."""
        return self.keys(f"staging/{run_id}/")

    def _set_cap(self, micro_usd: int) -> None:
        setting = self.budget()["setting"]
        Budget(Table(self.dynamodb, name=self.table), setting=setting).set_cap(
            month_of(datetime.now(UTC)), micro_usd
        )

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
