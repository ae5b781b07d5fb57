"""The credentials for OpenAI: a key in a secret, or a token for this function's identity.

Both are fetched at run time and kept only in memory.
"""

from typing import Any, Protocol

import httpx2
import openai
from botocore.exceptions import ClientError
from openai.auth import WorkloadIdentityAuth

from easel.aws.client import error_code, translate_errors
from easel.contract.errors import ConfigError
from easel.openai_client.errors import translate_exchange

HOW = "set it with `make secret`"
# The stack's permissions allow no other audience:
# https://developers.openai.com/api/docs/guides/workload-identity-federation/aws
AUDIENCE = "https://api.openai.com/v1"
IDENTITY_SECONDS = 300
TOKEN_URL = "https://auth.openai.com/oauth/token"  # noqa: S105 - an address
NOT_ENABLED = "OutboundWebIdentityFederationDisabledException"


class Credential(Protocol):
    """A credential that OpenAI accepts for the account."""

    def value(self) -> str:
        """Return the current credential. Raises EaselError."""

    def refresh(self) -> str:
        """Fetch the credential again and return it. Raises EaselError."""


class ApiKey:
    """The key in a secret. `refresh` fetches it again after a rotation."""

    def __init__(self, client: Any, *, secret: str) -> None:
        self._client = client
        self._secret = secret
        self._key: str | None = None

    def value(self) -> str:
        """Return the key. Raises ConfigError if the secret is missing, empty or not a key."""
        if self._key is None:
            self._key = self._fetch()
        return self._key

    def refresh(self) -> str:
        """Fetch the key from Secrets Manager and return it."""
        self._key = None
        return self.value()

    def _fetch(self) -> str:
        with translate_errors(f"reading the secret {self._secret}"):
            try:
                answer = self._client.get_secret_value(SecretId=self._secret)
            except ClientError as error:
                # The secret either does not exist or has no value yet.
                if error_code(error) == "ResourceNotFoundException":
                    raise ConfigError(f"the secret {self._secret} has no value; {HOW}") from error
                raise
        key = str(answer.get("SecretString") or "").strip()
        odd = any(c.isspace() for c in key) or not key.isascii() or key.startswith(("{", '"'))
        if not key or odd:
            size = f"{len(key)} characters"
            raise ConfigError(
                f"the secret {self._secret} does not hold a plain API key ({size}); {HOW}"
            )
        return key


class IdentityToken:
    """OpenAI's token for one service account. AWS signs the function's identity for it.

    `identity` is the provider's id, a slash, and the service account's id.
    """

    def __init__(self, sts: Any, identity: str, *, token_url: str | None) -> None:
        self._sts = sts
        provider, _, service_account = identity.partition("/")
        self._auth = WorkloadIdentityAuth(
            workload_identity={
                "identity_provider_id": provider,
                "service_account_id": service_account,
                "provider": {"token_type": "jwt", "get_token": self._sign},
            },
            token_exchange_url=token_url or TOKEN_URL,
        )

    def value(self) -> str:
        """Return a valid token. The openai package caches and renews it.

        Raises EaselError. Nothing has been paid in that case.
        """
        try:
            return self._auth.get_token()
        # The package raises RuntimeError for a token that had expired when it arrived.
        except (openai.OpenAIError, httpx2.HTTPError, RuntimeError) as error:
            raise translate_exchange(error) from error

    def refresh(self) -> str:
        """Return a new token."""
        self._auth.invalidate_token()
        return self.value()

    def _sign(self) -> str:
        """Return a statement of this function's identity, signed by AWS."""
        with translate_errors("asking STS for this function's identity (GetWebIdentityToken)"):
            try:
                answer = self._sts.get_web_identity_token(
                    Audience=[AUDIENCE], SigningAlgorithm="ES384", DurationSeconds=IDENTITY_SECONDS
                )
            except ClientError as error:
                if error_code(error) == NOT_ENABLED:
                    raise ConfigError(
                        "this AWS account does not issue identity tokens yet; run `aws iam "
                        "enable-outbound-web-identity-federation` once"
                    ) from error
                raise
        return str(answer["WebIdentityToken"])
