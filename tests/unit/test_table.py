"""How the table handles incomplete answers."""

from typing import Any

import pytest

from easel.aws.table import Table
from easel.contract.errors import StorageBusyError


class Slow:
    """A table that returns one item at a time, like a throttled one."""

    def __init__(self, *, stuck: bool) -> None:
        self.stuck, self.calls = stuck, 0

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 - boto3
        self.calls += 1
        ((name, request),) = RequestItems.items()
        first, *rest = request["Keys"]
        if self.stuck:
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        return {
            "Responses": {name: [first]},
            "UnprocessedKeys": {name: {"Keys": rest}} if rest else {},
        }


KEYS = [(f"run#{n}", "prompt") for n in range(5)]


def test_partial_answer_is_requested_again() -> None:
    client = Slow(stuck=False)
    items = Table(client, name="t", sleep=lambda _: None).get_many(KEYS)
    assert [(item["pk"], item["sk"]) for item in items] == KEYS
    assert client.calls == 5


def test_missing_items_are_reported_as_busy() -> None:
    with pytest.raises(StorageBusyError, match="5 of 5"):
        Table(Slow(stuck=True), name="t", sleep=lambda _: None).get_many(KEYS)


def test_empty_request_makes_no_call() -> None:
    client = Slow(stuck=True)
    assert Table(client, name="t").get_many([]) == []
    assert client.calls == 0


def test_records_are_read_consistently() -> None:
    requests: list[dict[str, Any]] = []

    class Client:
        def batch_get_item(self, **call: Any) -> dict[str, Any]:
            requests.append(call["RequestItems"]["records"])
            return {"Responses": {}, "UnprocessedKeys": {}}

    Table(Client(), name="records").get_many([("run#a", "prompt")])
    assert requests[0]["ConsistentRead"] is True
