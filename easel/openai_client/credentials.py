"""The OpenAI key, fetched by name at run time and kept only in memory."""

from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from functions.adapters import aws
from functions.errors import ConfigError
from functions.settings import settings

HOW = "set it with `make secret`"


class ApiKey:
    """The key behind one secret's name; `refresh` fetches it anew after it was rotated."""

    def __init__(self, client: Any, *, secret: str) -> None:
        self._client = client
        self._secret = secret
        self._key: str | None = None

    def value(self) -> str:
        """The key. Raises ConfigError where the secret is missing, empty or no plain key."""
        if self._key is None:
            self._key = self._fetch()
        return self._key

    def refresh(self) -> str:
        """The key as it stands in Secrets Manager now."""
        self._key = None
        return self.value()

    def _fetch(self) -> str:
        with aws.named(f"reading the secret {self._secret}"):
            try:
                answer = self._client.get_secret_value(SecretId=self._secret)
            except ClientError as error:
                # Secrets Manager says the same of a secret that is not there and of one that has no value yet.
                if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                    raise ConfigError(f"the secret {self._secret} has no value; {HOW}") from error
                raise
        key = str(answer.get("SecretString") or "").strip()
        if not key or any(c.isspace() for c in key) or not key.isascii() or key.startswith(("{", '"')):
            raise ConfigError(f"the secret {self._secret} holds no plain API key ({len(key)} characters); {HOW}")
        return key


@cache
def api_key() -> ApiKey:
    """This stack's key. Raises ConfigError where it has none."""
    secret = settings().secret
    if secret is None:
        raise ConfigError("this deployment has no key, but an openai_workload_identity")
    return ApiKey(aws.client("secretsmanager"), secret=secret)
