"""What stands for a key where there is none: AWS says who this function is, and OpenAI gives a token for it that holds an hour or less."""

from functools import cache
from typing import Any

import httpx2
import openai
from botocore.exceptions import ClientError
from openai.auth import WorkloadIdentityAuth

from functions.adapters import aws
from functions.adapters.openai_errors import translate_exchange
from functions.errors import ConfigError
from functions.settings import WorkloadIdentity, settings

# The stack grants the right to no other: https://developers.openai.com/api/docs/guides/workload-identity-federation/aws
AUDIENCE = "https://api.openai.com/v1"
SECONDS = 300
TOKEN_URL = "https://auth.openai.com/oauth/token"  # noqa: S105 - an address
NOT_ENABLED = "OutboundWebIdentityFederationDisabledException"


class IdentityToken:
    """OpenAI's token for one service account, got at the first call; `refresh` exchanges anew after it was refused."""

    def __init__(self, sts: Any, identity: WorkloadIdentity) -> None:
        self._sts = sts
        self._auth = WorkloadIdentityAuth(
            workload_identity={
                "identity_provider_id": identity.provider,
                "service_account_id": identity.service_account,
                "provider": {"token_type": "jwt", "get_token": self._signed},
            },
            token_exchange_url=identity.token_url or TOKEN_URL,
        )

    def value(self) -> str:
        """A token that is good now; the openai package keeps it, and fetches the next before it ends. Raises EaselError, always unpaid."""
        try:
            return self._auth.get_token()
        # The package raises RuntimeError where a token has ended before it came.
        except (openai.OpenAIError, httpx2.HTTPError, RuntimeError) as error:
            raise translate_exchange(error) from error

    def refresh(self) -> str:
        """A new token."""
        self._auth.invalidate_token()
        return self.value()

    def _signed(self) -> str:
        """AWS's word for who this function is."""
        with aws.named("asking STS who this function is (GetWebIdentityToken)"):
            try:
                answer = self._sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="ES384", DurationSeconds=SECONDS)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == NOT_ENABLED:
                    raise ConfigError(
                        "this AWS account signs no identities yet: once, `aws iam enable-outbound-web-identity-federation`, then redrive"
                    ) from error
                raise
        return str(answer["WebIdentityToken"])


@cache
def identity_token() -> IdentityToken:
    """That of this stack's service account. Raises ConfigError where it has a key instead."""
    identity = settings().workload_identity
    if identity is None:
        raise ConfigError("this deployment has a key, and no openai_workload_identity")
    return IdentityToken(aws.client("sts"), identity)
