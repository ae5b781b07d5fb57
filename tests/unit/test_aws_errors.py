import inspect
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from easel.aws import client
from easel.aws.bucket import Bucket
from easel.aws.table import MAX_TRIES as TABLE_TRIES
from easel.aws.table import Table
from easel.contract.errors import ConfigError, EaselError, StorageBusyError, StorageDeniedError
from easel.ledger.budget import Budget
from easel.ledger.ledger import Ledger
from tests.support.memory_aws import Conflicting
from tests.support.services import reserve

BOTOCORE = sorted(
    {
        kind
        for _, kind in inspect.getmembers(botocore.exceptions, inspect.isclass)
        if issubclass(kind, BotoCoreError)
    },
    key=lambda kind: kind.__name__,
)


def client_error(code: str, status: int = 400, **more: Any) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer | more, "Op")


@pytest.mark.parametrize("kind", BOTOCORE, ids=lambda kind: kind.__name__)
def test_every_botocore_error_is_in_the_tree(kind: type[BotoCoreError]) -> None:
    bare = kind.__new__(kind)
    assert type(client.translate(bare, "doing")) in (StorageBusyError, ConfigError)


@pytest.mark.parametrize("kind", [ReadTimeoutError, ConnectTimeoutError, EndpointConnectionError])
def test_broken_connection_is_transient(kind: type[BotoCoreError]) -> None:
    assert isinstance(client.translate(kind(endpoint_url="http://x"), "doing"), StorageBusyError)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("SlowDown", 503, StorageBusyError),
        ("InternalError", 500, StorageBusyError),
        ("ConditionalRequestConflict", 409, StorageBusyError),
        ("ThrottlingException", 400, StorageBusyError),
        ("AccessDenied", 403, StorageDeniedError),
        ("KMS.DisabledException", 400, StorageDeniedError),
        ("403", 403, StorageDeniedError),
        ("NoSuchBucket", 404, ConfigError),
        ("PermanentRedirect", 301, ConfigError),
        ("ValidationException", 400, ConfigError),
        ("Whatever", 502, StorageBusyError),
        ("", 0, ConfigError),
    ],
)
def test_error_code_decides_about_retry(code: str, status: int, expected: type[EaselError]) -> None:
    error = client.translate(client_error(code, status), "writing 'f/a.png'")
    assert type(error) is expected
    assert "writing 'f/a.png'" in str(error)


@pytest.mark.parametrize("code", ["TransactionCanceledException", "TransactionConflictException"])
def test_write_conflict_is_retried(table: Table, code: str) -> None:
    waits: list[float] = []
    busy = Table(
        Conflicting(table._client, TABLE_TRIES - 1, code), name="records", sleep=waits.append
    )
    Budget(table, setting=6400).begin("2026-11")

    reserve(Ledger(busy, Budget(busy, setting=6400)), 10, month="2026-11")

    assert Budget(table, setting=6400).read("2026-11").committed == 10
    assert all(0.005 <= wait <= 0.105 for wait in waits)


def test_endless_conflict_is_left_to_state_machine(table: Table) -> None:
    busy = Table(Conflicting(table._client, 10_000), name="records", sleep=lambda _: None)
    with pytest.raises(StorageBusyError):
        busy.write(busy.put_if_absent({"pk": "a", "sk": "b"}))


def test_failed_condition_is_returned_despite_conflict(table: Table) -> None:
    table.write(table.put_if_absent({"pk": "a", "sk": "b"}))
    assert table.write(
        table.put_if_absent({"pk": "a", "sk": "b"}), table.put_if_absent({"pk": "c", "sk": "d"})
    ) == [False, True]
    assert table.get("c", "d") is None


def test_tls_put_signs_its_only_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(name, value)
    sent: list[Any] = []

    class Sent(Exception):  # noqa: N818 - it ends the call before it reaches a network
        """Ends a call once its request has been seen."""

    def see(request: Any, **_: Any) -> None:
        sent.append(request)
        raise Sent

    s3 = client.client("s3", tries=1)
    s3.meta.events.register("before-send.s3", see)
    with pytest.raises(Sent):
        Bucket(s3, name="bucket", owner="1" * 12).put(
            "key", b"bytes", content_type="image/png", sha256="00" * 32
        )

    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in sent[0].headers.items()
    }
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "x-amz-checksum-sha256" in headers["authorization"]
