"""The mirror step and its adapter, against a store in memory and servers on loopback.

The servers play S3, Google and Microsoft.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import obstore
import pytest
from obstore import exceptions
from obstore.store import MemoryStore

from easel.aws.bucket import Bucket
from easel.contract import naming
from easel.contract.errors import (
    ConfigError,
    ConflictError,
    EaselError,
    FinalError,
    RetryableError,
    StorageBusyError,
    StorageDeniedError,
    leaves,
)
from easel.contract.messages import StoredImage
from easel.contract.status import Status
from easel.ledger.ledger import Ledger
from easel.ledger.records import ImageRecord
from functions.mirror import handler as mirror
from functions.mirror import store
from functions.mirror.store import MirrorStore, connect, read_config, translate
from tests.support.images import png
from tests.support.loopback import Quiet, serving
from tests.support.services import BUCKET, REGION, FakeServices

KEY = "my_s3_folder/a kite.png"
THOSE = {KEY: png(), f"{KEY}.json": b'{"prompt": "A kite"}', f"thumbnails/{KEY}.webp": b"small"}
STORED = StoredImage(run_id="run-1", n=1, status=Status.STORED, key=KEY)
KEYS = {"access_key_id": "key", "secret_access_key": "secret"}


@dataclass
class Server:
    """A store that answers with its list of statuses and then repeats the last one.

    It keeps the requests and the last body.
    """

    url: str
    statuses: list[int] = field(default_factory=lambda: [200])
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    body: bytes = b""


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(Quiet):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            served.requests.append(
                (
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                )
            )
            status = served.statuses.pop(0) if len(served.statuses) > 1 else served.statuses[0]
            body = served.body if self.command == "GET" and status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Tue, 24 Nov 2026 03:15:02 GMT")
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET = answer  # noqa: N815 - the standard library's names

    with serving(Handler) as url:
        served = Server(url=url)
        yield served


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RETRIES", {"max_retries": 0})
    monkeypatch.setattr(store, "SERVICES", FakeServices())


@pytest.fixture
def pictures(bucket: Bucket, ledger: Ledger) -> Bucket:
    """Return the bucket with one image in it, and store the image's record."""
    claim = ImageRecord(
        run_id="run-1",
        n=1,
        status=Status.CLAIMED,
        purchase=1,
        possibly_paid=0,
        lease_until=9,
        month="2026-11",
        reserved_micro_usd=9,
    )
    ledger.claims.take(claim, after=None)
    for key, body in THOSE.items():
        bucket.put(key, body, content_type="any")
    return bucket


def there(other: Any) -> dict[str, bytes]:
    return {
        entry["path"]: bytes(obstore.get(other, entry["path"]).bytes())
        for entry in obstore.list(other).collect()
    }


Run = Callable[..., StoredImage]


@pytest.fixture
def run(services: FakeServices) -> Run:
    def mirror_image(pictures: Bucket, other: Any, stored: StoredImage = STORED) -> StoredImage:
        services.bucket = pictures
        copies = MirrorStore(lambda: other, url="gs://bucket/copies/")
        return mirror.run(stored, services, copies)

    return mirror_image


def test_image_without_thumbnail_is_still_copied(run: Run, pictures: Bucket, s3: Any) -> None:
    gone = naming.thumbnail_key(str(STORED.key))
    s3.delete_object(Bucket=BUCKET, Key=gone)
    other = MemoryStore()

    assert run(pictures, other).mirrored
    assert set(there(other)) == set(THOSE) - {gone}


def test_image_and_companions_keep_their_keys(run: Run, pictures: Bucket, ledger: Ledger) -> None:
    other = MemoryStore()
    assert run(pictures, other).mirrored == "gs://bucket/copies/my_s3_folder/a%20kite.png"
    assert there(other) == THOSE

    record = ledger.image("run-1", 1)
    assert record
    assert record.mirrored == "gs://bucket/copies/my_s3_folder/a%20kite.png"

    stored = replace(record, status=Status.STORED, key=STORED.key)
    assert [
        stored.is_missing_from(mirror)
        for mirror in ("gs://bucket/copies", "gs://bucket/copie", None)
    ] == [False, True, False]


def test_each_copy_has_its_content_type(run: Run, pictures: Bucket) -> None:
    other = MemoryStore()
    run(pictures, other)
    kinds = {key: obstore.get(other, key).attributes["Content-Type"] for key in THOSE}
    assert list(kinds.values()) == ["image/png", "application/json", "image/webp"]


def test_second_run_writes_nothing(run: Run, pictures: Bucket) -> None:
    other = MemoryStore()
    first = run(pictures, other)
    written = [obstore.head(other, key)["e_tag"] for key in THOSE]  # each write changes the tag

    assert run(pictures, other) == first
    assert [obstore.head(other, key)["e_tag"] for key in THOSE] == written


def test_interrupted_copy_is_completed(run: Run, pictures: Bucket) -> None:
    other = MemoryStore()
    obstore.put(other, f"{KEY}.json", THOSE[f"{KEY}.json"])
    run(pictures, other)
    assert there(other) == THOSE


def test_foreign_object_is_never_overwritten(run: Run, pictures: Bucket) -> None:
    other = MemoryStore()
    obstore.put(other, KEY, b"theirs")
    with pytest.raises(ConflictError, match=r"gs://bucket/copies/.*resume"):
        run(pictures, other)
    assert there(other)[KEY] == b"theirs"


@pytest.mark.parametrize("status", ["refused", "deleted"])
def test_unstored_image_is_passed_on(run: Run, pictures: Bucket, status: str) -> None:
    other = MemoryStore()
    nothing = StoredImage(run_id="run-1", n=1, status=status, key=KEY)
    assert run(pictures, other, nothing) == nothing
    assert there(other) == {}


def test_deleted_image_is_passed_on(run: Run, bucket: Bucket) -> None:
    assert run(bucket, MemoryStore()).mirrored is None


def s3(server: Server, **more: Any) -> MirrorStore:
    return MirrorStore(
        lambda: connect("s3://bucket/a/b", KEYS | {"endpoint": server.url} | more),
        url="s3://bucket/a/b",
    )


def put(mirror: MirrorStore) -> None:
    mirror.copy("k.png", b"hello", content_type="image/png")


def test_foreign_s3_never_sees_own_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "own-role")
    put(s3(server))
    put(s3(server, AWS_SESSION_TOKEN="theirs", AWS_REGION="eu-west-3"))
    (method, path, first), (_, _, second) = server.requests

    assert (method, path, first["if-none-match"]) == ("PUT", "/bucket/a/b/k.png", "*")
    assert f"Credential=key/{first['x-amz-date'][:8]}/{REGION}/" in first["authorization"]
    assert "/eu-west-3/" in second["authorization"]
    assert "own-role" not in str(server.requests)
    assert second["x-amz-security-token"] == "theirs"


def test_custom_endpoint_never_sees_own_role(server: Server) -> None:
    with pytest.raises(ConfigError, match="access_key_id"):
        connect("s3://bucket", {"endpoint": server.url})
    assert not server.requests


def test_own_bucket_needs_no_secret(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "own-role")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    put(MirrorStore(lambda: connect("s3://bucket/a", {}), url="s3://bucket/a"))
    ((_, path, headers),) = server.requests

    assert (path, headers["x-amz-security-token"]) == ("/bucket/a/k.png", "own-role")
    assert f"/{REGION}/" in headers["authorization"]


def test_google_and_microsoft_writes_are_conditional(server: Server) -> None:
    key = {
        "gcs_base_url": server.url,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    put(
        MirrorStore(
            lambda: connect("gs://bucket/a", {"service_account_key": key}), url="gs://bucket/a"
        )
    )
    config = {"account_name": "account", "account_key": "aGVsbG8=", "endpoint": server.url}
    put(MirrorStore(lambda: connect("az://container/a", config), url="az://container/a"))
    (_, google, google_headers), (_, microsoft, microsoft_headers) = server.requests

    assert (google, google_headers["x-goog-if-generation-match"]) == ("/bucket/a%2Fk%2Epng", "0")
    assert (
        microsoft,
        microsoft_headers["if-none-match"],
        microsoft_headers["x-ms-blob-content-type"],
    ) == (
        "/container/a/k.png",
        "*",
        "image/png",
    )


@pytest.mark.parametrize(
    ("statuses", "error"),
    [
        ([401], StorageDeniedError),
        ([403], StorageDeniedError),
        ([404], ConfigError),
        ([429], StorageBusyError),
        ([500], StorageBusyError),
        ([503], StorageBusyError),
        ([301], StorageBusyError),
        ([412, 200], ConflictError),
        ([409, 404], StorageBusyError),
        ([412, 403], StorageDeniedError),
    ],
)
def test_each_refusal_is_named_without_secrets(
    server: Server, statuses: list[int], error: type[EaselError]
) -> None:
    server.statuses, server.body = statuses, b"theirs"

    with pytest.raises(EaselError, match=r"s3://bucket/a/b/k\.png") as exc_info:
        put(s3(server))
    assert type(exc_info.value) is error
    assert not exc_info.value.possibly_paid
    assert "127.0.0.1" not in str(exc_info.value)


def test_new_credentials_are_read_after_refusal(server: Server) -> None:
    server.statuses = [403, 200]
    tries: list[dict[str, str]] = [KEYS | {"access_key_id": "new"}, KEYS | {"access_key_id": "old"}]
    store = MirrorStore(
        lambda: connect("s3://bucket", tries.pop() | {"endpoint": server.url}), url="s3://bucket"
    )
    with pytest.raises(StorageDeniedError):
        put(store)

    put(store)
    assert "Credential=new/" in server.requests[1][2]["authorization"]


@pytest.mark.parametrize(
    ("url", "config"),
    [
        ("gs://bucket", {}),
        ("az://container", {}),
        ("az://container", {"account_key": "c2VjcmV0"}),
        ("s3://bucket", KEYS | {"nonsense": "s3cret"}),
        ("gs://bucket", {"service_account_key": "s3cret"}),
        ("gs://bucket", {"service_account_key": {"client_email": "s3cret"}}),
    ],
)
def test_invalid_store_settings_are_named_not_shown(url: str, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=url) as exc_info:
        connect(url, config)
    assert "s3cret" not in str(exc_info.value)


def test_secret_is_read_strictly(aws: Any) -> None:
    aws.secretsmanager.create_secret(Name="mirror")
    assert read_config(aws.secretsmanager, "mirror") == {}
    aws.secretsmanager.put_secret_value(SecretId="mirror", SecretString=json.dumps(KEYS))
    assert read_config(aws.secretsmanager, "mirror") == KEYS

    aws.secretsmanager.put_secret_value(SecretId="mirror", SecretString=" ")
    assert read_config(aws.secretsmanager, "mirror") == {}
    for wrong in ("s3cret", '["s3cret"]'):
        aws.secretsmanager.put_secret_value(SecretId="mirror", SecretString=wrong)
        with pytest.raises(ConfigError) as exc_info:
            read_config(aws.secretsmanager, "mirror")
        assert "s3cret" not in str(exc_info.value)


@pytest.mark.parametrize("name", [name for name in dir(exceptions) if name.endswith("Error")])
def test_every_obstore_error_has_a_name(name: str) -> None:
    error = translate(getattr(exceptions, name)("token=s3cret"), "mirroring")
    assert type(error) in {*leaves(RetryableError), *leaves(FinalError)}
    assert "s3cret" not in str(error)
