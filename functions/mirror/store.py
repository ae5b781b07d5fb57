"""A second store for pictures, at Google, at Microsoft or in another S3: what is there is never overwritten, and never deleted."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import obstore
from botocore.exceptions import ClientError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from functions.adapters import aws
from functions.errors import ConfigError, ConflictError, EaselError, StorageBusyError, StorageDeniedError
from functions.settings import mirror_settings, settings

DENIED = (PermissionDeniedError, UnauthenticatedError)
WRONG = (InvalidPathError, NotSupportedError, UnknownConfigurationKeyError)
ABSENT = (NotFoundError, FileNotFoundError)  # the package raises Python's own where there is no such object or bucket
HOW = "set its value, a JSON object, as docs/mirror.md says"
# Far below the function's own time, three times over.
PATIENCE: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
TIMEOUTS: dict[str, Any] = {"timeout": timedelta(seconds=60), "connect_timeout": timedelta(seconds=5)}


class MirrorStore:
    """One store at `url`, such as `gs://bucket/prefix`; `connect` makes its client at the first call, and after a refusal anew."""

    def __init__(self, connect: Callable[[], Any], *, url: str) -> None:
        self._connect, self._url = connect, url.rstrip("/")
        self._store: Any = None

    def address(self, key: str) -> str:
        """Where a copy is; the address has no credentials in it."""
        return f"{self._url}/{quote(key)}"

    def copy(self, key: str, body: bytes, *, content_type: str) -> None:
        """Write an object unless these very bytes are there already. Raises ConflictError where others are."""
        with self._named(f"mirroring to {self.address(key)!a}"):
            self._store = self._store or self._connect()
            try:
                # In one request, since only that can be made conditional.
                obstore.put(self._store, key, body, attributes={"Content-Type": content_type}, mode="create", use_multipart=False)
            except AlreadyExistsError:
                self._check_same(key, body)

    def _check_same(self, key: str, body: bytes) -> None:
        try:
            there, length = hashlib.sha256(), 0
            for chunk in obstore.get(self._store, key).stream():
                there.update(chunk)
                length += len(chunk)
        except ABSENT as error:
            # S3 says the same while another writes there.
            raise StorageBusyError(f"mirroring to {self.address(key)!a}: another was writing there") from error
        if there.digest() != hashlib.sha256(body).digest():
            raise ConflictError(
                f"{self.address(key)!a} is taken by something else ({length:,} bytes), which is left as it is: "
                "move it away or mirror to another prefix, then redrive"
            )

    @contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        """Turn the package's errors into Easel's, by their types: their words can hold an address with a signature."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if isinstance(error, DENIED):
                self._store = None  # its credentials may be replaced until the next try
            raise translate(error, doing) from None


def translate(error: BaseError | FileNotFoundError, doing: str) -> EaselError:
    """The error of the tree that an error of obstore stands for."""
    said = f"{doing}: {type(error).__name__}"
    if isinstance(error, DENIED):
        return StorageDeniedError(f"{said}; check the mirror's credentials and what they may do there, then redrive")
    if isinstance(error, ABSENT):
        return ConfigError(f"{said}; is there a bucket or container of that name?")
    if isinstance(error, WRONG):
        return ConfigError(f"{said}; check the setting mirror and the secret's value")
    return StorageBusyError(said)


def connect(url: str, config: Mapping[str, Any]) -> Any:
    """A client for a store, by the settings that obstore knows for its kind. Raises ConfigError; nothing is sent yet."""
    kind, _, place = url.partition("://")
    bucket, _, prefix = place.partition("/")
    where: dict[str, Any] = {"prefix": prefix or None, "retry_config": PATIENCE}
    try:
        if kind == "s3":
            return _s3(bucket, {name.lower().removeprefix("aws_"): value for name, value in config.items()}, where)
        if not config:
            raise ConfigError(f"the mirror {url} has no credentials: {HOW}")
        make = GCSStore if kind == "gs" else AzureStore
        return make(bucket, config=_texts(config), client_options=_client(config), **where)
    except (BaseError, TypeError, ValueError) as error:
        # Not its words, which may show what the secret holds.
        raise ConfigError(f"the mirror {url} can't be used with these settings ({type(error).__name__}): {HOW}") from None


def _s3(bucket: str, config: dict[str, Any], where: dict[str, Any]) -> Any:
    own = "access_key_id" not in config
    if own and "endpoint" in config:
        # Whoever serves that address would be shown the token of this function's own role.
        raise ConfigError(f"the mirror s3://{bucket} has an endpoint, and no access_key_id and secret_access_key for it: {HOW}")
    if own:
        # A bucket that this function's role may write to; on the local stack, at the emulator.
        endpoint = aws.client("s3").meta.endpoint_url
        config |= {"endpoint": endpoint} if endpoint.startswith("http://") else {}
        credentials: Callable[[], Any] = Boto3CredentialProvider()
    else:
        # Never as a part of the settings alone: obstore would add the session token of this function's own role.
        keys = {"access_key_id": config.pop("access_key_id"), "secret_access_key": config.pop("secret_access_key", "")}
        keys |= {"token": config.pop("session_token", config.pop("token", None)), "expires_at": None}
        credentials = lambda: keys  # noqa: E731
    if "region" not in config:
        config["region"] = settings().region
    return S3Store(bucket, config=_texts(config), client_options=_client(config), credential_provider=credentials, **where)


def _texts(config: Mapping[str, Any]) -> Any:
    """A key file may stand in the secret as the object that it is."""
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in config.items()}


def _client(config: Mapping[str, Any]) -> Any:
    """How long to wait; and no TLS where an address without it was named, as that of an emulator."""
    return TIMEOUTS | {"allow_http": "http://" in json.dumps(config)}


def read_config(client: Any, secret: str) -> dict[str, Any]:
    """The settings in a secret, {} where it has no value. Raises ConfigError, which never shows it."""
    with aws.named(f"reading the secret {secret}"):
        try:
            said = str(client.get_secret_value(SecretId=secret).get("SecretString") or "").strip()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                return {}
            raise
    if not said:
        return {}
    try:
        config = json.loads(said)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise ConfigError(f"the secret {secret} holds no JSON object: {HOW}")
    return config


@cache
def mirror_store() -> MirrorStore:
    """This stack's mirror."""
    mirror, secrets = mirror_settings(), aws.client("secretsmanager")
    return MirrorStore(lambda: connect(mirror.url, read_config(secrets, mirror.secret)), url=mirror.url)
