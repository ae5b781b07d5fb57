"""What proves to OpenAI whose calls these are: a key in a secret, or this function's identity.

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
# The stack grants no other audience:
# https://developers.openai.com/api/docs/guides/workload-identity-federation/aws
AUDIENCE = "https://api.openai.com/v1"
IDENTITY_SECONDS = 300
TOKEN_URL = "https://auth.openai.com/oauth/token"  # noqa: S105 - an address
NOT_ENABLED = "OutboundWebIdentityFederationDisabledException"


class Credential(Protocol):
    """What OpenAI takes for the account."""

    def value(self) -> str:
        """Return the credential as it is known. Raises EaselError."""

    def refresh(self) -> str:
        """Fetch the credential again and return it. Raises EaselError."""


class ApiKey:
    """The key in a secret; `refresh` fetches it again after it was rotated."""

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
        """Return the key as it is in Secrets Manager now."""
        self._key = None
        return self.value()

    def _fetch(self) -> str:
        with translate_errors(f"reading the secret {self._secret}"):
            try:
                answer = self._client.get_secret_value(SecretId=self._secret)
            except ClientError as error:
                # A secret that does not exist, and one that has no value yet.
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
    """OpenAI's token for one service account, for which AWS signs who this function is.

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
        """Return a token that is valid now; the openai package keeps and renews it.

        Raises EaselError; nothing was paid then.
        """
        try:
            return self._auth.get_token()
        # The package raises RuntimeError for a token that has expired before it came.
        except (openai.OpenAIError, httpx2.HTTPError, RuntimeError) as error:
            raise translate_exchange(error) from error

    def refresh(self) -> str:
        """Return a new token."""
        self._auth.invalidate_token()
        return self.value()

    def _sign(self) -> str:
        """Return AWS's signed statement of who this function is."""
        with translate_errors("asking STS for this function's identity (GetWebIdentityToken)"):
            try:
                answer = self._sts.get_web_identity_token(
                    Audience=[AUDIENCE], SigningAlgorithm="ES384", DurationSeconds=IDENTITY_SECONDS
                )
            except ClientError as error:
                if error_code(error) == NOT_ENABLED:
                    raise ConfigError(
                        "this AWS account does not issue identity tokens yet; run `aws iam"
                        " enable-outbound-web-identity-federation` once"
                    ) from error
                raise
        return str(answer["WebIdentityToken"])
