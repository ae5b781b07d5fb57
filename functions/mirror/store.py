"""A second store, at Google, Microsoft or in another S3 bucket. Nothing there is overwritten."""

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

from easel.aws.client import client, error_code, translate_errors
from easel.contract.errors import (
    ConfigError,
    ConflictError,
    EaselError,
    StorageBusyError,
    StorageDeniedError,
)
from easel.contract.settings import MirrorSettings
from easel.services import SERVICES

DENIED = (PermissionDeniedError, UnauthenticatedError)
WRONG = (InvalidPathError, NotSupportedError, UnknownConfigurationKeyError)
# The package raises FileNotFoundError if there is no such object or bucket.
ABSENT = (NotFoundError, FileNotFoundError)
HOW = "set its value to a JSON object, as docs/mirror.md describes"
# One call copies up to thirteen objects. If a retried copy takes so long that the function runs out
# of time, the retry of the step finds the earlier copies.
RETRIES: dict[str, Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}
TIMEOUTS: dict[str, Any] = {
    "timeout": timedelta(seconds=60),
    "connect_timeout": timedelta(seconds=5),
}


class MirrorStore:
    """One store at `url`, such as `gs://bucket/prefix`.

    `connect` creates its client for the first call, and again after a refusal.
    """

    def __init__(self, connect: Callable[[], Any], *, url: str) -> None:
        self._connect, self._url = connect, url.rstrip("/")
        self._store: Any = None

    def address(self, key: str) -> str:
        """Return the address of a copy, without credentials."""
        return f"{self._url}/{quote(key)}"

    def copy(self, key: str, body: bytes, *, content_type: str) -> None:
        """Write an object unless the same bytes are already there.

        Raises ConflictError if other bytes are there.
        """
        with self._translate_errors(f"mirroring to {self.address(key)!a}"):
            self._store = self._store or self._connect()
            attributes: Any = {"Content-Type": content_type}
            try:
                # Only a single request can be conditional, so multipart is off.
                obstore.put(
                    self._store,
                    key,
                    body,
                    attributes=attributes,
                    mode="create",
                    use_multipart=False,
                )
            except AlreadyExistsError:
                self._check_same(key, body)

    def _check_same(self, key: str, body: bytes) -> None:
        try:
            existing, length = hashlib.sha256(), 0
            for chunk in obstore.get(self._store, key).stream():
                existing.update(chunk)
                length += len(chunk)
        except ABSENT as error:
            # S3 returns the same error while another client writes this key.
            raise StorageBusyError(
                f"mirroring to {self.address(key)!a}: another writer was writing this key"
            ) from error
        if existing.digest() != hashlib.sha256(body).digest():
            raise ConflictError(
                f"{self.address(key)!a} holds another object ({length:,} bytes), which was left "
                "unchanged; move it, or mirror to another prefix, then resume the run"
            )

    @contextmanager
    def _translate_errors(self, doing: str) -> Iterator[None]:
        """Translate the package's errors into Easel's by type.

        Their messages are dropped, because they can contain a signed address.
        """
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if isinstance(error, DENIED):
                self._store = None  # a retry may find new credentials in the secret
            raise translate(error, doing) from None


def translate(error: BaseError | FileNotFoundError, doing: str) -> EaselError:
    """Return Easel's error for an obstore error."""
    failed = f"{doing}: {type(error).__name__}"
    if isinstance(error, DENIED):
        return StorageDeniedError(
            f"{failed}; check the mirror's credentials and their permissions, then resume the run"
        )
    if isinstance(error, ABSENT):
        return ConfigError(f"{failed}; check that a bucket or container of this name exists")
    if isinstance(error, WRONG):
        return ConfigError(f"{failed}; check the setting mirror and the secret's value")
    return StorageBusyError(failed)


def connect(url: str, config: Mapping[str, Any]) -> Any:
    """Return a client for a store. `config` has obstore's settings for this kind of store.

    Sends no request yet. Raises ConfigError.
    """
    kind, _, place = url.partition("://")
    bucket, _, prefix = place.partition("/")
    where: dict[str, Any] = {"prefix": prefix or None, "retry_config": RETRIES}
    try:
        if kind == "s3":
            names = {name.lower().removeprefix("aws_"): value for name, value in config.items()}
            return _s3(bucket, names, where)
        if not config:
            raise ConfigError(f"the mirror {url} has no credentials: {HOW}")
        make = GCSStore if kind == "gs" else AzureStore
        return make(bucket, config=_texts(config), client_options=_client(config), **where)
    except (BaseError, TypeError, ValueError) as error:
        # The error's message is dropped, because it may show the secret's value.
        reason = type(error).__name__
        raise ConfigError(
            f"the mirror {url} cannot be used with these settings ({reason}): {HOW}"
        ) from None


def _s3(bucket: str, config: dict[str, Any], where: dict[str, Any]) -> Any:
    own = "access_key_id" not in config
    if own and "endpoint" in config:
        # The endpoint's operator would receive the session token of this function's role.
        raise ConfigError(
            f"the mirror s3://{bucket} has an endpoint, but no access_key_id and secret_access_key "
            f"for it: {HOW}"
        )
    if own:
        # Without keys, the function's own role must have access to the bucket. On the local stack
        # the endpoint is the emulator.
        endpoint = client("s3").meta.endpoint_url
        config |= {"endpoint": endpoint} if endpoint.startswith("http://") else {}
        credentials: Callable[[], Any] = Boto3CredentialProvider()
    else:
        # The keys need a credential provider of their own. If they were settings only, obstore
        # would add the session token of this function's role.
        values = {
            "access_key_id": config.pop("access_key_id"),
            "secret_access_key": config.pop("secret_access_key", ""),
            "token": config.pop("session_token", config.pop("token", None)),
            "expires_at": None,
        }
        credentials = lambda: values  # noqa: E731
    if "region" not in config:
        config["region"] = SERVICES.storage.region
    options: dict[str, Any] = {"client_options": _client(config), **where}
    return S3Store(bucket, config=_texts(config), credential_provider=credentials, **options)


def _texts(config: Mapping[str, Any]) -> Any:
    """Return the settings as text. A key file may be a JSON object in the secret."""
    return {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in config.items()
    }


def _client(config: Mapping[str, Any]) -> Any:
    """Return obstore's client options. Plain HTTP is allowed if a setting has it."""
    return TIMEOUTS | {"allow_http": "http://" in json.dumps(config)}


def read_config(secrets: Any, secret: str) -> dict[str, Any]:
    """Return the settings in a secret, or {} if it has no value.

    Raises ConfigError, which never shows the value.
    """
    with translate_errors(f"reading the secret {secret}"):
        try:
            answer = secrets.get_secret_value(SecretId=secret)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return {}
            raise
    text = str(answer.get("SecretString") or "").strip()
    if not text:
        return {}
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise ConfigError(f"the secret {secret} does not hold a JSON object: {HOW}")
    return config


@cache
def mirror_store() -> MirrorStore:
    """Return this stack's mirror."""
    settings, secrets = MirrorSettings.read(SERVICES.environment), client("secretsmanager")

    def open_store() -> Any:
        return connect(settings.url, read_config(secrets, settings.secret))

    return MirrorStore(open_store, url=settings.url)
