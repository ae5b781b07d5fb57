"""The openai package's client with this stack's credential as it stands now. It never retries by itself: Step Functions owns that."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import openai
from openai import OpenAI

from functions.adapters.api_key import api_key
from functions.adapters.workload_identity import identity_token
from functions.settings import settings

T = TypeVar("T")


class Credential(Protocol):
    """What OpenAI takes for the account: the key of a secret, or a token for a workload identity."""

    def value(self) -> str:
        """The credential as it is known. Raises EaselError."""

    def refresh(self) -> str:
        """The credential, fetched anew. Raises EaselError."""


class Account:
    """One account at one base URL."""

    def __init__(self, credential: Credential, *, base_url: str | None) -> None:
        self._credential = credential
        self._client = OpenAI(api_key="set at the first call", base_url=base_url, max_retries=0)

    def call(self, call: Callable[[OpenAI], T]) -> T:
        """Call with the credential; where OpenAI refuses it, once more with a fresh one."""
        known = self._credential.value()
        try:
            return call(self._client.with_options(api_key=known))
        except openai.AuthenticationError:
            # It may have been rotated, or withdrawn, since it was read: once with a fresh one, then it is final.
            return call(self._client.with_options(api_key=self._credential.refresh()))


def credential() -> Credential:
    """This stack's."""
    return identity_token() if settings().workload_identity else api_key()
