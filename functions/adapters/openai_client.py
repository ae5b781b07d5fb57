"""The openai package's client with the key as it stands now. It never retries by itself: Step Functions owns that."""

from collections.abc import Callable
from typing import TypeVar

import openai
from openai import OpenAI

from functions.adapters.api_key import ApiKey

T = TypeVar("T")


class KeyedClient:
    """One account at one base URL."""

    def __init__(self, key: ApiKey, *, base_url: str | None) -> None:
        self._key = key
        self._client = OpenAI(api_key="set at the first call", base_url=base_url, max_retries=0)

    def call(self, call: Callable[[OpenAI], T]) -> T:
        """Call with the key; where it is refused, once more with a fresh one."""
        try:
            return call(self._client.with_options(api_key=self._key.value()))
        except openai.AuthenticationError:
            # The key may have been rotated since it was read: once with a fresh one, then it is final.
            return call(self._client.with_options(api_key=self._key.refresh()))
