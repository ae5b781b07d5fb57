"""Makes AWS clients, and translates their errors into Easel's."""

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

from easel.contract.errors import ConfigError, EaselError, StorageBusyError, StorageDeniedError

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "KMS.AccessDeniedException",
        "KMS.DisabledException",
    }
)
BUSY = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "ExecutionLimitExceeded",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "LimitExceededException",
        "OperationAborted",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "XAmzContentSHA256Mismatch",
    }
)


def client(
    service: str, *, tries: int = 3, connect_timeout: float = 5, read_timeout: float = 15
) -> Any:
    """Return a client whose calls end far below the timeout of every function.

    Credentials and region come from Lambda's environment.
    """
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": tries},
        # Over TLS the signature needs no second checksum of the body: each put already has its
        # checksum in a signed header or a trailer.
        s3={"payload_signing_enabled": False},
    )
    return boto3.client(service, config=config)  # type: ignore[call-overload]


def error_code(error: ClientError) -> str:
    """Return the AWS code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translate_errors(doing: str) -> Iterator[None]:
    """Translate botocore's errors inside the block. `doing` names the action and its input."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translate(error, doing) from error


def translate(error: ClientError | BotoCoreError, doing: str) -> EaselError:
    """Return Easel's error for a botocore error, by its type and code."""
    if isinstance(error, ClientError):
        code = error_code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        failed = f"{doing}: AWS answered {code or status}"
        if code in DENIED or (code == "403" and status == 403):
            where = "the function's role, the bucket's policy and the key's policy"
            return StorageDeniedError(f"{failed}; check {where}")
        if code in BUSY or status == 429 or status >= 500:
            return StorageBusyError(failed)
        return ConfigError(
            f"{failed}; check that the whole stack is deployed in this region and account"
        )
    # Missing credentials and broken connections are transient. A call that botocore refuses is not.
    transient = (
        BotoConnectionError,
        HTTPClientError,
        CredentialRetrievalError,
        ResponseStreamingError,
    )
    if isinstance(error, transient):
        return StorageBusyError(f"{doing}: no answer from AWS ({type(error).__name__})")
    return ConfigError(f"{doing}: the AWS client refused the call ({type(error).__name__})")


def refusal(codes: Iterable[str], doing: str) -> EaselError:
    """Return one error for several refusals in a response with status 200.

    Return a denial if any refusal is a denial, or else a transient error if any is transient.
    """
    order = (StorageDeniedError, StorageBusyError, ConfigError)
    errors = [
        translate(ClientError({"Error": {"Code": code}}, "DeleteObjects"), doing) for code in codes
    ]
    return min(errors, key=lambda error: order.index(type(error)))
