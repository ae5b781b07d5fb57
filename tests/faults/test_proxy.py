"""The proxy itself, before the emulator and before a server that echoes its requests."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.faults.caller import is_alive
from tests.faults.faulty_stack import FaultyStack
from tests.faults.proxy import Call, Proxy
from tests.faults.rule import Rule
from tests.support.local_stack import keys

PUT = (
    "import boto3, sys; boto3.client('s3').put_object(Bucket=sys.argv[1], Key=sys.argv[2], "
    "Body=b'there')"
)


@pytest.fixture
def proxy(running_faulty_stack: FaultyStack) -> Iterator[Proxy]:
    """Yield a proxy for one test, before the emulator of the stack with faults."""
    with closing(Proxy(running_faulty_stack.outputs["endpoint"])) as proxy:
        proxy.key = Credentials(*keys(running_faulty_stack.outputs).values())
        yield proxy


def client(proxy: Proxy, service: str, *, read_timeout: float = 20, tries: int = 1) -> Any:
    config = Config(
        read_timeout=read_timeout, retries={"total_max_attempts": tries, "mode": "standard"}
    )
    assert proxy.key
    return boto3.client(  # type: ignore[call-overload]  # any service
        service,
        endpoint_url=proxy.url,
        config=config,
        region_name="ap-southeast-1",
        aws_access_key_id=proxy.key.access_key,
        aws_secret_access_key=proxy.key.secret_key,
    )


@pytest.fixture
def s3(proxy: Proxy) -> Iterator[Any]:
    with closing(client(proxy, "s3")) as s3:
        yield s3


@pytest.fixture
def key() -> str:
    return f"proxied/{uuid4().hex}"


def stored(stack: FaultyStack, key: str) -> bytes | None:
    """Return the stored object, read without the proxy."""
    try:
        return bytes(stack.s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read())
    except stack.s3.exceptions.NoSuchKey:
        return None


def seen(proxy: Proxy) -> list[tuple[str, str]]:
    return [(call.operation, call.target) for call in proxy.calls]


def test_large_put_arrives_and_returns_whole(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    body = os.urandom(5_000_000)
    s3.put_object(
        Bucket=running_faulty_stack.bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256"
    )

    assert (
        s3.get_object(Bucket=running_faulty_stack.bucket, Key=key, ChecksumMode="ENABLED")[
            "Body"
        ].read()
        == body
    )
    assert s3.head_object(Bucket=running_faulty_stack.bucket, Key=key)["ContentLength"] == len(body)
    assert seen(proxy) == [("PutObject", key), ("GetObject", key), ("HeadObject", key)]


def test_s3_operations_are_named(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    where: dict[str, Any] = {"Bucket": running_faulty_stack.bucket}
    odd = f"{key} ö+%/#"
    s3.put_object(**where, Key=odd, Body=b"")
    s3.copy_object(**where, Key=key, CopySource=where | {"Key": odd})
    s3.list_objects_v2(**where, Prefix=key)
    s3.list_object_versions(**where, Prefix=key)
    s3.delete_objects(**where, Delete={"Objects": [{"Key": odd}, {"Key": key}]})
    s3.put_object(**where, Key=key, Body=b"")
    s3.put_object_tagging(**where, Key=key, Tagging={"TagSet": []})
    s3.delete_object(**where, Key=key)

    assert seen(proxy) == [
        ("PutObject", odd),
        ("CopyObject", key),
        ("ListObjectsV2", key),
        ("ListObjectVersions", key),
        ("DeleteObjects", f"{odd} {key}"),
        ("PutObject", key),
        ("PutObjectTagging", key),
        ("DeleteObject", key),
    ]


def test_other_services_operations_are_named(
    proxy: Proxy, running_faulty_stack: FaultyStack
) -> None:
    with (
        closing(client(proxy, "dynamodb")) as dynamodb,
        closing(client(proxy, "secretsmanager")) as secrets,
    ):
        table, key = running_faulty_stack.table, {"pk": {"S": "run#x"}, "sk": {"S": "image#1"}}
        dynamodb.get_item(TableName=table, Key=key)
        dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "run#x"}},
        )
        both = [
            {"Put": {"TableName": table, "Item": key}},
            {"Delete": {"TableName": table, "Key": key | {"sk": {"S": "image#2"}}}},
        ]
        dynamodb.transact_write_items(TransactItems=both)
        dynamodb.delete_item(TableName=table, Key=key)
        with pytest.raises(secrets.exceptions.ResourceNotFoundException):
            secrets.get_secret_value(SecretId="no-such")
    assert seen(proxy) == [
        ("GetItem", "run#x image#1"),
        ("Query", "run#x"),
        ("TransactWriteItems", "Put run#x image#1, Delete run#x image#2"),
        ("DeleteItem", "run#x image#1"),
        ("GetSecretValue", "no-such"),
    ]


@pytest.mark.parametrize("status", [403, 503])
def test_s3_error_is_formatted_and_not_forwarded(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str, status: int
) -> None:
    proxy.script(
        Rule(
            operation="PutObject",
            contains=key,
            status=status,
            code="SlowDown",
            headers={"x-amz-request-id": "wanted"},
        )
    )
    with pytest.raises(ClientError) as exc_info:
        s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")
    response = exc_info.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "SlowDown",
        status,
    )
    assert response["ResponseMetadata"]["RequestId"] == "wanted"
    assert stored(running_faulty_stack, key) is None

    s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")
    assert [call.fault for call in proxy.calls] == ["status", None]


def test_copy_can_fail_with_status_200(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="CopyObject", status=200, code="InternalError"))
    with pytest.raises(ClientError, match="InternalError"):
        s3.copy_object(
            Bucket=running_faulty_stack.bucket,
            Key=key,
            CopySource={"Bucket": running_faulty_stack.bucket, "Key": "any"},
        )


def test_head_error_has_no_body(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="HeadObject", status=403))
    with pytest.raises(ClientError, match="403"):
        s3.head_object(Bucket=running_faulty_stack.bucket, Key=key)
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=running_faulty_stack.bucket, Key=key)


def test_errors_use_the_format_of_each_service(
    proxy: Proxy, running_faulty_stack: FaultyStack
) -> None:
    proxy.script(
        Rule(operation="GetItem", status=400, code="ProvisionedThroughputExceededException"),
        Rule(
            operation="TransactWriteItems",
            contains="run#x",
            cancelled=("TransactionConflict", "None"),
        ),
        Rule(operation="GetSecretValue", status=500, code="InternalServiceError"),
    )
    with (
        closing(client(proxy, "dynamodb")) as dynamodb,
        closing(client(proxy, "secretsmanager")) as secrets,
    ):
        key = {"pk": {"S": "run#x"}, "sk": {"S": "image#1"}}
        with pytest.raises(dynamodb.exceptions.ProvisionedThroughputExceededException):
            dynamodb.get_item(TableName=running_faulty_stack.table, Key=key)
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
            dynamodb.transact_write_items(
                TransactItems=[{"Put": {"TableName": running_faulty_stack.table, "Item": key}}] * 2
            )
        assert [reason["Code"] for reason in cancelled.value.response["CancellationReasons"]] == [
            "TransactionConflict",
            "None",
        ]
        with pytest.raises(ClientError, match="InternalServiceError"):
            secrets.get_secret_value(SecretId="any")
    assert proxy.waiting() == []


def test_refused_connection_forwards_nothing(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="PutObject", refuse=True))
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")
    assert stored(running_faulty_stack, key) is None


def test_lost_response_leaves_the_object(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="PutObject", lose_answer=True))
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")
    assert stored(running_faulty_stack, key) == b"there"


def test_client_retry_finds_its_first_attempt(
    proxy: Proxy, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="PutObject", lose_answer=True))
    with (
        closing(client(proxy, "s3", tries=2)) as s3,
        pytest.raises(ClientError, match="PreconditionFailed"),
    ):
        s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there", IfNoneMatch="*")
    assert [call.fault for call in proxy.calls] == ["lose_answer", None]


def test_hanging_call_is_done_and_answered_late(
    proxy: Proxy, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="PutObject", hang=0.5, times=2))
    with closing(client(proxy, "s3", read_timeout=0.1)) as hasty, pytest.raises(ReadTimeoutError):
        hasty.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")
    assert stored(running_faulty_stack, key) == b"there"

    start = time.monotonic()
    with closing(client(proxy, "s3")) as patient:
        patient.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"again")
    assert time.monotonic() - start >= 0.5


def test_corrupt_bytes_fail_the_clients_checksum(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(Rule(operation="PutObject", corrupt=True))
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")
    assert stored(running_faulty_stack, key) is None


@pytest.mark.parametrize("stay", ["a", ""])
def test_undeletable_objects_stay_and_are_named(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str, stay: str
) -> None:
    where: dict[str, Any] = {"Bucket": running_faulty_stack.bucket}
    both = [f"{key}/{name}" for name in ("a", "b & c")]
    for object_key in both:
        s3.put_object(**where, Key=object_key, Body=b"there")
    proxy.script(Rule(operation="DeleteObjects", object_errors=[(f"{key}/{stay}", "AccessDenied")]))
    answer = s3.delete_objects(
        **where, Delete={"Objects": [{"Key": object_key} for object_key in both], "Quiet": True}
    )
    kept = [object_key for object_key in both if f"{key}/{stay}" in object_key]

    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [
        (object_key, "AccessDenied") for object_key in kept
    ]
    assert [object_key for object_key in both if stored(running_faulty_stack, object_key)] == kept


def test_undeletable_versions_stay_and_are_named(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    where: dict[str, Any] = {"Bucket": running_faulty_stack.bucket}
    versions = [
        s3.put_object(**where, Key=f"{key}/{name}", Body=b"there")["VersionId"] for name in "ab"
    ]
    proxy.script(Rule(operation="DeleteObjects", object_errors=[(f"{key}/a", "InternalError")]))
    named = [
        {"Key": f"{key}/{name}", "VersionId": version}
        for name, version in zip("ab", versions, strict=True)
    ]
    (error,) = s3.delete_objects(**where, Delete={"Objects": named, "Quiet": True})["Errors"]

    assert (error["Key"], error["VersionId"], error["Code"]) == (
        f"{key}/a",
        versions[0],
        "InternalError",
    )
    assert [version["VersionId"] for version in running_faulty_stack.versions(key)] == versions[:1]


@pytest.mark.parametrize(("moment", "there"), [("before", None), ("after", b"there")])
def test_killed_caller_dies_before_its_connection_closes(
    proxy: Proxy, running_faulty_stack: FaultyStack, key: str, moment: Any, there: bytes | None
) -> None:
    killed: list[tuple[Call, bool]] = []
    proxy.on_kill = lambda call: killed.append((call, is_alive(call.pid or 0)))
    proxy.script(Rule(operation="PutObject", step="Uploader", kill=moment))
    environment = {name.upper(): text for name, text in keys(running_faulty_stack.outputs).items()}
    environment |= {
        "AWS_ENDPOINT_URL_S3": proxy.url,
        "AWS_DEFAULT_REGION": "ap-southeast-1",
        "AWS_LAMBDA_FUNCTION_NAME": "TheUploaderFunction",
    }
    running = subprocess.Popen(
        [sys.executable, "-c", PUT, running_faulty_stack.bucket, key], env=environment
    )
    assert running.wait(120) == -signal.SIGKILL

    deadline = time.monotonic() + 60
    # The proxy notices the death slightly later than this test does.
    while not killed and time.monotonic() < deadline:
        time.sleep(0.01)
    (call,) = proxy.calls
    assert (call.function, call.pid, call.operation, call.fault) == (
        "TheUploaderFunction",
        running.pid,
        "PutObject",
        "kill",
    )
    assert killed == [(call, False)]
    assert stored(running_faulty_stack, key) == there


def test_rule_never_kills_the_tests(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    kill = Rule(operation="PutObject", kill="before")
    proxy.script(kill)
    s3.put_object(Bucket=running_faulty_stack.bucket, Key=key, Body=b"there")

    assert proxy.calls[0].pid == os.getpid()
    assert proxy.waiting() == [kill]


def test_rules_apply_in_order_after_skips(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    proxy.script(
        Rule(operation="HeadObject", contains=key, skip=1, times=2, status=503),
        Rule(operation="HeadObject", step="Image", status=500, times=9),
        Rule(operation="HeadObject", status=404),
    )
    codes = []
    for _ in range(5):
        try:
            s3.head_bucket(Bucket=running_faulty_stack.bucket)
            s3.head_object(Bucket=running_faulty_stack.bucket, Key=key)
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    assert codes == ["404", "503", "503", "404", "404"]
    assert [call.fault for call in proxy.calls if call.operation == "HeadObject"] == [
        "status",
        "status",
        "status",
        None,
        None,
    ]


@pytest.mark.parametrize("kinds", [{}, {"status": 500, "refuse": True}])
def test_rule_has_exactly_one_kind(kinds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="exactly one of"):
        Rule(operation="GetItem", **kinds)


class Echo(BaseHTTPRequestHandler):
    """A server that echoes a request, and answers in each way that HTTP allows."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        arrived = (
            self._chunked()
            if self.headers.get("Transfer-Encoding")
            else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        )
        content = json.dumps(
            {
                "headers": self.headers.items(),
                "body": arrived.decode("latin-1"),
                "line": self.requestline,
            }
        ).encode()
        status = int(self.headers.get("X-Status", 200))
        self.send_response(status)
        match self.headers.get("X-Answer"):
            case "chunked":
                self.send_header("Transfer-Encoding", "chunked")
                content = (
                    b"".join(
                        b"%x\r\n%b\r\n" % (len(part), part) for part in (content[:9], content[9:])
                    )
                    + b"0\r\n\r\n"
                )
            case "cut":
                self.send_header("Content-Length", str(2 * len(content)))
                self.close_connection = True
            case "until-closed":
                self.send_header("Connection", "close")
            case _ if status not in (204, 304):
                self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" or status in (204, 304) else content)

    def _chunked(self) -> bytes:
        lines: list[bytes] = []
        while not lines or lines[-1] != b"\r\n":  # no body of these tests has an empty line
            lines.append(self.rfile.readline())
        return b"".join(lines)

    do_GET = do_HEAD = do_PUT = do_POST = _serve  # noqa: N815 - the base class's names

    def log_message(self, *_: Any) -> None:
        """Write no log."""


@pytest.fixture
def before_echo() -> Iterator[Proxy]:
    """Yield a proxy before a server that echoes its requests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with closing(Proxy(f"http://127.0.0.1:{server.server_address[1]}")) as proxy:
            yield proxy
        server.shutdown()


@pytest.fixture
def echo(before_echo: Proxy) -> Iterator[http.client.HTTPConnection]:
    with closing(
        http.client.HTTPConnection("127.0.0.1", before_echo.port, timeout=60)
    ) as connection:
        yield connection


def arrived(connection: http.client.HTTPConnection) -> Any:
    return json.loads(connection.getresponse().read())


def test_request_arrives_unchanged_without_connection_headers(
    echo: http.client.HTTPConnection,
) -> None:
    sent = [
        ("Host", "elsewhere"),
        ("X-Twice", "1"),
        ("x-tWice", "2"),
        ("Content-Length", "3"),
        ("X-Latin", "ö"),
    ]
    echo.putrequest("PUT", "//a//b%2F%20c?q=%C3%B6&&x", skip_host=True, skip_accept_encoding=True)
    for name, value in [*sent, ("Connection", "keep-alive")]:
        echo.putheader(name, value)
    echo.endheaders(b"\0\xff\n")
    request = arrived(echo)

    assert request["line"] == "PUT //a//b%2F%20c?q=%C3%B6&&x HTTP/1.1"
    assert [tuple(pair) for pair in request["headers"]] == sent
    assert request["body"] == "\0\xff\n"


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v1/images/edits", "image"),
        ("POST", "/v1/files", "file"),
        ("POST", "/v1/batches", "batch"),
        ("GET", "/v1/batches/batch_1", "GET"),
    ],
)
def test_openai_operations_are_named(
    before_echo: Proxy, echo: http.client.HTTPConnection, method: str, path: str, operation: str
) -> None:
    echo.request(method, path, b"{}")
    echo.getresponse().read()

    assert seen(before_echo) == [(operation, path)]


def post(connection: http.client.HTTPConnection, body: bytes) -> None:
    connection.request("POST", "/v1/images/edits", body)
    connection.getresponse()


def test_cut_request_is_not_forwarded(before_echo: Proxy, echo: http.client.HTTPConnection) -> None:
    before_echo.script(Rule(operation="image", contains="kite", cut=True))
    body = b"A kite".ljust(20_000_000)  # more than the sockets between the two can hold

    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        post(echo, body)

    assert [call.fault for call in before_echo.calls] == ["cut"]


def test_rule_for_half_a_request_leaves_others_whole(
    before_echo: Proxy, echo: http.client.HTTPConnection
) -> None:
    before_echo.script(Rule(operation="image", contains="kite", cut=True))

    echo.request("POST", "/v1/images/edits", b"A ship, whole")

    assert arrived(echo)["body"] == "A ship, whole"
    assert [call.fault for call in before_echo.calls] == [None]


def test_chunks_and_trailers_arrive_unchanged(echo: http.client.HTTPConnection) -> None:
    body = b"5;sig=1\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n"
    echo.putrequest("PUT", "/b/k")
    echo.putheader("Transfer-Encoding", "chunked")
    echo.endheaders(body)

    assert arrived(echo)["body"].encode() == body


def test_proxy_answers_100_continue(echo: http.client.HTTPConnection) -> None:
    echo.putrequest("PUT", "/b/k")
    for name, value in (("Expect", "100-continue"), ("Content-Length", "5")):
        echo.putheader(name, value)
    echo.endheaders()
    assert echo.sock.recv(25, socket.MSG_PEEK) == b"HTTP/1.1 100 Continue\r\n\r\n"

    echo.send(b"hello")
    request = arrived(echo)
    assert request["body"] == "hello"
    assert "expect" not in [name.lower() for name, _ in request["headers"]]


@pytest.mark.parametrize("answer", ["", "chunked", "until-closed"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_answer_arrives_and_keeps_the_connection(
    echo: http.client.HTTPConnection, method: str, answer: str
) -> None:
    for _ in range(2):
        echo.request(method, "/b/k", headers={"X-Answer": answer})
        response = echo.getresponse()
        assert response.headers.get("Transfer-Encoding") == (
            "chunked" if answer == "chunked" else None
        )
        assert bool(response.read()) == (method == "GET")
        assert echo.sock


@pytest.mark.parametrize(
    "request_",
    [
        "GET /b/k HTTP/1.1\r\nX-Status: 204",
        "GET /b/k HTTP/1.1\r\nX-Status: 304",
        "HEAD /b/k HTTP/1.1\r\nX-Answer: chunked",
    ],
)
def test_empty_answer_has_no_body_bytes(before_echo: Proxy, request_: str) -> None:
    with socket.create_connection(("127.0.0.1", before_echo.port), timeout=60) as raw:
        raw.sendall(f"{request_}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert b"content-length" not in head.lower()


def test_cut_answer_arrives_cut(echo: http.client.HTTPConnection) -> None:
    echo.request("GET", "/b/k", headers={"X-Answer": "cut"})
    with pytest.raises(http.client.IncompleteRead):
        echo.getresponse().read()


@pytest.mark.parametrize(
    ("headers", "body", "there"),
    [
        ({"Content-Length": "5"}, b"hello", "hemlo"),
        ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n", "5\r\niello\r\n0\r\n\r\n"),
        (
            {"Content-Encoding": "aws-chunked", "Content-Length": "15"},
            b"5\r\nhello\r\n0\r\n\r\n",
            "5\r\niello\r\n0\r\n\r\n",
        ),
    ],
)
def test_corruption_hits_content_and_not_framing(
    before_echo: Proxy,
    echo: http.client.HTTPConnection,
    headers: dict[str, str],
    body: bytes,
    there: str,
) -> None:
    before_echo.script(Rule(operation="PutObject", corrupt=True))
    echo.putrequest("PUT", "/b/k")
    for name, value in headers.items():
        echo.putheader(name, value)
    echo.endheaders(body)

    assert arrived(echo)["body"] == there


def test_missing_server_looks_like_a_hang_up() -> None:
    with (
        closing(Proxy("http://127.0.0.1:9")) as proxy,
        closing(http.client.HTTPConnection("127.0.0.1", proxy.port)) as connection,
    ):
        connection.request("GET", "/b/k")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()


def sockets() -> int:
    links = [name for name in Path("/proc/self/fd").iterdir() if name.is_symlink()]
    return sum(str(link.readlink()).startswith("socket:") for link in links)


def test_close_leaves_no_thread_or_socket(running_faulty_stack: FaultyStack) -> None:
    before, ours = sockets(), set(threading.enumerate())
    ending = Proxy(running_faulty_stack.outputs["endpoint"])
    ending.script(Rule(operation="HeadObject", hang=60))
    hanging, idle = (http.client.HTTPConnection("127.0.0.1", ending.port) for _ in range(2))
    idle.request("HEAD", f"/{running_faulty_stack.bucket}")
    idle.getresponse().read()
    hanging.request("HEAD", f"/{running_faulty_stack.bucket}/k")
    while len(ending.calls) < 2:
        time.sleep(0.01)
    assert len(set(threading.enumerate()) - ours) == 3

    start = time.monotonic()
    ending.close()
    assert time.monotonic() - start < 30  # it does not wait for the one that hangs

    hanging.close()
    idle.close()
    assert set(threading.enumerate()) <= ours
    assert sockets() <= before


def test_concurrent_threads_get_their_own_answers(
    proxy: Proxy, s3: Any, running_faulty_stack: FaultyStack, key: str
) -> None:
    bodies = {
        f"{key}/{number}": hashlib.sha256(str(number).encode()).digest() * 1000
        for number in range(32)
    }

    def put_and_get(name: str) -> bytes:
        s3.put_object(Bucket=running_faulty_stack.bucket, Key=name, Body=bodies[name])
        return bytes(s3.get_object(Bucket=running_faulty_stack.bucket, Key=name)["Body"].read())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put_and_get, bodies)) == list(bodies.values())
