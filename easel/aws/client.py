"""One way to make AWS clients and to name their errors."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from functions.errors import ConfigError, EaselError, StorageBusyError, StorageDeniedError

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "KMS.DisabledException", "KMS.AccessDeniedException", "AllAccessDisabled"})
BUSY = frozenset({
    "BadDigest", "ConditionalRequestConflict", "ExecutionLimitExceeded", "InternalError", "InternalFailure", "InternalServerError",
    "InternalServiceError", "LimitExceededException", "OperationAborted", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "RequestTimeTooSkewed", "RequestTimeout", "ServiceUnavailable", "SlowDown", "ThrottledException",
    "Throttling", "ThrottlingException", "TooManyRequestsException", "TransactionInProgressException", "XAmzContentSHA256Mismatch",
})  # fmt: skip


def client(service: str, *, tries: int = 3, connect_timeout: float = 5, read_timeout: float = 15) -> Any:
    """A client whose calls end far below every function's own timeout; credentials and region come from Lambda's environment."""
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": tries},
        # Over TLS a body needs no second sum for its signature: each put has its checksum in a signed header, or behind it.
        s3={"payload_signing_enabled": False},
    )
    return boto3.client(service, config=config)  # type: ignore[call-overload]


@contextmanager
def named(doing: str) -> Iterator[None]:
    """Turn botocore's errors inside the block into Easel's; `doing` says what failed, on which thing."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, doing) from error


def translate(error: ClientError | BotoCoreError, doing: str) -> EaselError:
    """The error of the tree that a botocore error stands for, by its type and code."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = f"{doing}: AWS answered {code or status}"
        if code in DENIED or (code == "403" and status == 403):
            return StorageDeniedError(f"{said}; check the function's role, the bucket's policy and the key's policy")
        if code in BUSY or status == 429 or status >= 500:
            return StorageBusyError(said)
        return ConfigError(f"{said}; is the stack deployed whole, in this region and account?")
    # A credential that can't be fetched and a connection that breaks pass; what botocore refuses to send does not.
    if isinstance(error, BotoConnectionError | HTTPClientError | CredentialRetrievalError | ResponseStreamingError):
        return StorageBusyError(f"{doing}: no answer from AWS ({type(error).__name__})")
    return ConfigError(f"{doing}: the AWS client refused the call ({type(error).__name__})")


def refused(codes: Iterable[str], doing: str) -> EaselError:
    """One error for several refusals inside an answer of 200: a denial if any is one, else what passes if any does."""
    order = (StorageDeniedError, StorageBusyError, ConfigError)
    errors = [translate(ClientError({"Error": {"Code": code}}, "DeleteObjects"), doing) for code in codes]
    return min(errors, key=lambda error: order.index(type(error)))
