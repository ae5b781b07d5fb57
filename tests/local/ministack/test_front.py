"""The emulator's front door: what needs a key, and what other websites may not do."""

import hashlib
import http.client
import urllib.parse
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.emulator import CLOSED, REGION, Emulator

SESSION = """
import os

def handler(event, context):
    return [context.invoked_function_arn, os.environ["AWS_SECRET_ACCESS_KEY"]]
"""
EVIL = "http://evil.example"


def request(emulator: Emulator, method: str, path: str, **headers: str) -> tuple[int, list[str]]:
    """Send a request without a key. Return the status and the names of its CORS headers."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    cors = "access-control-"
    return answer.status, [name for name, _ in answer.getheaders() if name.lower().startswith(cors)]


def client(emulator: Emulator, service: str, *key: str, **config: Any) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service
        service,
        endpoint_url=f"http://127.0.0.1:{emulator.port}",
        region_name=REGION,
        aws_access_key_id=key[0] if key else None,
        aws_secret_access_key=key[1] if key else None,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def is_refused(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    return False


@pytest.mark.parametrize("service", ["s3", "lambda", "stepfunctions"])
@pytest.mark.parametrize(
    "key", [("test", "test"), ("000000000000", "test"), ("AKIA0000000000000000", "guessed")]
)
def test_foreign_keys_are_refused(
    patched_emulator: Emulator, service: str, key: tuple[str, str]
) -> None:
    calls = {"s3": "list_buckets", "lambda": "list_functions", "stepfunctions": "list_activities"}

    foreign, own = client(patched_emulator, service, *key), patched_emulator.client(service)

    assert is_refused(getattr(foreign, calls[service]))
    assert not is_refused(getattr(own, calls[service]))


def test_signature_of_own_key_is_checked(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def refused(emulator: Emulator, **config: Any) -> bool:
        s3 = client(emulator, "s3", emulator.key.id, "guessed", **config)
        return is_refused(s3.list_buckets)

    assert not refused(plain_emulator), CLOSED
    assert refused(patched_emulator)
    assert refused(patched_emulator, signature_version="s3")  # SigV2


def test_buckets_need_a_key(plain_emulator: Emulator, patched_emulator: Emulator) -> None:
    def refused(emulator: Emulator) -> bool:
        return is_refused(client(emulator, "s3", signature_version=UNSIGNED).list_buckets)

    assert not refused(plain_emulator), CLOSED
    assert refused(patched_emulator)


def test_keys_of_functions_cannot_be_computed(
    plain_emulator: Emulator, patched_emulator: Emulator
) -> None:
    def is_known(emulator: Emulator) -> bool:
        """Return whether someone who knows the function's and the role's name knows its key."""
        arn, secret = emulator.invoke(emulator.create_function(SESSION), {})
        digest = hashlib.sha256(f"{arn}:{emulator.role}".encode()).hexdigest()
        return bool(secret == hashlib.sha256(f"secret:{digest}".encode()).hexdigest())

    assert is_known(plain_emulator), CLOSED
    assert not is_known(patched_emulator)


@pytest.mark.parametrize(
    "headers", [{"Origin": EVIL}, {"Host": "evil.example"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_other_websites_cannot_call(
    plain_emulator: Emulator, patched_emulator: Emulator, headers: dict[str, str]
) -> None:
    path = "/2015-03-31/functions/"

    # Plain MiniStack asks for a key, in a response that every website may read.
    assert request(plain_emulator, "GET", "/_ministack/health", **headers)[0] == 200, CLOSED
    assert request(patched_emulator, "GET", "/_ministack/health", **headers) == (403, [])
    assert request(patched_emulator, "POST", path, **headers) == (403, [])


@pytest.mark.parametrize("path", ["/", "/bucket/key", "/oauth2/token", "/2015-03-31/functions/"])
def test_preflights_allow_nobody(
    plain_emulator: Emulator, patched_emulator: Emulator, path: str
) -> None:
    asks = {"Access_Control_Request_Method": "POST"}
    own = {"Origin": f"http://127.0.0.1:{patched_emulator.port}"}

    foreign = request(patched_emulator, "OPTIONS", path, Origin=EVIL, **asks)

    if path == "/oauth2/token":
        assert request(plain_emulator, "OPTIONS", path, Origin=EVIL, **asks)[1], CLOSED
    assert foreign == (403, [])
    assert request(patched_emulator, "OPTIONS", path, **own, **asks)[1] == []


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/%5Fministack/reset"])
def test_own_routes_of_ministack_are_closed(patched_emulator: Emulator, path: str) -> None:
    patched_emulator.s3.create_bucket(
        Bucket=f"kept-{hashlib.sha256(path.encode()).hexdigest()[:8]}",
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )
    before = len(patched_emulator.s3.list_buckets()["Buckets"])

    status, _ = request(patched_emulator, "POST", path)

    assert status == 404
    assert len(patched_emulator.s3.list_buckets()["Buckets"]) == before


def test_presigned_link_needs_no_other_key(patched_emulator: Emulator) -> None:
    patched_emulator.create_bucket("linked")
    patched_emulator.s3.put_object(Bucket="linked", Key="a", Body=b"a")
    link = patched_emulator.s3.generate_presigned_url(
        "get_object", Params={"Bucket": "linked", "Key": "a"}
    )
    where = urllib.parse.urlsplit(link)
    own = {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Dest": "image"}

    assert request(patched_emulator, "GET", f"{where.path}?{where.query}", **own)[0] == 200
    assert request(patched_emulator, "GET", f"{where.path}?{where.query[:-1]}", **own)[0] == 403
